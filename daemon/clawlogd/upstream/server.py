"""A server that is spoken to by a contract: what all have in common, whether it is of the standard contract or of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

from clawlogd.model import Beat, Event
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.contracts.interpreter import Interpreter
from clawlogd.upstream.controls import Control
from clawlogd.upstream.routes import HttpRequest

Send = Callable[[HttpRequest], Awaitable[Answer]]


class Server(ABC):
    """Sends and asks as a contract says.

    Args:
        interpreter: The contract.
        send: Makes one request.
    """

    def __init__(self, interpreter: Interpreter, send: Send) -> None:
        self._interpreter = interpreter
        self._send = send

    @abstractmethod
    async def send_event(self, event: Event, task_id: str, step_id: str | None) -> Answer:
        """Sends one event.

        Args:
            event: What happened.
            task_id: The task's id there.
            step_id: The step's id there.
        """

    async def send_heartbeat(self, beat: Beat, task_id: str) -> Answer:
        """Sends a heartbeat."""
        request = self._interpreter.heartbeat(beat, task_id)
        return Answer(Outcome.DELIVERED) if request is None else await self._judged(request)

    async def get_control(self, task_id: str) -> tuple[Answer, Control | None]:
        """Asks whether a task is to stop."""
        request = self._interpreter.control(task_id)
        if request is None:
            return Answer(Outcome.NO_ROUTE, "the contract has no control"), None
        return self._read_control(str(request), await self._judged(request))

    @abstractmethod
    def _read_control(self, sent: str, answer: Answer) -> tuple[Answer, Control | None]:
        """What an answer says of a task's control state; None where it does not."""

    async def get_task(self, task_id: str) -> Answer:
        """Asks whether the server has a task."""
        request = self._interpreter.read(task_id) or self._interpreter.control(task_id)
        return await self._judged(request) if request else Answer(Outcome.NO_ROUTE, "the contract cannot read a task")

    async def list_tasks(self) -> Answer:
        """Asks which tasks the server has; one is enough."""
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
        del event, is_taken, now_ms
        return Answer(Outcome.NO_ROUTE, "it knows a repeated creation by its key")

    async def _judged(self, request: HttpRequest) -> Answer:
        return self._interpreter.judge(str(request), await self._send(request))
