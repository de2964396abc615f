"""An environment of its own for each peer, in the user's cache: ``$CLAWLOG_BENCH_PEERS``, else ``clawlog-bench-peers`` there.

The project's own has none of them. What cannot be installed is left out, with the reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.catalogue import Peer
from benchmarks.programs import environment

INSTALL_LIMIT_S = 240.0
_NOWHERE = "http://127.0.0.1:9"


class Unavailable(Exception):  # noqa: N818 - says what is the case
    """A peer cannot be measured; the text says why."""


def folder() -> Path:
    """Where the environments are."""
    if named := os.environ.get("CLAWLOG_BENCH_PEERS"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clawlog-bench-peers"


def python(peer: Peer) -> Path:
    """Returns the Python that has a peer's library, installing it where it is missing.

    Raises:
        Unavailable: It cannot be installed, or its program is not on this machine.
    """
    if peer.short and shutil.which(peer.short[0]) is None:
        raise Unavailable(f"{peer.short[0]} is not on this machine")
    if not peer.package:
        return Path(sys.executable)
    home = folder() / f"{peer.package}-{peer.version}"
    found = home / "bin" / "python"
    if (home / "installed").exists():
        return found
    home.parent.mkdir(parents=True, exist_ok=True)
    install = [found, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", peer.requirement]
    try:
        for command in ([sys.executable, "-m", "venv", "--clear", home], install):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_LIMIT_S)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{peer.requirement} was not installed within {INSTALL_LIMIT_S:.0f} s") from None
    except subprocess.CalledProcessError as error:
        said = [line for line in error.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        raise Unavailable(f"{peer.requirement} cannot be installed: {said[-1].removeprefix('ERROR: ')}") from None
    (home / "installed").touch()
    return found


def variables(home: Path) -> dict[str, str]:
    """The environment variables of a peer: an empty home, no telemetry, and no way out but to this machine."""
    kept = {name: value for name, value in environment().items() if name in ("PATH", "LANG", "LC_ALL")}
    off = {
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "WANDB_ERROR_REPORTING": "false",
    }
    proxies = {name: _NOWHERE for scheme in ("http", "https", "all") for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper())}
    direct = dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost")
    return {**kept, "HOME": str(home), "TMPDIR": str(home), **off, **proxies, **direct}
