"""Tries out how a backend is spoken to: one task that says it is a trial is told all the way, and what came back is kept.

Nothing of it passes through the outbox or a lane, and no other task is touched. A trial is bounded in time, and ends its task
as far as the backend lets it, also when it is cut short.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any

import anyio

from clawlog.protocol.ids import new_uuid
from clawlogd.clock import Clock, rfc3339
from clawlogd.model import UNMAPPED, Beat, Event, EventKind, Evidence, NewStep
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.client import Upstream
from clawlogd.upstream.contracts.contract import Contract
from clawlogd.upstream.contracts.standard import STANDARD_CONTRACT
from clawlogd.upstream.remote_ids import RemoteIds, read_remote_ids

TITLE = "Trial of clawlog (no agent is at work)"
_SUMMARY = "a trial of how this server is spoken to; close or delete it"
_STEPS = ("first step of the trial", "second step of the trial")
_CLOSE_S = 5.0  # for the end of the trial's task, beyond the time of the trial
_NO_STOP = frozenset({400, 403, 404, 410, 412, 422})  # how servers refuse to acknowledge a stop that nobody asked for
_CONFLICT = 409
_WITHOUT_ROUTE = {
    "read": "the question for a stop shows whether the task is there",
    "heartbeat": "the server is never told that the agent is alive",
    "control": "a stop cannot be seen",
    "ack": "a stop cannot be acknowledged",
    "step": "no step can be reported",
    "task": "told in a heartbeat's summary, where that has one; the task stays open there",
}
_HEARD = "the heartbeat's answer says so"

Attempt = Callable[[], Awaitable[Answer]]


class TrialOutcome(StrEnum):
    """What came of one thing that was tried."""

    OK = "ok"
    FAILED = "failed"
    UNCLEAR = "unclear"
    """The answer may be right for a task without a stop."""
    ABSENT = "absent"
    """The contract has no route for it: it is told otherwise."""
    NOT_TRIED = "not_tried"


@dataclass(frozen=True, slots=True)
class Tried:
    """One thing that was tried.

    Attributes:
        action: The contract's action: ``create``, ``step``, ``heartbeat``, ``control``, ``read``, ``ack`` or ``task``.
        what: What was said or asked, for people.
        route: Method and path, as the contract has them; None where it has none.
        outcome: What came of it.
        status: The HTTP status; None where none came.
        detail: What came back, where that is not simply right.
    """

    action: str
    what: str
    route: str | None
    outcome: TrialOutcome
    status: int | None = None
    detail: str = ""


class Trial:
    """One trial. ``run`` is called once.

    Args:
        upstream: The backend, spoken to as the contract says.
        contract: The contract; None for the standard one.
        clock: Where the time is read.

    Attributes:
        task_id: The trial's task, as the backend calls it; None while there is none.
        tried: What was tried, in order.
    """

    def __init__(self, upstream: Upstream, contract: Contract | None, clock: Clock) -> None:
        self._upstream = upstream
        self._hears_with_beats = upstream.hears_with_beats
        self._routes = {name: each.route for name, each in (contract or STANDARD_CONTRACT).actions()}
        self._clock = clock
        self._own_id = new_uuid()
        self._ids = RemoteIds(None, ())
        self.task_id: str | None = None
        self.tried: list[Tried] = []

    @property
    def succeeded(self) -> bool:
        """Whether nothing failed, and nothing was left out for want of a task or of time."""
        return not any(each.outcome in {TrialOutcome.FAILED, TrialOutcome.NOT_TRIED} for each in self.tried)

    async def run(self, timeout_s: float) -> None:
        """Tries everything.

        Args:
            timeout_s: For how long; what has not been tried by then is left. The end of the task may take 5 s more.
        """
        ahead = self._walk()
        why = f"no answer within {timeout_s:g} s"
        try:
            with anyio.move_on_after(timeout_s) as limit:
                while ahead:
                    await self._try(*ahead[0])
                    ahead.pop(0)
                    if self.task_id is None:
                        why = "there is no task"
                        break
            if limit.cancelled_caught and self.task_id is None:
                why += "; the task may be there all the same"
        finally:
            for action, what, _ in ahead:
                self._note(action, what, TrialOutcome.NOT_TRIED, detail=why)
            if self.task_id is not None:
                await self._close()

    async def _close(self) -> None:
        what = "the task is done"
        with anyio.move_on_after(_CLOSE_S, shield=True) as limit:
            await self._try("task", what, self._end)
        if limit.cancelled_caught:
            self._note("task", what, TrialOutcome.NOT_TRIED, detail=f"no answer within {_CLOSE_S:g} s")

    # ── What is tried ──────────────────────────────────────────────────────────────────────────────────────────────

    def _walk(self) -> list[tuple[str, str, Attempt]]:
        """What is tried, in order, but for the end: the action, its words for people, and what does it."""
        steps: list[tuple[str, str, Attempt]] = [
            ("step", f"step {number} is {status}", partial(self._step, number, status))
            for number in range(1, len(_STEPS) + 1)
            for status in ("running", "done")
        ]
        return [
            ("create", f"a task with {len(_STEPS)} steps", self._create),
            *steps,
            ("heartbeat", "a heartbeat with a summary", self._heartbeat),
            ("control", "is a stop requested?", self._control),
            ("read", "is the task there?", self._read),
            ("ack", "an acknowledgement, where nobody asked for a stop", self._acknowledge),
        ]

    async def _create(self) -> Answer:
        steps = tuple(NewStep(f"{self._own_id}-{number}", title) for number, title in enumerate(_STEPS, 1))
        event = self._event(EventKind.TASK_CREATED, title=TITLE, steps=steps, summary=_SUMMARY)
        answer = await self._upstream.send_event(event, self._own_id, None)
        if answer.outcome is Outcome.DELIVERED:
            self._ids = read_remote_ids(event, answer.body)
            self.task_id = self._ids.task_id or self._own_id
        return answer

    async def _step(self, number: int, status: str) -> Answer:
        step_id = f"{self._own_id}-{number}"
        remote = self._ids.steps[number - 1] if self._ids.steps else None
        if remote == UNMAPPED:
            return Answer(Outcome.REFUSED, "the answer to the creation does not say which step is which")
        event = self._event(EventKind.STEP_STATUS, step_id=step_id, status=status, summary=f"step {number} is {status}")
        return await self._upstream.send_event(event, self.task_id or "", remote or step_id)

    async def _heartbeat(self) -> Answer:
        at = rfc3339(self._clock.wall_ms())
        beat = Beat(self._own_id, at, at, Evidence.COMMAND, stalled=False, summary="a heartbeat of the trial")
        return await self._upstream.send_heartbeat(beat, self.task_id or "")

    async def _control(self) -> Answer:
        answer, control = await self._upstream.get_control(self.task_id or "")
        if control is not None and control.interrupt_requested:
            return replace(answer, outcome=Outcome.REFUSED, detail="it says that a stop is requested, of a new task")
        return answer

    async def _read(self) -> Answer:
        return await self._upstream.get_task(self.task_id or "")

    async def _acknowledge(self) -> Answer:
        event = self._event(EventKind.INTERRUPT_ACK, summary="the trial stops")
        return await self._upstream.send_event(event, self.task_id or "", None)

    async def _end(self) -> Answer:
        event = self._event(EventKind.TASK_STATUS, status="done", summary="the trial is over")
        return await self._upstream.send_event(event, self.task_id or "", None)

    def _event(self, kind: EventKind, **members: Any) -> Event:
        return Event(new_uuid(), self._own_id, kind, rfc3339(self._clock.wall_ms()), **members)

    # ── What came of it ────────────────────────────────────────────────────────────────────────────────────────────

    async def _try(self, action: str, what: str, attempt: Attempt) -> None:
        if action not in self._routes and action != "task":
            heard = action == "control" and self._hears_with_beats
            self._note(action, what, TrialOutcome.ABSENT, detail=_HEARD if heard else _WITHOUT_ROUTE[action])
            return
        answer = await attempt()
        if answer.outcome is not Outcome.DELIVERED:
            unclear = action == "ack" and answer.status in _NO_STOP
            self._note(action, what, TrialOutcome.UNCLEAR if unclear else TrialOutcome.FAILED, answer.status, answer.detail)
        elif action not in self._routes:
            self._note(action, what, TrialOutcome.ABSENT, detail=_WITHOUT_ROUTE[action])
        else:
            self._note(action, what, TrialOutcome.OK, answer.status, _conflict(action) if answer.status == _CONFLICT else "")

    def _note(self, action: str, what: str, outcome: TrialOutcome, status: int | None = None, detail: str = "") -> None:
        self.tried.append(Tried(action, what, self._routes.get(action), outcome, status, detail))


def _conflict(action: str) -> str:
    return "HTTP 409, as it should: nobody asked for a stop" if action == "ack" else "HTTP 409: it is so already"
