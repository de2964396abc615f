"""When each task's heartbeat is due. Its content is decided when it is sent: heartbeats are never stored and never queued.

A lane gets the ids of the tasks that are due, and asks for the heartbeats themselves when it has a request to put them into.
During an outage a task is simply due, once, however long that lasts; the first request after it has a true heartbeat.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import anyio

from clawlogd.clock import Clock, rfc3339
from clawlogd.liveness.evidence import Liveness
from clawlogd.logs import Log
from clawlogd.model import Beat, Task
from clawlogd.settings import LiveSettings
from clawlogd.tasks.registry import ObserverOrder, Registry

_GRID_S = 1.0  # beats fall on whole seconds, so that those of one second share a request
_FIRST_CHECK_S = 2.0  # sooner than any lease runs out
_RETRY_S = 2.0  # until a loss that could not be recorded is tried again
_AFTER_FAULT_S = 60.0  # until a task is checked again at which a check failed
_TICK_S = 5.0  # how often a suspend is checked for
_STALLED_S = 2.0  # a loop that woke later than this was itself stopped
_RESUMED_PER_S = 200  # after a restart the tasks of an earlier run beat as soon as they can without crowding
_CHECKED_AT_ONCE = 1000  # tasks, some milliseconds; then all else has its turn
_FIRST_GRID_S = 0.01  # the first checks of a million tasks are not at a million times
_BEAT_BYTES = 400  # one beat in a batch, but for its summary


@dataclass(slots=True)
class _TaskTimes:
    """One task's times, monotonic.

    Attributes:
        beat: When its next heartbeat is due.
        check: When it is judged next: then, or earlier, when its evidence runs out.
    """

    beat: float
    check: float


class HeartbeatSchedule:
    """The schedule of all live tasks.

    Args:
        registry: The tasks.
        liveness: Has the evidence that a heartbeat is sent on.
        settings: Interval and jitter.
        clock: Where the time is read.
        wake: Called with a backend's address when heartbeats for it are due.
        slept: Called when the machine has been asleep: connections may be dead, and pauses are over.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        liveness: Liveness,
        settings: LiveSettings,
        clock: Clock,
        wake: Callable[[str], None],
        slept: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._liveness = liveness
        self._settings = settings
        self._clock = clock
        self._wake = wake
        self._slept = slept
        self._log = Log("heartbeats")
        self._check_times: list[float] = []  # a heap
        self._checks: dict[float, list[str]] = {}
        self._scheduled: dict[str, _TaskTimes] = {}
        self._due: dict[str, dict[str, None]] = {}
        self._changed = asyncio.Event()
        registry.observe(ObserverOrder.HEARTBEATS, self._task_changed)

    def resume(self) -> None:
        """Schedules the tasks of an earlier run, spread over one interval at most."""
        live = [task.task_id for task in self._registry if task.live]
        spread_s = min(self._settings.now.heartbeat.interval_s, len(live) / _RESUMED_PER_S)
        for task_id in live:
            self._schedule(task_id, random.uniform(0, spread_s))  # noqa: S311 - no secret

    def make_due(self, task: Task) -> None:
        """Makes a heartbeat of a task due now, beside its regular ones."""
        if task.live and task.upstream:
            self._due.setdefault(task.base_url, {})[task.task_id] = None
            self._wake(task.base_url)

    def next_in_s(self, task: Task) -> float:
        """In how many seconds the task's next heartbeat is due."""
        if task.task_id in self._due.get(task.base_url, {}):
            return 0.0
        times = self._scheduled.get(task.task_id)
        return max(0.0, times.beat - self._clock.monotonic()) if times else 0.0

    async def run(self) -> None:
        """Notes due heartbeats, and lost agents, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            delay_s = self.tick()
            planned = loop.time() + delay_s
            with anyio.move_on_after(delay_s):
                await self._changed.wait()
            if (late_s := loop.time() - planned) > _STALLED_S:
                # This process was suspended itself, and commands that agents sent meanwhile wait unread.
                self._log.info("late", late_s=round(late_s, 1))
                self._liveness.extend_grace()

    def tick(self) -> float:
        """Notes what is due by now. Returns in how many seconds there may be more."""
        if self._liveness.detect_suspend():
            self._slept()
        now = self._clock.monotonic()
        woken: dict[str, None] = {}
        left = _CHECKED_AT_ONCE
        while self._check_times and self._check_times[0] <= now and left > 0:
            at = self._check_times[0]
            tasks = self._checks[at]
            if len(tasks) <= left:
                heapq.heappop(self._check_times)
                del self._checks[at]
            chosen, tasks[:] = tasks[:left], tasks[left:]
            left -= len(chosen)
            for task_id in chosen:
                times = self._scheduled.get(task_id)
                if times is not None and times.check == at:  # else it was scheduled anew since
                    self._check_safely(task_id, times, now, woken)
        for base_url in woken:
            self._wake(base_url)
        return max(0.0, min(self._check_times[0] - now, _TICK_S)) if self._check_times else _TICK_S

    def take(self, base_url: str, room: int, room_bytes: int) -> list[Beat]:
        """Takes the heartbeats that are due at a backend, for which there is still evidence.

        Args:
            base_url: The backend.
            room: How many at most.
            room_bytes: How much they may take in a batch, roughly.
        """
        due, at = self._due.get(base_url, {}), rfc3339(self._clock.wall_ms())
        beats: list[Beat] = []
        for task_id in tuple(islice(due, room)):
            if room_bytes <= 0:
                break
            del due[task_id]
            task = self._registry.find(task_id)
            if task is not None and (beat := self._liveness.beat(task, at)) is not None:
                beats.append(beat)
                room_bytes -= _BEAT_BYTES + (len(beat.summary.encode()) if beat.summary else 0)
        return beats

    def due_count(self, base_url: str) -> int:
        """How many heartbeats a backend's lane has to send."""
        return len(self._due.get(base_url, ()))

    def judge_by(self, task_id: str, at: float) -> None:
        """Judges a task at a monotonic time at the latest; in the past, as soon as can be."""
        times = self._scheduled.get(task_id)
        if times is not None and at < times.check:
            times.check = at
            self._check_by(at, task_id)

    def put_back(self, base_url: str, beats: list[Beat], *, due: bool = True) -> None:
        """Takes heartbeats back that were not delivered. What the agent said goes with the next one.

        Args:
            base_url: The backend.
            beats: The heartbeats.
            due: Whether they are due again at once; else the tasks' next ones come when it is their time.
        """
        for beat in beats:
            if due:
                self._due.setdefault(base_url, {})[beat.task_id] = None
            self._liveness.restore_words(beat)

    def _check_safely(self, task_id: str, times: _TaskTimes, now: float, woken: dict[str, None]) -> None:
        """Checks a task; a fault concerns this one alone, which is checked again later."""
        try:
            self._check(task_id, times, now, woken)
        except Exception as error:  # noqa: BLE001 - the heartbeats of the others must go on
            self._log.error("check_failed", task_id=task_id, error=repr(error))
            times.check = now + _AFTER_FAULT_S
            self._note(times.check, task_id)

    def _check(self, task_id: str, times: _TaskTimes, now: float, woken: dict[str, None]) -> None:
        task = self._registry.find(task_id)
        if task is None or not task.live:
            del self._scheduled[task_id]
            return
        judgement = self._liveness.judge(task)
        if judgement.lost is not None and self._liveness.declare_lost(task, judgement.lost):
            return
        if times.beat <= now:
            times.beat = self._following(now)
            if task.upstream and judgement.evidence is not None:
                self._due.setdefault(task.base_url, {})[task_id] = None
                woken[task.base_url] = None
        times.check = min(times.beat, judgement.until if judgement.lost is None else now + _RETRY_S)
        self._note(times.check, task_id)

    def _following(self, now: float) -> float:
        """When the next heartbeat of a task is due: drawn anew each time, so that no two tasks stay together."""
        settings = self._settings.now.heartbeat
        grid_s = min(_GRID_S, settings.jitter_s)
        at = now + settings.interval_s + random.uniform(grid_s - settings.jitter_s, settings.jitter_s)  # noqa: S311 - no secret
        return max(math.floor(at / grid_s) * grid_s if grid_s else at, now + _GRID_S / 2)

    def _schedule(self, task_id: str, delay_s: float) -> None:
        now = self._clock.monotonic()
        check = math.ceil((now + min(delay_s, _FIRST_CHECK_S)) / _FIRST_GRID_S) * _FIRST_GRID_S
        self._scheduled[task_id] = times = _TaskTimes(beat=now + delay_s, check=check)
        self._check_by(times.check, task_id)

    def _check_by(self, at: float, task_id: str) -> None:
        self._note(at, task_id)
        self._changed.set()

    def _note(self, at: float, task_id: str) -> None:
        """Enters the time of a check. Most fall on whole seconds, so there are few times, each with many tasks."""
        tasks = self._checks.get(at)
        if tasks is None:
            self._checks[at] = [task_id]
            heapq.heappush(self._check_times, at)
        else:
            tasks.append(task_id)

    def _task_changed(self, before: Task | None, after: Task | None) -> None:
        if after is None or not after.live:
            if before is not None:
                self._scheduled.pop(before.task_id, None)
                self._due.get(before.base_url, {}).pop(before.task_id, None)
            return
        if after.task_id not in self._scheduled:
            # The regular beats begin anywhere within an interval: tasks that were created together do not beat together.
            self._schedule(after.task_id, random.uniform(0, self._settings.now.heartbeat.interval_s))  # noqa: S311 - no secret
        if before is None or not before.live or (after.upstream and not before.upstream):
            self.make_due(after)
