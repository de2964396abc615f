from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.scripted_daemon import ScriptedDaemon, on_unix_socket

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "scripts"
SYSTEM_PYTHON = Path("/usr/bin/python3")


@dataclass(frozen=True)
class Ran:
    """How a script ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        (line,) = self.stdout.splitlines()
        return json.loads(line)


Run = Callable[..., Ran]


def python_of_scripts() -> str:
    """A Python with nothing installed, where the machine has one new enough; else this one, without its packages."""
    if SYSTEM_PYTHON.exists():
        version = subprocess.run(
            [SYSTEM_PYTHON, "-c", "import sys; print(sys.version_info >= (3, 11))"], check=False, capture_output=True, text=True
        )
        if version.stdout == "True\n":
            return str(SYSTEM_PYTHON)
    return sys.executable


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A folder whose name leaves room for a socket: a Unix socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="claw") as path:
        yield Path(path)


@pytest.fixture
def daemon(short_dir: Path) -> Iterator[ScriptedDaemon]:
    with on_unix_socket(str(short_dir / "d.sock")) as scripted:
        yield scripted


@pytest.fixture
def env(short_dir: Path) -> dict[str, str]:
    """What a script sees of the world: no daemon is found or started."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(short_dir),
        "CLAWLOG_STATE_DIR": str(short_dir / "state"),
        "CLAWLOG_AUTOSTART": "0",
        "LC_ALL": "C",
    }


@pytest.fixture
def alone(env: dict[str, str]) -> Run:
    """Runs a script where no daemon is."""

    def run(script: str, *arguments: str, **more_env: str) -> Ran:
        command = [python_of_scripts(), "-I", "-W", "error", str(SCRIPTS / f"{script}.py"), *arguments]
        ended = subprocess.run(
            command, env=env | more_env, check=False, capture_output=True, text=True, encoding="utf-8", timeout=30
        )
        return Ran(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def run(alone: Run, daemon: ScriptedDaemon) -> Run:
    """Runs a script that finds the scripted daemon."""
    return lambda script, *arguments, **more_env: alone(script, *arguments, **{"CLAWLOG_SOCKET": daemon.address, **more_env})


@pytest.fixture
def refusing_sockets() -> list[str]:
    """What stands before a command line whose program may make no Unix socket."""
    return [sys.executable, str(ROOT / "tests" / "support" / "refuse_sockets.py")]
