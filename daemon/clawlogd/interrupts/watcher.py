"""Polls one backend for interrupts: on its own connections and its own timer, never behind deliveries.

Where the backend has the route for many tasks, long polls are held open until something changes. Else each task is polled for
in turn. ``refresh`` asks anew about one task, for a caller who needs fresher knowledge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio

from clawlogd.clock import Clock
from clawlogd.interrupts.closing import Closings
from clawlogd.interrupts.long_poll import LongPolls
from clawlogd.interrupts.short_poll import ShortPolls
from clawlogd.interrupts.state import Interrupts
from clawlogd.liveness.evidence import Liveness
from clawlogd.model import Task
from clawlogd.settings import LiveSettings
from clawlogd.tasks.registry import ObserverOrder, Registry
from clawlogd.upstream.answers import Outcome
from clawlogd.upstream.client import Upstream

_BEATS_MISSED = 2  # after how many beats' time their answers say nothing any more


class InterruptWatcher:
    """Polls one backend for the interrupts of its tasks.

    Args:
        base_url: Its address.
        registry: The tasks.
        interrupts: Where what is found goes.
        liveness: Which tasks were active last.
        next_round: Returns after the lane's next round: a task must be delivered before it can be asked about.
        upstream: The backend, over connections of the watcher's own.
        settings: Intervals, and delays after failures.
        clock: Where the time is read.
    """

    def __init__(
        self,
        *,
        base_url: str,
        registry: Registry,
        interrupts: Interrupts,
        liveness: Liveness,
        next_round: Callable[[], Awaitable[None]],
        upstream: Upstream,
        settings: LiveSettings,
        clock: Clock,
    ) -> None:
        self.base_url = base_url
        self._upstream = upstream
        self._interrupts = interrupts
        self._registry = registry
        self._next_round = next_round
        self._settings = settings
        self._clock = clock
        self._polled: dict[str, str] = {}
        self._closings = Closings(upstream=upstream, registry=registry, interrupts=interrupts, clock=clock)
        self._long_polls = LongPolls(
            upstream=upstream,
            registry=registry,
            interrupts=interrupts,
            closings=self._closings,
            settings=settings,
            clock=clock,
        )
        self._short_polls = ShortPolls(
            upstream=upstream,
            registry=registry,
            interrupts=interrupts,
            closings=self._closings,
            liveness=liveness,
            polled=self._polled,
            settings=settings,
            clock=clock,
        )
        self._queries: dict[str, asyncio.Task[bool]] = {}
        for task in registry:
            if not task.status.ended or task.trouble_ms is not None:
                self._task_changed(None, task)
        registry.observe(ObserverOrder.WATCHERS, self._task_changed)

    async def run(self) -> None:
        """Polls until cancelled."""
        try:
            while True:
                await self._long_polls.run()
                await self._short_polls.run(until=self._clock.monotonic() + self._settings.now.poll.recheck_batch_s)
        finally:
            self._closings.cancel()

    async def refresh(self, task: Task, timeout_s: float) -> bool:
        """Asks the backend about one task, once; ``interrupts`` knows of it afterwards. Returns whether it answered in time.

        Where only the answers to heartbeats say it, nothing is sent: what the last of them said is the answer, while they come.
        """
        if self._upstream.hears_with_beats:
            age_s = self._interrupts.status(task).age_s
            known = self._interrupts.unknown(task.task_id) is None
            return known and age_s is not None and age_s <= self._settings.now.heartbeat.interval_s * _BEATS_MISSED
        query = self._queries.get(task.task_id)
        if query is None:
            query = asyncio.create_task(self._ask(task.task_id, timeout_s), name=f"ask {task.task_id}")
            self._queries[task.task_id] = query
            query.add_done_callback(lambda _: self._queries.pop(task.task_id, None))
        await asyncio.wait([query], timeout=timeout_s)
        return query.done() and query.result()

    async def freshen(self, task_ids: list[str], timeout_s: float) -> set[str]:
        """Asks the backend anew about tasks, all in one request, where that is not done at intervals anyway.

        Returns:
            Those of which no more can be known than is.
        """
        if self._upstream.hears_with_beats:
            tasks = [task for task_id in task_ids if (task := self._registry.find(task_id)) is not None]
            return {task.task_id for task in tasks if await self.refresh(task, 0.0)}
        with anyio.move_on_after(timeout_s):
            await self._long_polls.confirm(task_ids)
        return set()

    def retry_now(self) -> None:
        """Asks anew now: connections may have died while the machine slept."""
        self._long_polls.retry_now()
        self._short_polls.retry_now()

    async def _ask(self, task_id: str, timeout_s: float) -> bool:
        with anyio.move_on_after(timeout_s):
            while (task := self._registry.find(task_id)) is not None and not task.upstream:
                await self._next_round()
            answer = await self._short_polls.ask(task_id, timeout_s)
            return answer is not None and answer.outcome is Outcome.DELIVERED
        return False

    def forget(self) -> None:
        """Is told of no more changes: nothing is to be watched at this backend."""
        self._registry.unobserve(self._task_changed)

    def _task_changed(self, before: Task | None, after: Task | None) -> None:
        task = after or before
        if task is None or task.base_url != self.base_url:
            return
        if after is None or not after.upstream or after.status.ended:
            self._polled.pop(task.task_id, None)
            if after is not None and after.upstream and after.trouble_ms is not None and not after.acknowledged:
                self._long_polls.add(after.task_id, after.remote_id or after.task_id)  # somebody may acknowledge it
            else:
                self._long_polls.remove(task.task_id)
        elif self._polled.get(after.task_id) != (after.remote_id or after.task_id):
            self._long_polls.remove(after.task_id)
            self._polled[after.task_id] = after.remote_id or after.task_id
            self._long_polls.add(after.task_id, self._polled[after.task_id])
