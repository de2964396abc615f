"""A home of a test's own, the scripts run in it, and the daemons that they start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user, or give files away")


@dataclass(frozen=True)
class World:
    """A home, and what runs in it."""

    home: Path
    env: dict[str, str]

    def script(self, name: str, *arguments: str, cwd: Path | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
        env = {**self.env, **options.pop("env", {})}
        for key in [key for key, value in env.items() if value == "-"]:
            del env[key]
        # Another user may not be let into the folder where this interpreter is.
        python = "/usr/bin/python3" if "user" in options else str(BIN / "python")
        command = [python, str(ROOT / "scripts" / f"{name}.py"), *arguments]
        return subprocess.run(
            command, env=env, cwd=cwd or self.home, check=False, capture_output=True, text=True, timeout=30, **options
        )

    def create(self, **options: Any) -> subprocess.CompletedProcess[str]:
        return self.script("create_task", "--title", "T", **options)


def daemons_below(folder: Path) -> list[int]:
    """Ids of daemons whose environment names a folder."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                command, env = (each / "cmdline").read_bytes(), (each / "environ").read_bytes()
            except OSError:
                continue
            if b"clawlogd" in command and str(folder).encode() in env:
                found.append(int(each.name))
    return found


@pytest.fixture
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="claw") as path:
        home = Path(path)
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "CLAWLOG_BASE_URL": "http://127.0.0.1:9"}
        env |= {name: os.environ[name] for name in ("PYTHONDONTWRITEBYTECODE",) if name in os.environ}
        yield World(home, env)
        for pid in daemons_below(home):
            os.kill(pid, signal.SIGTERM)
        for _ in range(500):
            if not daemons_below(home):
                break
            subprocess.run(["sleep", "0.01"], check=True)


def taken(ended: subprocess.CompletedProcess[str]) -> bool:
    """Whether a daemon took it: not the spool."""
    assert ended.returncode == 0, ended.stderr
    return "spooled" not in json.loads(ended.stdout)
