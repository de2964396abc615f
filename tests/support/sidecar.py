"""Liveness and its timetable on a clock that a test moves, with the real registry and the real outbox beneath them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import msgspec

from clawlogd import assembly
from clawlogd.clock import Clock
from clawlogd.faults import Faults
from clawlogd.instance import private_folder
from clawlogd.model import Beat, Event, Task
from clawlogd.services import Services
from clawlogd.settings import Heartbeat, LiveSettings, Settings
from clawlogd.tasks.loading import load_state

URL = "http://backend.test"


class SteppedClock:
    """Time that stands still until a test moves it."""

    def __init__(self) -> None:
        self._wall_ms = 1_772_265_600_000  # 2026-02-28 08:00 UTC
        self._monotonic = 1000.0

    def wall_ms(self) -> int:
        return self._wall_ms

    def monotonic(self) -> float:
        return self._monotonic

    def pass_(self, seconds: float) -> None:
        self._wall_ms += round(seconds * 1000)
        self._monotonic += seconds

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: the wall clock runs on, the monotonic one does not."""
        self._wall_ms += round(seconds * 1000)


class Sidecar:
    """The daemon's services over one state folder, with none of its loops running; a test plays agent, lane and kernel."""

    def __init__(self, services: Services, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.clock: Any = services.clock
        self.outbox = services.outbox
        self.registry = services.registry
        self.liveness = services.liveness
        self.interrupts = services.interrupts
        self.heartbeats = services.heartbeats
        self.woken: list[str] = []
        self.slept = 0
        services.backends.wake = self.woken.append  # type: ignore[method-assign]
        services.backends.retry_now = self._count_sleep  # type: ignore[method-assign]

    @classmethod
    async def over(cls, folder: Path, clock: Clock, heartbeat: Heartbeat) -> Self:
        """Builds the services as the daemon does."""
        private_folder(folder)
        stack = AsyncExitStack()
        where = assembly.Environment({}, folder, None, clock)
        settings = LiveSettings(Settings(heartbeat=heartbeat))
        state = load_state(folder, settings, clock)
        stack.push_async_callback(state.outbox.close)
        services = assembly.assemble(state, settings, where, lambda name, work: None, stack, faults=Faults(clock))
        return cls(services, stack)

    def begin(self) -> None:
        """What the daemon does once the spool has been taken in."""
        self.interrupts.resume()
        self.liveness.resume()
        self.heartbeats.resume()

    def create(self, task_id: str = "t", **fields: Any) -> Task:
        """A task that its backend has."""
        task = Task(
            task_id=task_id,
            title="T",
            created_ms=self.clock.wall_ms(),
            **{"base_url": URL, "seen_ms": self.clock.wall_ms(), "upstream": True, **fields},
        )
        self.registry.put(task)
        return task

    def change(self, task_id: str = "t", **fields: Any) -> Task:
        self.registry.put(msgspec.structs.replace(self.task(task_id), **fields))
        return self.task(task_id)

    def task(self, task_id: str = "t") -> Task:
        return self.registry.get(task_id)

    def command(self, task_id: str = "t", **words: Any) -> None:
        self.liveness.record_command(self.task(task_id), **words)

    def beats(self) -> list[Beat]:
        """What the lane would send now."""
        self.heartbeats.tick()
        return self.heartbeats.take(URL, 100_000, 1 << 30)

    def beats_within(self, seconds: float, step_s: float = 0.5) -> list[tuple[float, Beat]]:
        """Lets time pass, and collects each beat with the time that had passed by then."""
        seen: list[tuple[float, Beat]] = []
        passed = 0.0
        while passed < seconds:
            seen += [(passed, beat) for beat in self.beats()]
            self.clock.pass_(step_s)
            passed += step_s
        return seen

    async def events(self) -> list[Event]:
        """What waits for the backend, in order."""
        lane = self.outbox.lane(URL)
        await self.outbox.committed()
        stored = await self.outbox.read(lambda store: store.pending(lane, limit=10_000, max_bytes=1 << 30))
        return [msgspec.json.decode(each.body, type=Event) for each in stored]

    async def close(self) -> None:
        await self._stack.aclose()

    def _count_sleep(self) -> None:
        self.slept += 1
