"""A server that is spoken to as a contract of its own says.

What comes back is brought into the standard contract's form, so that nobody above this has to know whose words were spoken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec

from clawlog.protocol.vocabulary import ENDED_STEP_STATUSES
from clawlogd.model import UNMAPPED, Beat, Event, EventKind
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.controls import Control, Unreadable
from clawlogd.upstream.routes import HttpRequest
from clawlogd.upstream.server import Server

_CONFLICT = 409
_NOT_IMPLEMENTED = 501
_NO_ROUTE = frozenset({404, 405, 501})
_TOLD_BY_OTHERS = frozenset({EventKind.INTERRUPT_SEEN, EventKind.INTERRUPT_DELIVERED})


class ForeignServer(Server):
    """Sends and asks as a contract of the server's own says."""

    async def send_event(self, event: Event, task_id: str, step_id: str | None) -> Answer:
        """Sends one event. A kind that the contract has no words for is refused with 501, for others to say it in.

        Args:
            event: What happened.
            task_id: The task's id there.
            step_id: The step's id there.
        """
        match event.kind:
            case EventKind.TASK_CREATED:
                return await self._create(event)
            case EventKind.STEP_STATUS:
                return await self._step(event, task_id, step_id)
            case EventKind.TASK_STATUS:
                return await self._all(self._interpreter.task(event, task_id))
            case EventKind.INTERRUPT_ACK:
                request = self._interpreter.ack(event, task_id)
                return _settled(await self._all([request] if request else []))
            case EventKind.AGENT_LOST:
                request = self._interpreter.say(event, task_id, f"agent lost: {event.summary or ''}".removesuffix(": "))
                return await self._all([request] if request else [])
            case EventKind.PLAN:
                return await self._plan(self._interpreter.plan(event, task_id))
            case EventKind.METADATA:
                return _settled(await self._optional(self._interpreter.metadata(event, task_id), "metadata"))
            case EventKind.LINK:
                return _settled(await self._optional(self._interpreter.link(event, task_id), "links"))
            case _ if event.kind in _TOLD_BY_OTHERS:
                return Answer(Outcome.DELIVERED)
        return _wordless(event.kind.value)

    async def get_task(self, task_id: str) -> Answer:
        """Asks whether the server has a task. How its steps stand is said in the server's words: it is left out."""
        answer = await super().get_task(task_id)
        if not isinstance(answer.body, dict):
            return answer
        return replace(answer, body={name: each for name, each in answer.body.items() if name != "steps"})

    async def send_heartbeat(self, beat: Beat, task_id: str) -> Answer:
        """Sends a heartbeat. The body of a delivery is the control state, where the contract says that the answer holds it."""
        request = self._interpreter.heartbeat(beat, task_id)
        if request is None:
            return Answer(Outcome.DELIVERED)
        answer = await self._judged(request)
        if answer.outcome is not Outcome.DELIVERED:
            return answer
        return replace(answer, body=self._interpreter.read_beat_answer(answer.body))

    def _read_control(self, sent: str, answer: Answer) -> tuple[Answer, Control | None]:
        if answer.outcome is not Outcome.DELIVERED:
            return answer, None
        control = self._interpreter.read_control(answer.body)
        if isinstance(control, Unreadable):
            return Answer(Outcome.TRANSIENT, f"{sent}: {control.detail}", answer.status), None
        return answer, control

    async def find_created(self, event: Event, is_taken: Callable[[str], bool], now_ms: float) -> Answer:
        """As its base says."""
        answer = await self.list_tasks()
        if answer.outcome is not Outcome.DELIVERED:
            return answer
        found = self._interpreter.find_created(event, answer.body, is_taken, now_ms)
        if found is None:
            return replace(answer, body=None)
        task_id, listed = found
        bodies = [listed]
        if (request := self._interpreter.read(task_id)) is not None:
            read = await self._judged(request)
            if read.is_gone or read.is_lost:
                return replace(read, body=None)
            if read.outcome is Outcome.DELIVERED:
                bodies.insert(0, read.body)
        return replace(answer, body=self._interpreter.found_ids(event, task_id, bodies))

    async def _create(self, event: Event) -> Answer:
        request = self._interpreter.create(event)
        answer = await self._judged(request)
        if answer.status in _NO_ROUTE:
            return Answer(Outcome.NO_CONTRACT, answer.detail, answer.status)
        if answer.outcome is not Outcome.DELIVERED:
            return answer
        ids = self._interpreter.remote_ids(event, answer.body)
        if ids is None:
            return Answer(Outcome.NO_CONTRACT, f"{request}: the answer names no task", answer.status)
        return replace(answer, body=ids)

    async def _step(self, event: Event, task_id: str, step_id: str | None) -> Answer:
        """Reports on a step. A server that wants it to run first is told so, once, as of the same time."""
        if step_id is None or step_id == UNMAPPED:
            return Answer(Outcome.REFUSED, "the server does not know this step", _NOT_IMPLEMENTED)
        request = self._interpreter.step(event, task_id, step_id)
        if request is None:
            return Answer(Outcome.DELIVERED)
        answer = await self._judged(request)
        refused = answer.status == _CONFLICT or (answer.outcome is Outcome.REFUSED and self._interpreter.contract.running_first)
        if not refused or event.status not in ENDED_STEP_STATUSES:
            return _settled(answer)
        first = self._interpreter.step(msgspec.structs.replace(event, status="running", summary=None), task_id, step_id)
        if first is not None and (begun := await self._judged(first)).outcome is Outcome.TRANSIENT:
            return begun
        return _settled(await self._judged(request))

    async def _plan(self, request: HttpRequest | None) -> Answer:
        answer = await self._optional(request, "plans")  # a conflict says that it does not fit, not that it is in effect
        if answer.outcome is not Outcome.DELIVERED:
            return answer
        return replace(answer, body={"steps": self._interpreter.listed_steps(answer.body)})

    async def _optional(self, request: HttpRequest | None, what: str) -> Answer:
        """Sends what a server may have no words for, or no route in spite of its contract: others say it then."""
        if request is None:
            return _wordless(what)
        answer = await self._judged(request)
        if answer.status in _NO_ROUTE:
            return Answer(Outcome.REFUSED, answer.detail, answer.status)
        return answer

    async def _all(self, requests: list[HttpRequest]) -> Answer:
        answer = Answer(Outcome.DELIVERED)
        for request in requests:
            answer = _settled(await self._judged(request))
            if answer.outcome is not Outcome.DELIVERED:
                break
        return answer


def _wordless(what: str) -> Answer:
    return Answer(Outcome.REFUSED, f"the contract has no words for {what}", _NOT_IMPLEMENTED)


def _settled(answer: Answer) -> Answer:
    """A conflict says that what was reported is in effect already."""
    return Answer(Outcome.DELIVERED, answer.detail, answer.status) if answer.status == _CONFLICT else answer
