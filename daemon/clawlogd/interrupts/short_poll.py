"""Short polls for interrupts: one request asks about one task, in rounds, within a budget of requests.

A round asks about the tasks that somebody waits for, those that were active last, and a share of the others in rotation. Each
task stands for itself: one at which the backend fails is asked about less often, and a slow answer holds up no round. Only when
nothing at all is answered do the polls pause.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup

from clawlogd.clock import Clock
from clawlogd.interrupts.closing import Closings
from clawlogd.interrupts.pacing import SHORTEST_PART, Pauses
from clawlogd.interrupts.state import Interrupts
from clawlogd.liveness.evidence import Liveness
from clawlogd.logs import Log
from clawlogd.settings import LiveSettings
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.client import Upstream

_CONCURRENT = 6  # of the eight connections: a caller who asks anew finds one
_TIMEOUT_S = 10.0  # the next round comes soon; nobody needs a late answer
_LONGEST_BACK_OFF_S = 10.0


@dataclass(slots=True)
class _Failing:
    """A task at which the backend fails."""

    delay_s: float
    not_before: float


class ShortPolls:
    """Polls one backend, task by task.

    Args:
        upstream: The backend, over connections of the watcher's own.
        registry: The tasks.
        interrupts: Where what is found goes.
        closings: Where it goes that a task is closed.
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
        closings: Closings,
        liveness: Liveness,
        polled: Mapping[str, str],
        settings: LiveSettings,
        clock: Clock,
    ) -> None:
        self._upstream = upstream
        self._registry = registry
        self._interrupts = interrupts
        self._closings = closings
        self._liveness = liveness
        self._polled = polled
        self._settings = settings
        self._clock = clock
        self._log = Log("watcher", backend=upstream.base_url)
        self._pauses = Pauses(settings, upstream.base_url)
        self._round = 0
        self._failing: dict[str, _Failing] = {}
        self._in_flight: set[str] = set()
        self._answered = False  # whether anything was, in this round

    async def run(self, until: float) -> None:
        """Polls until a monotonic time."""
        limit = anyio.CapacityLimiter(_CONCURRENT)
        async with anyio.create_task_group() as group:
            while self._clock.monotonic() < until:
                started = self._clock.monotonic()
                failure = await self._ask_all(group, limit, self._chosen())
                if failure is None:
                    self._pauses.succeeded()
                    await self._pauses.between_polls(self._clock.monotonic() - started)
                else:
                    await self._pauses.after_failure(failure)
            group.cancel_scope.cancel()
        self._in_flight.clear()

    def retry_now(self) -> None:
        """Ends a pause, and asks about all tasks again."""
        self._failing.clear()
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
            if control.closed:
                self._closings.look_into(task_id)
        elif current is not None:
            self._interrupts.lose(task_id, answer.detail)
            self._log.debug("control_unknown", task_id=task_id, detail=answer.detail)
        return answer

    async def _ask_all(self, group: TaskGroup, limit: anyio.CapacityLimiter, task_ids: list[str]) -> Answer | None:
        """Asks about several tasks, a few at once, and waits for their answers, but not for slow ones.

        Returns:
            An answer of a backend that is not available: where nothing else was answered.
        """
        self._answered = False
        failures: list[Answer] = []
        done = anyio.Event()
        left = set(task_ids)

        async def ask(task_id: str) -> None:
            try:
                async with limit:
                    answer = await self.ask(task_id)
                if answer is not None and answer.outcome in {Outcome.DELIVERED, Outcome.REFUSED}:
                    self._answered = True
                if answer is not None and answer.outcome is not Outcome.DELIVERED:
                    failures.append(answer)
                self._note(task_id, answer)
            finally:
                self._in_flight.discard(task_id)
                left.discard(task_id)
                if not left:
                    done.set()

        for task_id in task_ids:
            self._in_flight.add(task_id)
            group.start_soon(ask, task_id, name=f"poll {task_id}")
        if left:
            with anyio.move_on_after(max(self._settings.now.poll.interval_s, 0.5)):
                await done.wait()
        return failures[0] if failures and not self._answered and not left else None

    def _note(self, task_id: str, answer: Answer | None) -> None:
        """Asks less often about a task at which the backend fails."""
        if answer is None or answer.outcome is Outcome.DELIVERED:
            self._failing.pop(task_id, None)
            return
        before = self._failing.get(task_id)
        delay_s = min(before.delay_s * 2 if before else self._settings.now.poll.interval_s, _LONGEST_BACK_OFF_S)
        drawn_s = delay_s * random.uniform(SHORTEST_PART, 1.0)  # noqa: S311 - no secret
        self._failing[task_id] = _Failing(delay_s, self._clock.monotonic() + drawn_s)

    def _chosen(self) -> list[str]:
        """This round's tasks: half of the budget for those that matter most now, half for the others in rotation.

        None where the control state comes with the answers to heartbeats.
        """
        if self._upstream.hears_with_beats:
            return []
        now = self._clock.monotonic()
        for task_id in [each for each in self._failing if each not in self._polled]:
            del self._failing[task_id]
        due = [each for each in self._polled if each not in self._in_flight and not self._backs_off(each, now)]
        poll = self._settings.now.poll
        budget = max(2, int(poll.budget_per_s * poll.interval_s * SHORTEST_PART))
        if len(due) <= budget:
            return due
        ranked = sorted(due, key=self._rank, reverse=True)
        first, rest = ranked[: budget // 2], sorted(ranked[budget // 2 :])
        share = budget - len(first)
        start = self._round * share % len(rest)
        self._round += 1
        return [*first, *(rest * 2)[start : start + share]]

    def _backs_off(self, task_id: str, now: float) -> bool:
        failing = self._failing.get(task_id)
        return failing is not None and failing.not_before > now

    def _rank(self, task_id: str) -> tuple[bool, bool, int]:
        task = self._registry.find(task_id)
        if task is None:
            return False, False, 0
        # Where an interrupt is known already, only its withdrawal can be news.
        return not task.interrupt_pending, task_id in self._interrupts.awaited, self._liveness.seen_ms(task)
