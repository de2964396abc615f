"""Looks for requests to stop at one backend: on its own connections and its own timer, never behind deliveries.

Where the backend has the batch route, one request for all tasks is held open until something changes. Else each task is
asked about in turn, within a budget. ``refresh`` asks anew about one task, for a caller who wants fresher knowledge.
"""

from __future__ import annotations

import asyncio
import random

import anyio

from clawlogd.clock import Clock
from clawlogd.delivery.breaker import Breaker
from clawlogd.delivery.lane import Lane
from clawlogd.liveness import Liveness
from clawlogd.logs import Log
from clawlogd.model import Task
from clawlogd.registry import Registry
from clawlogd.settings import Poll, Retry
from clawlogd.stops import Control, Stops
from clawlogd.upstream import Answer, Outcome, Upstream

_SETTLE_S = 0.1  # tasks created together are asked about together
_HELD_LONG = 0.5  # a server that answers "nothing new" before this part of the wait does not hold requests


class Watcher:
    """Watches one backend.

    Args:
        base_url: Its address.
        registry: The tasks.
        stops: Where what is found goes.
        liveness: Which tasks were active last.
        lane: Brings tasks to the backend: one must be there before it can be asked about.
        upstream: The backend, over connections of the watcher's own.
        settings: Intervals.
        retry: Delays after failures.
        clock: Where the time is read.
    """

    def __init__(
        self,
        *,
        base_url: str,
        registry: Registry,
        stops: Stops,
        liveness: Liveness,
        lane: Lane,
        upstream: Upstream,
        settings: Poll,
        retry: Retry,
        clock: Clock,
    ) -> None:
        self.base_url = base_url
        self._registry = registry
        self._stops = stops
        self._liveness = liveness
        self._lane = lane
        self._upstream = upstream
        self._settings = settings
        self._clock = clock
        self._log = Log("watcher", backend=base_url)
        self._breaker = Breaker(retry)
        self._watched: dict[str, Task] = {}
        self._covered: set[str] = set()
        self._cursor: str | None = None
        self._plain_until = 0.0
        self._changed = asyncio.Event()
        self._held: anyio.CancelScope | None = None
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._turn = 0
        for task in registry:
            self._task_changed(None, task)
        registry.observe(self._task_changed)

    async def run(self) -> None:
        """Watches until cancelled."""
        while True:
            self._changed.clear()
            if not self._watched:
                await self._changed.wait()
                await anyio.sleep(_SETTLE_S)
                continue
            if self._clock.monotonic() < self._plain_until:
                await self._poll_each()
            else:
                await self._poll_all()

    async def refresh(self, task: Task, timeout_s: float) -> None:
        """Asks the backend about one task, once; what it says is in ``stops`` afterwards. Gives up silently at the timeout."""
        asking = self._asking.get(task.task_id)
        if asking is None:
            asking = asyncio.create_task(self._ask(task.task_id, timeout_s), name=f"ask {task.task_id}")
            self._asking[task.task_id] = asking
            asking.add_done_callback(lambda _: self._asking.pop(task.task_id, None))
        await asyncio.wait([asking], timeout=timeout_s)

    async def _ask(self, task_id: str, timeout_s: float) -> None:
        with anyio.move_on_after(timeout_s):
            while (task := self._registry.find(task_id)) is not None and not task.upstream:
                await self._lane.settled()
            if task is not None:
                answer, control = await self._upstream.control(task.remote_id or task.task_id, timeout_s)
                self._take(task_id, answer, control)

    def _take(self, task_id: str, answer: Answer, control: Control | None) -> None:
        current = self._registry.find(task_id)
        if control is not None and current is not None:
            self._stops.observe(current, control)
        elif answer.outcome is not Outcome.TRANSIENT:
            self._log.debug("control_refused", task_id=task_id, detail=answer.detail)

    # ── All tasks by one request ───────────────────────────────────────────────────────────────────────────────────

    async def _poll_all(self) -> None:
        by_remote = {task.remote_id or task_id: task_id for task_id, task in self._watched.items()}
        fresh = [remote for remote, task_id in by_remote.items() if task_id not in self._covered]
        # What already stood when a task came under watch is asked for without a cursor; then only changes are.
        asked = fresh or list(by_remote)
        wait_s = 0.0 if fresh else self._settings.wait_s
        started = self._clock.monotonic()
        with anyio.CancelScope() as self._held:
            answer, controls = await self._upstream.poll_controls(asked, None if fresh else self._cursor, wait_s)
        if self._held.cancelled_caught:
            return
        self._held = None
        if answer.outcome is Outcome.NO_ROUTE:
            self._plain_until = self._clock.monotonic() + self._settings.recheck_batch_s
            return
        if answer.outcome is not Outcome.DELIVERED:
            self._covered.clear()
            await self._pause_after_failure(answer)
            return
        self._breaker.succeeded()
        if not fresh or self._cursor is None:
            self._cursor = answer.body
        for remote in asked:
            task_id = by_remote[remote]
            self._covered.add(task_id)
            self._stops.confirm(task_id)
        for remote, control in controls.items():
            if task := self._registry.find(by_remote.get(remote, "")):
                self._stops.observe(task, control)
        if not fresh and not controls and self._clock.monotonic() - started < wait_s * _HELD_LONG:
            await self._pause()

    def _rescan(self) -> None:
        self._changed.set()
        if self._held is not None:
            asyncio.get_running_loop().call_later(_SETTLE_S, self._release, self._held)

    def _release(self, held: anyio.CancelScope) -> None:
        if held is self._held:
            held.cancel()

    # ── One task at a time ─────────────────────────────────────────────────────────────────────────────────────────

    async def _poll_each(self) -> None:
        started = self._clock.monotonic()
        for task_id in self._chosen():
            task = self._registry.find(task_id)
            if task is None:
                continue
            answer, control = await self._upstream.control(task.remote_id or task_id)
            if answer.outcome in {Outcome.TRANSIENT, Outcome.UNAUTHORIZED}:
                await self._pause_after_failure(answer)
                return
            self._breaker.succeeded()
            self._take(task_id, answer, control)
        await self._pause(self._clock.monotonic() - started)

    def _chosen(self) -> list[str]:
        """This turn's tasks: half of the budget for the most recently active, half for the others in rotation."""
        budget = max(2, int(self._settings.budget_per_s * self._settings.interval_s))
        ranked = sorted(self._watched, key=lambda task_id: -self._liveness.seen_ms(self._watched[task_id]))
        if len(ranked) <= budget:
            return ranked
        first, rest = ranked[: budget // 2], sorted(ranked[budget // 2 :])
        share = budget - len(first)
        start = self._turn * share % len(rest)
        self._turn += 1
        return [*first, *(rest * 2)[start : start + share]]

    # ── Pauses ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _pause(self, spent_s: float = 0.0) -> None:
        interval_s = self._settings.interval_s * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
        with anyio.move_on_after(max(0.0, interval_s - spent_s)):
            await self._changed.wait()

    async def _pause_after_failure(self, answer: Answer) -> None:
        delay_s = self._breaker.failed(answer.retry_after_s)
        self._log.debug("poll_failed", detail=answer.detail, delay_s=round(delay_s, 1))
        await anyio.sleep(max(delay_s, 0.05))

    def _task_changed(self, before: Task | None, after: Task | None) -> None:
        task = after or before
        if task is None or task.base_url != self.base_url:
            return
        if after is not None and after.upstream and not after.status.ended:
            new = after.task_id not in self._watched
            self._watched[after.task_id] = after
            if new:
                self._rescan()
        else:
            self._watched.pop(task.task_id, None)
            self._covered.discard(task.task_id)
