"""A server that is spoken to as its own contract says: what the standard contract's routes are for others.

What comes back is brought into the standard contract's form, so that nobody above this has to know whose words were spoken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import msgspec

from clawlog.protocol.vocabulary import ENDED_STEP_STATUSES
from clawlogd.model import UNMAPPED, Beat, Event, EventKind
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.contracts.interpreter import Interpreter
from clawlogd.upstream.controls import Control, Unreadable
from clawlogd.upstream.routes import HttpRequest

_CONFLICT = 409
_NOT_IMPLEMENTED = 501
_NO_ROUTE = frozenset({404, 405, 501})
_TOLD_BY_OTHERS = frozenset({EventKind.INTERRUPT_SEEN, EventKind.INTERRUPT_DELIVERED})

Send = Callable[[HttpRequest], Awaitable[Answer]]


class ForeignServer:
    """Sends and asks as a contract says.

    Args:
        interpreter: The contract.
        send: Makes one request.
    """

    def __init__(self, interpreter: Interpreter, send: Send) -> None:
        self._interpreter = interpreter
        self._send = send

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
            case _ if event.kind in _TOLD_BY_OTHERS:
                return Answer(Outcome.DELIVERED)
        return Answer(Outcome.REFUSED, f"the contract has no words for {event.kind.value}", _NOT_IMPLEMENTED)

    async def send_heartbeat(self, beat: Beat, task_id: str) -> Answer:
        """Sends a heartbeat. The body of a delivery is the control state, where the contract says that the answer holds it."""
        request = self._interpreter.heartbeat(beat, task_id)
        if request is None:
            return Answer(Outcome.DELIVERED)
        answer = await self._judged(request)
        if answer.outcome is not Outcome.DELIVERED:
            return answer
        return replace(answer, body=self._interpreter.read_beat_answer(answer.body))

    async def get_control(self, task_id: str) -> tuple[Answer, Control | None]:
        """Asks whether a task is to stop."""
        request = self._interpreter.control(task_id)
        if request is None:
            return Answer(Outcome.NO_ROUTE, "the contract has no control"), None
        answer = await self._judged(request)
        if answer.outcome is not Outcome.DELIVERED:
            return answer, None
        control = self._interpreter.read_control(answer.body)
        if isinstance(control, Unreadable):
            return Answer(Outcome.TRANSIENT, f"{request}: {control.detail}", answer.status), None
        return answer, control

    async def get_task(self, task_id: str) -> Answer:
        """Asks whether the server has a task."""
        request = self._interpreter.read(task_id) or self._interpreter.control(task_id)
        return await self._judged(request) if request else Answer(Outcome.NO_ROUTE, "the contract cannot read a task")

    async def list_tasks(self) -> Answer:
        """Asks which tasks the server has."""
        request = self._interpreter.list_tasks()
        return await self._judged(request) if request else Answer(Outcome.NO_ROUTE, "the contract cannot list tasks")

    async def find_created(self, event: Event, is_taken: Callable[[str], bool], now_ms: float) -> Answer:
        """Looks in the server's list for the task that a creation made whose answer was lost.

        Args:
            event: The creation.
            is_taken: Whether a task of the server's is known to be another one.
            now_ms: Wall-clock time.

        Returns:
            A delivery: its body is the answer to the creation, None where there is no such task. Or why that is not known.
        """
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

    async def _all(self, requests: list[HttpRequest]) -> Answer:
        answer = Answer(Outcome.DELIVERED)
        for request in requests:
            answer = _settled(await self._judged(request))
            if answer.outcome is not Outcome.DELIVERED:
                break
        return answer

    async def _judged(self, request: HttpRequest) -> Answer:
        return self._interpreter.judge(str(request), await self._send(request))


def _settled(answer: Answer) -> Answer:
    """A conflict says that what was reported is in effect already."""
    return Answer(Outcome.DELIVERED, answer.detail, answer.status) if answer.status == _CONFLICT else answer
