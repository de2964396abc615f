"""A whole daemon in the test's own event loop: its real sockets, its real outbox, its real HTTP; only the process is shared."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clawlogd import app, assembly
from clawlogd.clock import Clock, SystemClock
from clawlogd.services import Services
from clawlogd.settings import Batch, Metadata, Poll, Retry, Settings, Shutdown
from support.callers import UnixCaller, call

LIMIT_S = 20.0

QUICK = Settings(
    base_url="http://127.0.0.1:9",  # where nobody is, so that a test reaches no server but its own
    batch=Batch(min_interval_s=0.0),
    retry=Retry(quick_delays_s=(0.01, 0.01, 0.01), max_delay_s=1.0),
    poll=Poll(interval_s=0.1, wait_s=2.0),
    metadata=Metadata(automatic=False),  # so that a test sees what it gave
    shutdown=Shutdown(deliver_s=0.05, deadline_s=10.0),
)
"""The defaults, with the pauses between requests shortened and no backend to fall back on."""


class RunningDaemon:
    """A daemon that a test starts, calls and stops, as often as it likes, over one state folder.

    Attributes:
        services: Its services, to inspect.
    """

    def __init__(
        self, folder: Path, settings: Settings = QUICK, *, env: Mapping[str, str] | None = None, clock: Clock | None = None
    ) -> None:
        self.settings = settings
        self.state_dir = folder / "state"
        self.socket_path = folder / "d.sock"
        self._env = dict(env or {})
        self._clock = clock or SystemClock()
        self._shutdown = app.ShutdownSignal()
        self._task: asyncio.Task[None] | None = None
        self._callers: list[UnixCaller] = []
        self._caller: UnixCaller | None = None
        self._services: Services | None = None

    @property
    def services(self) -> Services:
        assert self._services is not None, "not started"
        return self._services

    async def start(self) -> None:
        """Starts it, and returns when it serves."""
        ready: asyncio.Future[Services] = asyncio.get_running_loop().create_future()
        where = assembly.Environment(self._env, self.state_dir, self.socket_path, self._clock)
        self._shutdown = app.ShutdownSignal()
        self._task = asyncio.create_task(app.run(self.settings, where, self._shutdown, ready.set_result), name="daemon")
        async with asyncio.timeout(LIMIT_S):
            await asyncio.wait([ready, self._task], return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            failed, self._task = self._task, None
            await failed
        self._services = ready.result()

    def request_shutdown(self) -> None:
        """What a signal does."""
        self._shutdown.request()

    async def stopped(self) -> None:
        """Returns when it has ended, with the error that it ended with."""
        task, self._task = self._task, None
        if task is not None:
            async with asyncio.timeout(LIMIT_S):
                await task
        await self._hang_up()

    async def stop(self) -> None:
        """Ends it in good order."""
        self.request_shutdown()
        await self.stopped()

    async def connect(self) -> UnixCaller:
        """A new connection to it, closed with it."""
        caller = await UnixCaller.connect(self.socket_path)
        self._callers.append(caller)
        return caller

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of one verb, over a connection that is kept.

        Raises:
            RpcError: What the daemon answered instead.
        """
        if self._caller is None:
            self._caller = await self.connect()
        return await call(self._caller, method, **params)

    async def flush(self) -> None:
        """Returns when everything accepted has been delivered."""
        assert await self.call("daemon.flush", timeout_s=LIMIT_S) == {"flushed": True, "pending": 0}

    async def _hang_up(self) -> None:
        callers, self._callers, self._caller = self._callers, [], None
        for caller in callers:
            await caller.close()


async def until(condition: Any, timeout_s: float = 10.0) -> None:
    """Polls a condition that no event announces; it may be a coroutine function."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        held = condition()
        if asyncio.iscoroutine(held):
            held = await held
        if held:
            return
        assert asyncio.get_running_loop().time() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)
