"""A server of the standard contract, over its plain profile: which request each kind of event is, and what its answer means."""

from __future__ import annotations

from clawlogd.model import Event, EventKind
from clawlogd.upstream import answers, controls
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.contracts.interpreter import Interpreter
from clawlogd.upstream.contracts.standard import STANDARD_CONTRACT
from clawlogd.upstream.controls import Control
from clawlogd.upstream.routes import HttpRequest
from clawlogd.upstream.server import Send, Server

_INTERPRETER = Interpreter(STANDARD_CONTRACT, may_move=False)


class StandardServer(Server):
    """Sends and asks as the standard contract says.

    Args:
        send: Makes one request.
    """

    def __init__(self, send: Send) -> None:
        super().__init__(_INTERPRETER, send)

    async def send_event(self, event: Event, task_id: str, step_id: str | None) -> Answer:
        """Sends one event. A kind that has no route in the plain profile counts as delivered.

        Args:
            event: What happened.
            task_id: The task's id there.
            step_id: The step's id there.
        """
        request = self._request(event, task_id, step_id)
        if request is None:
            return Answer(Outcome.DELIVERED)
        return answers.read_single(str(request), event, await self._send(request))

    def _request(self, event: Event, task_id: str, step_id: str | None) -> HttpRequest | None:
        match event.kind:
            case EventKind.TASK_CREATED:
                return self._interpreter.create(event)
            case EventKind.TASK_STATUS:
                return self._interpreter.task(event, task_id)[-1]
            case EventKind.STEP_STATUS:
                return self._interpreter.step(event, task_id, step_id or event.step_id or "")
            case EventKind.PLAN:
                return self._interpreter.plan(event, task_id)
            case EventKind.METADATA:
                return self._interpreter.metadata(event, task_id)
            case EventKind.LINK:
                return self._interpreter.link(event, task_id)
            case EventKind.INTERRUPT_ACK:
                return self._interpreter.ack(event, task_id)
        return None

    def _read_control(self, sent: str, answer: Answer) -> tuple[Answer, Control | None]:
        return controls.read_control(sent, answer)
