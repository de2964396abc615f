"""The real ``clawlogd`` as a process of its own, with a service manager's socket that receives its readiness."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from support.callers import UnixCaller, call

LIMIT_S = 20.0

QUICK = {
    "CLAWLOG_BATCH_MIN_INTERVAL_S": "0",
    "CLAWLOG_RETRY_MAX_DELAY_S": "1",
    "CLAWLOG_POLL_INTERVAL_S": "0.1",
    "CLAWLOG_SHUTDOWN_DELIVER_S": "0.5",
}
"""Settings that shorten the pauses between requests."""

LOOP = "uvloop" if os.environ.get("CLAWLOG_TEST_LOOP") == "uvloop" else "asyncio"
"""The event loop of programs that tests start."""

_PASSED_ON = ("PATH", "LANG", "TMPDIR", "PYTHONDONTWRITEBYTECODE")


def environment(folder: Path, **more: str) -> dict[str, str]:
    """An environment in which nothing of this machine's own configuration is found.

    Nor is what is run in it measured for coverage: that makes a start twice as long, and the daemon is measured in other tests.
    """
    kept = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
    return {**kept, "HOME": str(folder), "CLAWLOG_STATE_DIR": str(folder / "state"), "CLAWLOG_LOOP": LOOP, **QUICK, **more}


class DaemonProcess:
    """A daemon's process, which a test may start again after it has ended.

    Attributes:
        notifications: What it reported to the service manager, in order.
    """

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self.socket_path = folder / "run" / "d.sock"
        self.log_path = folder / "clawlogd.log"
        own = {"CLAWLOG_SOCKET": str(self.socket_path), "NOTIFY_SOCKET": str(folder / "notify")}
        self.env = environment(folder, **{**own, **env})
        self.notifications: list[str] = []
        self._process: asyncio.subprocess.Process | None = None
        self._manager: socket.socket | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "not started"
        return self._process

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8")

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "clawlogd"]

    async def start(self, *flags: str, command: list[str] | None = None, **options: Any) -> Self:
        """Starts it, and returns when it reports that it is ready."""
        await self.launch(*flags, command=command, **options)
        await self.until_notified("READY=1")
        return self

    async def launch(self, *flags: str, command: list[str] | None = None, **options: Any) -> None:
        """Starts it, and does not wait."""
        if self._manager is None:
            self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self._manager.bind(str(self.folder / "notify"))
        self.notifications.clear()
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(command or self.command), *flags, env=self.env, stderr=log, stdout=log, **options
            )

    async def until_notified(self, text: str) -> str:
        """Waits for a notification to the service manager that begins with a text, and returns it."""
        assert self._manager is not None, "not started"
        ended = asyncio.create_task(self.process.wait())
        try:
            async with asyncio.timeout(LIMIT_S):
                while (found := next((each for each in self.notifications if each.startswith(text)), None)) is None:
                    received = asyncio.create_task(asyncio.get_running_loop().sock_recv(self._manager, 4096))
                    await asyncio.wait([received, ended], return_when=asyncio.FIRST_COMPLETED)
                    if not received.done():
                        received.cancel()
                        raise AssertionError(f"clawlogd ended with {ended.result()} without notifying {text}:\n{self.log}")
                    self.notifications.extend(received.result().decode().splitlines())
                return found
        finally:
            ended.cancel()
            await asyncio.wait([ended])

    def new_notifications(self) -> list[str]:
        """The notifications that have not been received yet."""
        assert self._manager is not None, "not started"
        received: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                received += self._manager.recv(4096).decode().splitlines()
        return received

    async def ended(self) -> int:
        """Its exit status, once it has ended."""
        async with asyncio.timeout(LIMIT_S):
            return await self.process.wait()

    async def stop(self) -> int:
        """Asks it to end, and returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def kill(self) -> None:
        """Ends it without warning."""
        self.process.kill()
        await self.ended()

    async def connect(self) -> UnixCaller:
        return await UnixCaller.connect(self.socket_path)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of one verb, over a connection of its own."""
        caller = await self.connect()
        try:
            return await call(caller, method, **params)
        finally:
            await caller.close()

    async def clean_up(self) -> None:
        """Ends it if it runs still."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            try:
                await self.ended()
            except TimeoutError:
                await self.kill()
                raise
        if self._manager is not None:
            self._manager.close()


async def run_to_end(folder: Path, *flags: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Runs ``clawlogd`` to its end: its exit status, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "clawlogd",
        *flags,
        env=environment(folder) if env is None else env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(LIMIT_S):
        stdout, stderr = await process.communicate()
    assert process.returncode is not None
    return process.returncode, stdout.decode(), stderr.decode()
