from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.scripted_daemon import ScriptedDaemon, on_unix_socket


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
def env(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment in which no daemon is found or started; also this process's own."""
    values = {
        "CLAWLOG_STATE_DIR": str(short_dir / "state"),
        "CLAWLOG_AUTOSTART": "0",
        "PATH": "/usr/bin:/bin",
        "HOME": str(short_dir),
    }
    for name in ("CLAWLOG_SOCKET", "CLAWLOG_BASE_URL", "CLAWLOG_TASK_ID", "CLAWLOG_BEST_EFFORT", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values
