"""When each task's heartbeat is due. What it says is decided when it is sent: beats are never stored and never queued.

Due beats are handed to the task's lane as ids alone; the lane asks for their content when it has a request to put them into.
During an outage a task is simply due, once, however long that lasts; the first request after it carries a true beat.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable

import anyio

from clawlogd.clock import Clock
from clawlogd.liveness import Liveness
from clawlogd.model import Beat, Task
from clawlogd.registry import Registry
from clawlogd.settings import Heartbeat

_TOGETHER_S = 1.0  # beats due within this share a request
_FIRST_S = 0.5  # a new task's first beat
_LOOK_S = 5.0  # how often is looked for a suspend


class Heartbeats:
    """The timetable.

    Args:
        registry: The tasks.
        liveness: Says whether a beat would be true.
        settings: Interval and jitter.
        clock: Where the time is read.
        wake: Called with a backend's address when beats for it are due.
    """

    def __init__(
        self, *, registry: Registry, liveness: Liveness, settings: Heartbeat, clock: Clock, wake: Callable[[str], None]
    ) -> None:
        self._registry = registry
        self._liveness = liveness
        self._settings = settings
        self._clock = clock
        self._wake = wake
        self._times: list[tuple[float, str]] = []
        self._next: dict[str, float] = {}
        self._due: dict[str, dict[str, None]] = {}
        self._changed = asyncio.Event()
        registry.observe(self._task_changed)

    def resume(self) -> None:
        """Schedules the tasks of an earlier run, spread over one interval."""
        for task in self._registry:
            if task.live:
                self._schedule(task.task_id, random.uniform(0, self._settings.interval_s))  # noqa: S311 - no secret

    def soon(self, task: Task) -> None:
        """Makes a task's beat due now."""
        self._schedule(task.task_id, 0.0)

    def next_in_s(self, task: Task) -> float:
        """In how many seconds the task's next beat is due."""
        return max(0.0, self._next.get(task.task_id, 0.0) - self._clock.monotonic())

    async def run(self) -> None:
        """Notes due beats, and lost agents, until cancelled."""
        while True:
            self._changed.clear()
            now = self._clock.monotonic()
            delay_s = min(self._times[0][0] - now, _LOOK_S) if self._times else _LOOK_S
            if delay_s > 0:
                with anyio.move_on_after(delay_s):
                    await self._changed.wait()
            self._liveness.notice_suspend()
            self._collect()

    def take(self, base_url: str, room: int) -> list[Beat]:
        """The true beats of the tasks that are due at a backend, at most ``room`` of them."""
        due = self._due.get(base_url)
        beats: list[Beat] = []
        while due and len(beats) < room:
            task_id = next(iter(due))
            del due[task_id]
            task = self._registry.find(task_id)
            if task is not None and (beat := self._liveness.beat(task)) is not None:
                beats.append(beat)
        return beats

    def has_due(self, base_url: str) -> bool:
        """Whether a backend's lane has beats to send."""
        return bool(self._due.get(base_url))

    def put_back(self, base_url: str, beats: list[Beat]) -> None:
        """Makes beats due again that could not be sent."""
        for beat in beats:
            self._due.setdefault(base_url, {})[beat.task_id] = None
            self._liveness.unsent(beat)

    def _collect(self) -> None:
        now = self._clock.monotonic()
        woken: dict[str, None] = {}
        while self._times and self._times[0][0] <= now + _TOGETHER_S:
            at, task_id = self._times[0]
            if at > now and not woken:
                break  # nothing is due yet: what follows within a second only joins what is
            heapq.heappop(self._times)
            if self._next.get(task_id) != at:
                continue  # rescheduled since
            task = self._registry.find(task_id)
            if task is None or not task.live:
                self._next.pop(task_id, None)
                continue
            if self._liveness.evidence(task) is None:
                self._next.pop(task_id, None)
                self._liveness.declare_lost(task, "no sign of the agent within its lease")
                continue
            if task.upstream:
                self._due.setdefault(task.base_url, {})[task_id] = None
                woken[task.base_url] = None
            self._schedule_next(task)
        for base_url in woken:
            self._wake(base_url)

    def _schedule_next(self, task: Task) -> None:
        jitter_s = random.uniform(-self._settings.jitter_s, self._settings.jitter_s)  # noqa: S311 - no secret
        delay_s = max(0.5, self._settings.interval_s + jitter_s)
        if task.watched is None:
            # The lease is the only evidence: look again just when it runs out.
            delay_s = min(delay_s, max(self._liveness.expires_in_s(task), 0.0) + 0.01)
        self._schedule(task.task_id, delay_s)

    def _schedule(self, task_id: str, delay_s: float) -> None:
        at = self._clock.monotonic() + delay_s
        self._next[task_id] = at
        heapq.heappush(self._times, (at, task_id))
        self._changed.set()

    def _task_changed(self, before: Task | None, after: Task | None) -> None:
        if after is None or not after.live:
            if before is not None:
                self._next.pop(before.task_id, None)
                self._due.get(before.base_url, {}).pop(before.task_id, None)
        elif before is None or not before.live or (after.upstream and not before.upstream):
            self._schedule(after.task_id, _FIRST_S)
