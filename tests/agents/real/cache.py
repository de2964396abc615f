"""The programs of the real agents: which versions, where they are kept, and how they come there.

npm installs them into a folder outside the tree, ``$CLAWLOG_TEST_AGENTS``, else ``clawlog-test-agents`` in the user's cache
folder; so one installation serves every checkout. A folder there is whole or it is not there. No package's own scripts are run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MANIFEST = Path(__file__).with_name("agents.toml")
LIMIT_S = 900.0
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Package:
    """A program that npm brings.

    Attributes:
        name: The agent's name, or ``node``.
        package: What npm calls it.
        version: Which.
        program: A pattern of the program's path, below the folder that npm installs into.
        disk_mb: What it takes, in megabytes.
    """

    name: str
    package: str
    version: str
    program: str
    disk_mb: int

    @property
    def folder(self) -> Path:
        return cache_folder() / f"{self.name}-{self.version}"

    def find(self) -> Path | None:
        """The program; None where it is not installed."""
        found = sorted(self.folder.glob(self.program), key=lambda path: (len(str(path)), str(path)))
        return found[0] if found else None


class NotInstalledError(Exception):
    """An agent's program could not be had; the text says why."""


def cache_folder() -> Path:
    """Where the programs are."""
    if own := os.environ.get("CLAWLOG_TEST_AGENTS"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clawlog-test-agents"


def packages() -> dict[str, Package]:
    """What the manifest names, by name; ``node`` first."""
    here = f"{sys.platform}-{ {'x86_64': 'x64', 'aarch64': 'arm64'}.get(platform.machine(), platform.machine()) }"
    tree = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))
    return {
        name: Package(name, each["package"].format(platform=here), each["version"], each["program"], each["disk_mb"])
        for name, each in tree.items()
    }


def missing(name: str) -> str | None:
    """Why an agent cannot be run as things are; None when it can."""
    lacking = [each.name for each in (packages()["node"], packages()[name]) if each.find() is None]
    return f"{' and '.join(lacking)} not in {cache_folder()}: run `make agents` once" if lacking else None


def install(names: list[str], progress: Progress) -> dict[str, str]:
    """Installs what is missing, and says beforehand how much that is.

    Returns:
        The agents that could not be had, with the reason.
    """
    known = packages()
    wanted = [known[name] for name in ("node", *names) if known[name].find() is None]
    if not wanted:
        return {}
    total = sum(each.disk_mb for each in wanted)
    progress(f"installing {len(wanted)} programs from npm into {cache_folder()}, about {total} MB:")
    failed: dict[str, str] = {}
    with _locked():
        for each in wanted:
            try:
                if "node" not in failed:
                    _install(each, progress)
            except NotInstalledError as error:
                failed[each.name] = str(error)
                progress(f"  {each.name}: {error}")
    return failed if "node" not in failed else dict.fromkeys(names, f"no Node for it: {failed['node']}")


def _install(package: Package, progress: Progress) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NotInstalledError("npm is not on PATH")
    if package.find() is not None:
        return  # another process brought it meanwhile
    progress(f"  {package.name}: {package.package}@{package.version}, about {package.disk_mb} MB")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f".{package.name}-", dir=cache_folder()) as making:
        folder = Path(making) / "new"
        (folder / "node_modules").mkdir(parents=True)
        command = [npm, "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", "--no-save"]
        env = os.environ | {"PATH": f"{_node_folder()}{os.environ.get('PATH', '')}"}
        try:
            done = subprocess.run(
                [*command, f"{package.package}@{package.version}"],
                env=env,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise NotInstalledError(f"npm took longer than {LIMIT_S:.0f} s") from None
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if "error" in line.lower()] or ["nothing"]
            raise NotInstalledError(f"npm ended with {done.returncode} and said: {said[0].strip()[:200]}")
        if not list(folder.glob(package.program)):
            raise NotInstalledError(f"npm brought no {package.program}: the package has none for this platform")
        shutil.rmtree(package.folder, ignore_errors=True)
        folder.rename(package.folder)
    progress(f"  {package.name}: {_size_mb(package.folder)} MB in {time.monotonic() - started:.0f} s")


def _node_folder() -> str:
    """The folder of the Node that is brought, as the beginning of a PATH: npm picks versions by the Node that runs it."""
    node = packages()["node"].find()
    return f"{node.parent}:" if node else ""


def _size_mb(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) >> 20


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """One installation at a time."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
