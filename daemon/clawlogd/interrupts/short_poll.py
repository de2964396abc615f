"""Short polls for interrupts: one request asks about one task, in rounds, within a budget of requests.

A round asks about the tasks that somebody waits for, those that were active last, and a share of the others in rotation.
"""

from __future__ import annotations

from collections.abc import Mapping

import anyio

from clawlogd.clock import Clock
from clawlogd.interrupts.pacing import SHORTEST_PART, Pauses
from clawlogd.interrupts.state import Interrupts
from clawlogd.liveness.evidence import Liveness
from clawlogd.logs import Log
from clawlogd.settings import LiveSettings
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.client import Upstream

_CONCURRENT = 4  # one slow answer does not hold up the others
_TIMEOUT_S = 10.0  # the next round comes soon; nobody needs a late answer


class ShortPolls:
    """Polls one backend, task by task.

    Args:
        upstream: The backend, over connections of the watcher's own.
        registry: The tasks.
        interrupts: Where what is found goes.
        liveness: Which tasks were active last.
        polled: The tasks to poll for, with the ids by which the backend knows them.
        settings: Interval and budget; delays after failures.
        clock: Where the time is read.
    """

    def __init__(
        self,
        *,
        upstream: Upstream,
        registry: Registry,
        interrupts: Interrupts,
        liveness: Liveness,
        polled: Mapping[str, str],
        settings: LiveSettings,
        clock: Clock,
    ) -> None:
        self._upstream = upstream
        self._registry = registry
        self._interrupts = interrupts
        self._liveness = liveness
        self._polled = polled
        self._settings = settings
        self._clock = clock
        self._log = Log("watcher", backend=upstream.base_url)
        self._pauses = Pauses(settings, upstream.base_url)
        self._round = 0

    async def run(self, until: float) -> None:
        """Polls until a monotonic time."""
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

    async def ask(self, task_id: str, timeout_s: float = _TIMEOUT_S) -> Answer | None:
        """Asks about one task; ``interrupts`` knows of it afterwards. Returns the answer; None when the task is gone."""
        task = self._registry.find(task_id)
        if task is None:
            return None
        query = self._interrupts.begin_query(task_id)
        answer, control = await self._upstream.get_control(task.remote_id or task_id, timeout_s)
        current = self._registry.find(task_id)
        if control is not None and current is not None:
            self._interrupts.observe(current, control, query)
        elif answer.outcome is Outcome.REFUSED:
            self._log.debug("control_refused", task_id=task_id, detail=answer.detail)
        return answer

    async def _ask_all(self, task_ids: list[str]) -> Answer | None:
        """Asks about several tasks, a few at once. Returns the first answer of a backend that is not available, if any."""
        remaining = iter(task_ids)
        failures: list[Answer] = []

        async def ask_each() -> None:
            for task_id in remaining:
                answer = await self.ask(task_id)
                if answer is not None and answer.outcome in {Outcome.TRANSIENT, Outcome.UNAUTHORIZED}:
                    failures.append(answer)
                if failures:
                    return

        async with anyio.create_task_group() as group:
            for _ in range(min(_CONCURRENT, len(task_ids))):
                group.start_soon(ask_each)
        return failures[0] if failures else None

    def _chosen(self) -> list[str]:
        """This round's tasks: half of the budget for those that matter most now, half for the others in rotation."""
        poll = self._settings.now.poll
        budget = max(2, int(poll.budget_per_s * poll.interval_s * SHORTEST_PART))
        if len(self._polled) <= budget:
            return list(self._polled)
        ranked = sorted(self._polled, key=self._rank, reverse=True)
        first, rest = ranked[: budget // 2], sorted(ranked[budget // 2 :])
        share = budget - len(first)
        start = self._round * share % len(rest)
        self._round += 1
        return [*first, *(rest * 2)[start : start + share]]

    def _rank(self, task_id: str) -> tuple[bool, bool, int]:
        task = self._registry.find(task_id)
        if task is None:
            return False, False, 0
        # Where an interrupt is known already, only its withdrawal can be news.
        return not task.interrupt_pending, task_id in self._interrupts.awaited, self._liveness.seen_ms(task)
