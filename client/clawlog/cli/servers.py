"""Starts the embedded backend and the daemon as processes, and ends them by their process ids.

They run in process groups of their own: a Ctrl-C at the terminal reaches this program alone, which ends them in order. Each
runs on this interpreter with ``-P``, so that the current folder, whatever it is, is not searched for their modules.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from clawlog.async_client import AsyncClient
from clawlog.cli.errors import ServerFailed
from clawlog.errors import ClawlogError, DaemonUnreachable

START_LIMIT_S = 20.0
_PROBE_PAUSE_S = 0.02
_LAST_LINES = 8

BACKEND_PATIENCE_S = 6.0
"""How long the backend may take to end: its grace period for open requests, twice."""

DAEMON_PATIENCE_S = 25.0
"""How long the daemon may take to end: its own hard deadline, and a margin."""


class Server:
    """A process that serves until it is terminated.

    Args:
        name: Its name in messages.
        module: The Python module that is run.
        env: Its environment.
        log: Its log file; by default this process's stderr.
        patience_s: How long it may take to end before it is killed.
    """

    def __init__(self, name: str, module: str, *, env: Mapping[str, str], log: Path | None = None, patience_s: float) -> None:
        self.name = name
        self._module = module
        self._env = env
        self._log = log
        self._patience_s = patience_s
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None  # noqa: S101 - only asked for after start()
        return self._process.pid

    async def start(self, *arguments: str, announces: bool = False) -> str:
        """Starts it.

        Args:
            arguments: Its command line.
            announces: Whether it prints a line on stdout once it serves, which is waited for.

        Returns:
            The line, or nothing.

        Raises:
            ServerFailed: It ended instead, or was not ready in time.
        """
        log_fd = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if self._log else None
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                self._module,
                *arguments,
                env=dict(self._env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if announces else log_fd,
                stderr=log_fd,
                process_group=0,
            )
        finally:
            if log_fd is not None:
                os.close(log_fd)
        if self._process.stdout is None:
            return ""
        try:
            async with asyncio.timeout(START_LIMIT_S):
                line = (await self._process.stdout.readline()).decode("utf-8", "replace").strip()
                if not line:
                    await self._process.wait()
                    raise self.failure()
        except TimeoutError:
            raise ServerFailed(f"the {self.name} did not start within {START_LIMIT_S:.0f} s") from None
        return line

    async def ended(self) -> int:
        """Waits until it ends; returns its exit status, negative after a signal."""
        assert self._process is not None  # noqa: S101 - only asked for after start()
        return await self._process.wait()

    def failure(self) -> ServerFailed:
        """Returns the error that says how it ended, with its last log lines."""
        status = self._process.returncode if self._process else None
        how = "ended" if status is None else f"ended with status {status}" if status >= 0 else f"was ended by signal {-status}"
        tail = self.log_tail()
        return ServerFailed(f"the {self.name} {how}" + (f"; it said:\n{tail}" if tail else ""))

    def log_tail(self) -> str:
        """Returns the last lines of its log."""
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines() if self._log else []
        except OSError:
            return ""
        return "\n".join(f"  {line}" for line in lines[-_LAST_LINES:])

    async def end(self) -> None:
        """Terminates it and waits; kills it when it takes too long, or when this is cancelled."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(self._patience_s):
                await process.wait()
        except (TimeoutError, asyncio.CancelledError):
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()


def backend(env: Mapping[str, str], log: Path | None = None) -> Server:
    """Returns the embedded backend, not yet started."""
    return Server("backend", "clawlog_backend", env=env, log=log, patience_s=BACKEND_PATIENCE_S)


async def start_backend(server: Server, *, port: int, database: str | None = None) -> str:
    """Starts the embedded backend on a loopback address; returns its URL once it answers.

    Raises:
        ServerFailed: It could not start.
    """
    line = await server.start("--port", str(port), *(("--database", database) if database else ()), announces=True)
    return line.partition(": ")[2]


def daemon(env: Mapping[str, str], log: Path | None = None) -> Server:
    """Returns the daemon, not yet started."""
    return Server("daemon", "clawlogd", env=env, log=log, patience_s=DAEMON_PATIENCE_S)


async def start_daemon(server: Server, env: Mapping[str, str], *arguments: str) -> None:
    """Starts the daemon, and waits until it answers.

    Raises:
        ServerFailed: It could not start.
    """
    await server.start(*arguments)
    ended = asyncio.create_task(server.ended(), name="the daemon ends")
    try:
        async with asyncio.timeout(START_LIMIT_S), AsyncClient(env=env, autostart=False) as client:
            while not await _answers(client):
                if ended.done():
                    raise server.failure()
                await asyncio.sleep(_PROBE_PAUSE_S)
    except TimeoutError:
        raise ServerFailed(f"the daemon did not answer within {START_LIMIT_S:.0f} s") from None
    finally:
        ended.cancel()


async def _answers(client: AsyncClient) -> bool:
    try:
        await client.daemon_status()
    except DaemonUnreachable:
        return False
    except ClawlogError as error:
        raise ServerFailed(f"what answers at the daemon's address is not a daemon: {error}") from error
    return True
