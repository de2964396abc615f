"""Looks for requests to stop at one backend: on its own connections and its own timer, never behind deliveries.

Where the backend has the batch route, requests for all tasks are held open until something changes. Else each task is asked
about in turn. ``refresh`` asks anew about one task, for a caller who wants fresher knowledge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio

from clawlogd.clock import Clock
from clawlogd.interrupts.long_poll import HeldPolls
from clawlogd.interrupts.short_poll import SinglePolls
from clawlogd.interrupts.state import Stops
from clawlogd.liveness.evidence import Liveness
from clawlogd.model import Task
from clawlogd.settings import LiveSettings
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.answers import Outcome
from clawlogd.upstream.client import Upstream


class Watcher:
    """Watches one backend.

    Args:
        base_url: Its address.
        registry: The tasks.
        stops: Where what is found goes.
        liveness: Which tasks were active last.
        delivered: Returns after something was delivered: a task must be there before it can be asked about.
        upstream: The backend, over connections of the watcher's own.
        settings: Intervals, and delays after failures.
        clock: Where the time is read.
    """

    def __init__(
        self,
        *,
        base_url: str,
        registry: Registry,
        stops: Stops,
        liveness: Liveness,
        delivered: Callable[[], Awaitable[None]],
        upstream: Upstream,
        settings: LiveSettings,
        clock: Clock,
    ) -> None:
        self.base_url = base_url
        self._registry = registry
        self._delivered = delivered
        self._settings = settings
        self._clock = clock
        self._watched: dict[str, str] = {}
        self._held = HeldPolls(upstream=upstream, registry=registry, stops=stops, settings=settings, clock=clock)
        self._single = SinglePolls(
            upstream=upstream,
            registry=registry,
            stops=stops,
            liveness=liveness,
            watched=self._watched,
            settings=settings,
            clock=clock,
        )
        self._asking: dict[str, asyncio.Task[bool]] = {}
        for task in registry:
            self._task_changed(None, task)
        registry.observe(self._task_changed)

    async def run(self) -> None:
        """Watches until cancelled."""
        while True:
            await self._held.run()
            await self._single.run(until=self._clock.monotonic() + self._settings.now.poll.recheck_batch_s)

    async def refresh(self, task: Task, timeout_s: float) -> bool:
        """Asks the backend about one task, once; what it says is in ``stops`` afterwards. Returns whether it said anything."""
        asking = self._asking.get(task.task_id)
        if asking is None:
            asking = asyncio.create_task(self._ask(task.task_id, timeout_s), name=f"ask {task.task_id}")
            self._asking[task.task_id] = asking
            asking.add_done_callback(lambda _: self._asking.pop(task.task_id, None))
        await asyncio.wait([asking], timeout=timeout_s)
        return asking.done() and asking.result()

    def retry_now(self) -> None:
        """Asks anew now: connections may have died while the machine slept."""
        self._held.retry_now()
        self._single.retry_now()

    async def _ask(self, task_id: str, timeout_s: float) -> bool:
        with anyio.move_on_after(timeout_s):
            while (task := self._registry.find(task_id)) is not None and not task.upstream:
                await self._delivered()
            answer = await self._single.ask(task_id, timeout_s)
            return answer is not None and answer.outcome is Outcome.DELIVERED
        return False

    def _task_changed(self, before: Task | None, after: Task | None) -> None:
        task = after or before
        if task is None or task.base_url != self.base_url:
            return
        if after is None or not after.upstream or after.status.ended:
            self._watched.pop(task.task_id, None)
            self._held.unwatch(task.task_id)
        elif after.task_id not in self._watched:
            self._watched[after.task_id] = after.remote_id or after.task_id
            self._held.watch(after.task_id, self._watched[after.task_id])
