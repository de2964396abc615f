"""The real ``clawlogd``, as a process that can be started, stopped, killed, and wrapped by tools that inject faults."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from faults.load import connected

QUICK_RETRIES = """\
[retry]
quick_delays_s = [0.02, 0.05, 0.1]
max_delay_s = 1.0
max_retry_after_s = 1.0
[http]
connect_timeout_s = 1.0
total_timeout_s = 1.0
max_reply_bytes = 1048576
[batch]
min_interval_s = 0.02
"""
"""Times are a fraction of the usual ones, so that a scenario takes seconds."""

_SETTINGS = """\
log_format = "json"
[outbox]
ballast_bytes = {ballast_bytes}
max_events = {max_events}
[shutdown]
deliver_s = 0.5
"""


class Daemon:
    """One daemon over its own state folder, through all its lives.

    Args:
        folder: Where its socket, settings and log go; its path must be short.
        base_url: Its default backend.
        state_dir: Where its state goes, if not there, too.
        env: More environment variables.
        ballast_bytes: As in the settings.
        max_events: As in the settings.
        settings: More settings, as TOML.
    """

    def __init__(
        self,
        folder: Path,
        base_url: str,
        *,
        state_dir: Path | None = None,
        env: Mapping[str, str] | None = None,
        ballast_bytes: int = 65536,
        max_events: int = 1_000_000,
        settings: str = QUICK_RETRIES,
    ) -> None:
        self.folder = folder
        self.state_dir = state_dir or folder / "state"
        self.socket_path = folder / "s"
        self.log_path = folder / "log"
        self.config_path = folder / "clawlog.toml"
        self.config_path.write_text(_SETTINGS.format(ballast_bytes=ballast_bytes, max_events=max_events) + settings)
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "CLAWLOG_STATE_DIR": str(self.state_dir),
            "CLAWLOG_SOCKET": str(self.socket_path),
            "CLAWLOG_BASE_URL": base_url,
            **(env or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def outbox_path(self) -> Path:
        """The outbox's file."""
        return self.state_dir / "outbox.db"

    def command(self) -> list[str]:
        """What starts it."""
        return [sys.executable, "-P", "-m", "clawlogd", "--config", str(self.config_path)]

    def spawn(self, wrapper: Sequence[str] = (), env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Starts it, under a tool if one is given, without waiting until it serves."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*wrapper, *self.command()], env={**self._env, **(env or {})}, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        return self._process

    def start(self, wrapper: Sequence[str] = (), env: Mapping[str, str] | None = None, timeout_s: float = 30.0) -> None:
        """Starts it and returns once it serves.

        Raises:
            RuntimeError: It ended, or did not serve in time; the text holds the end of its log.
        """
        process = self.spawn(wrapper, env)
        deadline = time.monotonic() + timeout_s
        while not self.serves():
            if process.poll() is not None:
                raise RuntimeError(f"the daemon ended with {process.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the daemon does not serve:\n{self.log_tail()}")
            time.sleep(0.01)

    def serves(self) -> bool:
        """Whether it answers."""
        try:
            self.status(timeout_s=5.0)
        except OSError:
            return False
        return True

    def status(self, timeout_s: float = 10.0) -> dict[str, Any]:
        """What ``daemon.status`` says."""
        with connected(self.socket_path, timeout_s) as connection:
            result: dict[str, Any] = connection.call("daemon.status")["result"]
        return result

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The daemon's own process id (not that of a tool around it)."""
        return int((self.state_dir / "clawlogd.lock").read_text())

    def kill(self) -> None:
        """Ends it as a crash does: at once, with nothing said."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, FileNotFoundError, ValueError):
                if self._is_mine(self.pid):
                    os.kill(self.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()
            self._process = None

    def _is_mine(self, pid: int) -> bool:
        """Whether a process is a daemon over this folder: the lock of one that was killed may name another by now."""
        return os.fsencode(self.config_path) in Path(f"/proc/{pid}/cmdline").read_bytes()

    def stop(self, timeout_s: float = 30.0) -> int:
        """Ends it in good order, and returns its exit status."""
        assert self._process is not None, "it is not running"
        os.kill(self.pid, signal.SIGTERM)
        status = self._process.wait(timeout_s)
        self._process = None
        return status

    def log_tail(self, size: int = 3000) -> str:
        """The end of what it logged."""
        return self.log_path.read_bytes()[-size:].decode("utf-8", "replace") if self.log_path.exists() else ""

    def log_count(self, event: str) -> int:
        """How many lines it logged with this event."""
        return self.log_path.read_text("utf-8").count(f'"event": "{event}"') if self.log_path.exists() else 0
