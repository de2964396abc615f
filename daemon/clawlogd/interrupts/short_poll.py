"""Looks for requests to stop where a request asks for one task: in turns, within a budget.

A turn asks about the tasks that somebody waits for, those that were active last, and a share of the others in rotation.
"""

from __future__ import annotations

from collections.abc import Mapping

import anyio

from clawlogd.clock import Clock
from clawlogd.interrupts.pacing import SHORTEST_PART, Pauses
from clawlogd.interrupts.state import Stops
from clawlogd.liveness.evidence import Liveness
from clawlogd.logs import Log
from clawlogd.settings import LiveSettings
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.client import Upstream

_AT_ONCE = 4  # one slow answer does not hold up the others
_ANSWER_S = 10.0  # a question is asked again soon; nobody needs a late answer


class SinglePolls:
    """Watches one backend, task by task.

    Args:
        upstream: The backend, over connections of the watcher's own.
        registry: The tasks.
        stops: Where what is found goes.
        liveness: Which tasks were active last.
        watched: The tasks under watch, with the ids by which the backend knows them.
        settings: Interval and budget; delays after failures.
        clock: Where the time is read.
    """

    def __init__(
        self,
        *,
        upstream: Upstream,
        registry: Registry,
        stops: Stops,
        liveness: Liveness,
        watched: Mapping[str, str],
        settings: LiveSettings,
        clock: Clock,
    ) -> None:
        self._upstream = upstream
        self._registry = registry
        self._stops = stops
        self._liveness = liveness
        self._watched = watched
        self._settings = settings
        self._clock = clock
        self._log = Log("watcher", backend=upstream.base_url)
        self._pauses = Pauses(settings, upstream.base_url)
        self._turn = 0

    async def run(self, until: float) -> None:
        """Watches until a monotonic time."""
        while self._clock.monotonic() < until:
            started = self._clock.monotonic()
            failure = await self._ask_all(self._chosen())
            if failure is None:
                self._pauses.succeeded()
                await self._pauses.between_polls(self._clock.monotonic() - started)
            else:
                await self._pauses.after_failure(failure)

    def retry_now(self) -> None:
        """Ends a pause."""
        self._pauses.end()

    async def ask(self, task_id: str, timeout_s: float = _ANSWER_S) -> Answer | None:
        """Asks about one task; what is said is in ``stops`` afterwards. Returns the answer; None when the task is gone."""
        task = self._registry.find(task_id)
        if task is None:
            return None
        asked = self._stops.asking(task_id)
        answer, control = await self._upstream.get_control(task.remote_id or task_id, timeout_s)
        current = self._registry.find(task_id)
        if control is not None and current is not None:
            self._stops.observe(current, control, asked)
        elif answer.outcome is Outcome.REFUSED:
            self._log.debug("control_refused", task_id=task_id, detail=answer.detail)
        return answer

    async def _ask_all(self, task_ids: list[str]) -> Answer | None:
        """Asks about several tasks, a few at once. Returns the answer that says that the backend cannot be had, if one did."""
        waiting = iter(task_ids)
        failures: list[Answer] = []

        async def ask_on() -> None:
            for task_id in waiting:
                answer = await self.ask(task_id)
                if answer is not None and answer.outcome in {Outcome.TRANSIENT, Outcome.UNAUTHORIZED}:
                    failures.append(answer)
                if failures:
                    return

        async with anyio.create_task_group() as group:
            for _ in range(min(_AT_ONCE, len(task_ids))):
                group.start_soon(ask_on)
        return failures[0] if failures else None

    def _chosen(self) -> list[str]:
        """This turn's tasks: half of the budget for those that matter most now, half for the others in rotation."""
        poll = self._settings.now.poll
        budget = max(2, int(poll.budget_per_s * poll.interval_s * SHORTEST_PART))
        if len(self._watched) <= budget:
            return list(self._watched)
        ranked = sorted(self._watched, key=self._rank, reverse=True)
        first, rest = ranked[: budget // 2], sorted(ranked[budget // 2 :])
        share = budget - len(first)
        start = self._turn * share % len(rest)
        self._turn += 1
        return [*first, *(rest * 2)[start : start + share]]

    def _rank(self, task_id: str) -> tuple[bool, bool, int]:
        task = self._registry.find(task_id)
        if task is None:
            return False, False, 0
        # Of a stop that is known there is only its withdrawal to learn.
        return not task.stopping, task_id in self._stops.awaited, self._liveness.seen_ms(task)
