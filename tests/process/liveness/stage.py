"""Where the scenes of an agent's life are played, at which pace, and the record of what the backend shows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from clawlog_backend.domain.times import UtcMs
from clawlog_backend.settings import Settings as BackendSettings
from clawlogd.settings import Heartbeat
from support import daemon_process
from support.daemon_process import DaemonProcess
from support.running_backend import Api, RunningBackend
from support.running_daemon import until

LOOK_S = 0.02
LAST_MOMENT_S = 0.5  # of an absence: a beat that is made then may find the backend back


@dataclass(frozen=True)
class Pace:
    """How fast the scenes are played.

    Attributes:
        heartbeat: The daemon's settings.
        stall_after_s: When a hung agent is called stalled.
        absence_s: For how long the daemon or the backend is away.
        lease_s: The lease of an agent that names no process.
        skip: Whether the backend's clock is put forward where nothing but its passing is waited for.
    """

    heartbeat: Heartbeat
    stall_after_s: float
    absence_s: float
    lease_s: float
    skip: bool


QUICKLY = Pace(Heartbeat(interval_s=1.0, jitter_s=0.2), stall_after_s=2.0, absence_s=2.0, lease_s=5.0, skip=True)
IN_EARNEST = Pace(Heartbeat(), stall_after_s=60.0, absence_s=60.0, lease_s=30.0, skip=False)


@dataclass(frozen=True)
class Shown:
    """A state that the backend began to show, and when, in seconds after the event."""

    state: str
    after_s: float
    reason: str | None = None


@dataclass
class Record:
    """What was shown from the event on, and what is true of the agent.

    Attributes:
        states: The states in order; the first is what was shown at the event.
        dies: Whether the event is, or comes after, the agent's death.
        beats_after_end: How many beats came after the task had ended.
    """

    states: list[Shown]
    dies: bool
    beats_after_end: int = 0

    @property
    def names(self) -> list[str]:
        return [each.state for each in self.states]

    def after_s(self, state: str) -> float:
        """When a state began to be shown, for the first time after the event."""
        return next(each.after_s for each in self.states[1:] if each.state == state)

    @property
    def shown_alive_s(self) -> float:
        """For how long after the event the agent was shown alive in all."""
        ends = [each.after_s for each in self.states[1:]]
        return max((end for shown, end in zip(self.states, ends, strict=False) if shown.state == "alive"), default=0.0)


@dataclass
class Stage:
    """The players.

    Attributes:
        away: From when to when the backend was away, but for the last moment.
        seen: What the present, or last, ``watch`` has noted.
    """

    folder: Path
    pace: Pace
    backend: RunningBackend
    daemon: DaemonProcess
    api: Api
    agents: list[asyncio.subprocess.Process] = field(default_factory=list)
    away: tuple[str, str] = ("", "")
    seen: Record = field(default_factory=lambda: Record([], dies=False))

    async def agent(self) -> asyncio.subprocess.Process:
        """A program that runs until something ends it."""
        self.agents.append(await asyncio.create_subprocess_exec("sleep", "3600"))
        return self.agents[-1]

    async def begin(self, **params: Any) -> None:
        """The agent's task, shown alive at the backend."""
        await self.daemon.call("task.create", title="Scene", task_id="t", base_url=self.backend.url, **params)
        await self.until("alive")

    async def state(self) -> Shown | None:
        """What the backend shows now; None when it does not answer."""
        try:
            liveness = (await self.api.get("t"))["liveness"]
        except (aiohttp.ClientError, AssertionError):
            return None
        return Shown(liveness["state"], 0.0, liveness["reason"])

    async def until(self, state: str, limit_s: float = 120.0) -> None:
        async def is_shown() -> bool:
            shown = await self.state()
            return shown is not None and shown.state == state

        await until(is_shown, limit_s)

    async def until_vouched_for_after(self, at: str) -> None:
        """Returns when a beat has come that was made after a time."""

        async def is_vouched_for_anew() -> bool:
            return str((await self.api.get("t"))["liveness"]["vouched_at"]) > at

        await until(is_vouched_for_anew, 60.0)

    async def watch(self, event: Callable[[], Awaitable[None]], *ends: str, dies: bool, limit_s: float = 180.0) -> Record:
        """Lets something happen, and notes what is shown until these states have been shown after it, in this order."""
        loop = asyncio.get_running_loop()
        before = await self.state()
        assert before is not None
        record = self.seen = Record([before], dies)
        waited_for = list(ends)
        happened = asyncio.ensure_future(event())
        started = loop.time()
        async with asyncio.timeout(limit_s):
            while waited_for:
                shown = await self.state()
                if shown is not None and shown.state != record.states[-1].state:
                    record.states.append(replace(shown, after_s=loop.time() - started))
                    if shown.state == waited_for[0]:
                        waited_for.pop(0)
                if self.pace.skip and happened.done() and waited_for == ["quiet"]:
                    self.backend.clock.ahead_ms += 1000
                await asyncio.sleep(LOOK_S)
            await happened
        return record

    async def restart_backend(self, absence_s: float) -> None:
        """The backend is away for a while, and comes back with what it knew, on its port."""
        port = int(self.backend.url.rpartition(":")[2])
        await asyncio.to_thread(self.backend.stop)
        left = UtcMs.now().rfc3339()
        await asyncio.sleep(absence_s - LAST_MOMENT_S)
        self.away = left, UtcMs.now().rfc3339()
        await asyncio.sleep(LAST_MOMENT_S)
        clock = self.backend.clock
        self.backend = RunningBackend(replace(self.backend.settings, port=port))
        self.backend.clock = clock
        await asyncio.to_thread(self.backend.start)


@asynccontextmanager
async def staged(folder: Path, pace: Pace) -> AsyncIterator[Stage]:
    """A stage with its daemon and its backend running."""
    backend = RunningBackend(BackendSettings(database=str(folder / "backend.db"), port=0))
    backend.start()
    names = {f"CLAWLOG_HEARTBEAT_{name.upper()}": str(getattr(pace.heartbeat, name)) for name in Heartbeat.__struct_fields__}
    daemon = DaemonProcess(folder, **names)
    if not pace.skip:
        daemon.env = {name: value for name, value in daemon.env.items() if name not in daemon_process.QUICK}
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        stage = Stage(folder, pace, backend, daemon, Api(session, backend.url))
        try:
            await daemon.start()
            yield stage
        finally:
            await daemon.clean_up()
            for agent in stage.agents:
                with contextlib.suppress(ProcessLookupError):
                    agent.kill()
                await agent.wait()
            await asyncio.to_thread(stage.backend.stop)
