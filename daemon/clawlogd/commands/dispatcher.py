"""One dispatcher for every listener: a message in, a reply out, each verb written once.

A connection's requests begin in the order they came. One that only has to wait for the disk does not hold up the next: their
commits are shared. One that asks a backend, or waits for a stop, does.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from clawlog.protocol.errors import (
    INTERNAL_ERROR,
    METHOD_NOT_FOUND,
    OUTBOX_FULL,
    SHUTTING_DOWN,
    STORAGE_FAILED,
    TOO_LARGE,
    RpcError,
)
from clawlog.protocol.jsonrpc import Malformed, Message, ParsedBatch, Request, RequestId, decode, encode_error
from clawlog.protocol.limits import MAX_LINE_BYTES
from clawlogd.commands import daemon, dead_letters, heartbeats, interrupts, params, steps, tasks
from clawlogd.commands.decoding import loads
from clawlogd.commands.parts import Call, Durable, Parts
from clawlogd.logs import Log
from clawlogd.outbox.errors import DuplicateEventError, OutboxFullError, StorageFailedError
from clawlogd.session import Session

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb: what it takes and what does it.

    Attributes:
        params: The type of its parameters.
        handler: Takes the parts, the parameters and the call; returns a result, a ``Durable`` one, or an awaitable of either.
    """

    params: type[params.Params]
    handler: Callable[[Parts, Any, Call], Any]


VERBS: dict[str, Verb] = {
    "task.create": Verb(params.TaskCreate, tasks.create),
    "task.update": Verb(params.TaskUpdate, tasks.update),
    "task.get": Verb(params.TaskGet, tasks.get),
    "task.list": Verb(params.TaskList, tasks.list_),
    "task.heartbeat": Verb(params.Heartbeat, heartbeats.heartbeat),
    "step.update": Verb(params.StepUpdate, steps.update),
    "interrupt.check": Verb(params.InterruptCheck, interrupts.check),
    "interrupt.watch": Verb(params.TaskGet, interrupts.watch),
    "interrupt.ack": Verb(params.InterruptAck, interrupts.ack),
    "daemon.status": Verb(params.NoParams, daemon.status),
    "daemon.flush": Verb(params.Flush, daemon.flush),
    "deadletter.list": Verb(params.NoParams, dead_letters.list_),
    "deadletter.retry": Verb(params.DeadLetterChoice, dead_letters.retry),
    "deadletter.drop": Verb(params.DeadLetterChoice, dead_letters.drop),
}


class Reply:
    """A reply that is there, or will be.

    Args:
        text: The message to send; None for none (a notification's).
        wait_for: What must be done before it may be sent.
        finish: Makes the text once that is done; without it, ``text`` stands.
        blocks: Whether the connection's next request must wait for this one.
    """

    __slots__ = ("_finish", "_text", "blocks", "wait_for")

    def __init__(
        self,
        text: bytes | None,
        wait_for: asyncio.Future[Any] | None = None,
        finish: Callable[[asyncio.Future[Any]], bytes | None] | None = None,
        *,
        blocks: bool = False,
    ) -> None:
        self._text = text
        self._finish = finish
        self.wait_for = wait_for
        self.blocks = blocks

    @property
    def ready(self) -> bool:
        """Whether it may be sent."""
        return self.wait_for is None or self.wait_for.done()

    def text(self) -> bytes | None:
        """The message to send, once ready."""
        if self._finish is None or self.wait_for is None:
            return self._text
        return self._finish(self.wait_for)


class Dispatcher:
    """Runs verbs.

    Args:
        parts: What they work with.
    """

    def __init__(self, *, parts: Parts) -> None:
        self._parts = parts
        self._log = Log("dispatcher")
        self._running: set[asyncio.Task[Any]] = set()
        self.last_command = parts.clock.monotonic()
        self.shutting_down = False

    def handle(self, line: bytes, session: Session) -> Reply:
        """Takes one line or message of a caller."""
        self.last_command = self._parts.clock.monotonic()
        message = decode(line, loads)
        if isinstance(message, ParsedBatch):
            return self._later(self._batch(message, session))
        return self._start(message, Call(self._parts.clock.wall_ms(), session))

    def too_large(self) -> Reply:
        """The reply to a line over the bound."""
        error = RpcError(
            TOO_LARGE, f"A line over {MAX_LINE_BYTES} bytes; send less in one request: summaries are one short line"
        )
        return Reply(encode_error(None, error))

    async def run(self, method: str, given: object, call: Call) -> None:
        """Runs one verb to its end, durable.

        Raises:
            RpcError: It was refused.
        """
        verb = self._verb(method)
        parameters = params.parse(verb.params, given)
        if await self._earlier(parameters) is None:
            try:
                result = verb.handler(self._parts, parameters, call)
                if isinstance(result, Durable):
                    await asyncio.shield(self._parts.outbox.committed())
            except Exception as error:
                raise self._refusal(method, error) from error

    async def finish(self) -> None:
        """Refuses new commands, and returns when those in hand are done; commands that only wait are cut short."""
        self.shutting_down = True
        running = [task for task in self._running if not task.done()]
        for task in running:
            if task.get_name().startswith("wait "):
                task.cancel()
        # Those that wait for the disk alone are no tasks; a commit after theirs says that they have their replies.
        await asyncio.wait([*running, self._parts.outbox.committed()], timeout=2.0)

    def _start(self, message: Message, call: Call) -> Reply:
        if isinstance(message, Malformed):
            return Reply(None if message.is_notification else encode_error(message.id, message.error))
        try:
            verb = self._verb(message.method)
            parameters = params.parse(verb.params, message.params)
            event_id: str | None = getattr(parameters, "event_id", None)
            if event_id is not None and not self._parts.outbox.surely_new(bytes.fromhex(event_id.replace("-", ""))):
                return self._later(self._repeatable(message, verb, parameters, call))
            result = verb.handler(self._parts, parameters, call)
        except Exception as error:  # noqa: BLE001 - answered as internal_error, and logged
            return Reply(self._error(message, error))
        if isinstance(result, Durable):
            return self._durable(message, result)
        if inspect.isawaitable(result):
            return self._later(self._finish(message, result), waits=message.method in {"interrupt.check", "daemon.flush"})
        return Reply(_result(message, result))

    def _verb(self, method: str) -> Verb:
        if self.shutting_down:
            raise RpcError(SHUTTING_DOWN, "The daemon is shutting down; try again when it is back")
        verb = VERBS.get(method)
        if verb is None:
            raise RpcError(METHOD_NOT_FOUND, f"There is no method {method[:80]!r}; expected one of {', '.join(VERBS)}")
        return verb

    def _durable(self, request: Request, result: Durable) -> Reply:
        text = _result(request, result.result)

        def finish(committed: asyncio.Future[Any]) -> bytes | None:
            error = committed.exception()
            return text if error is None else self._error(request, error)

        return Reply(None, self._parts.outbox.committed(), finish)

    def _later(self, work: Awaitable[bytes | None], *, waits: bool = False) -> Reply:
        task: asyncio.Task[bytes | None] = asyncio.ensure_future(work)
        task.set_name("wait for a caller" if waits else "command")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return Reply(None, task, lambda done: None if done.cancelled() else done.result(), blocks=True)

    async def _finish(self, request: Request, awaitable: Awaitable[Any]) -> bytes | None:
        try:
            result = await awaitable
            if isinstance(result, Durable):
                await asyncio.shield(self._parts.outbox.committed())
                return _result(request, result.result)
            return _result(request, result)
        except asyncio.CancelledError:
            if not self.shutting_down:
                raise
            return self._error(request, RpcError(SHUTTING_DOWN, "The daemon is shutting down; ask again when it is back"))
        except Exception as error:  # noqa: BLE001 - answered as internal_error, and logged
            return self._error(request, error)

    async def _repeatable(self, request: Request, verb: Verb, parameters: params.Params, call: Call) -> bytes | None:
        """A command whose event id may have been seen before: then its first reply is its reply."""
        try:
            earlier = await self._earlier(parameters)
            if earlier is not None:
                return _result(request, msgspec.Raw(earlier))
            result = verb.handler(self._parts, parameters, call)
        except Exception as error:  # noqa: BLE001 - answered as internal_error, and logged
            return self._error(request, error)
        return await self._finish(request, _now(result))

    async def _earlier(self, parameters: params.Params) -> bytes | None:
        event_id: str | None = getattr(parameters, "event_id", None)
        if event_id is None:
            return None
        raw = bytes.fromhex(event_id.replace("-", ""))
        return None if self._parts.outbox.surely_new(raw) else await self._parts.outbox.earlier_reply(raw)

    async def _batch(self, batch: ParsedBatch, session: Session) -> bytes | None:
        replies: list[Reply] = []
        for message in batch.messages:
            reply = self._start(message, Call(self._parts.clock.wall_ms(), session))
            replies.append(reply)
            if reply.blocks and reply.wait_for is not None:
                await asyncio.wait([reply.wait_for])
        for reply in replies:
            if reply.wait_for is not None and not reply.ready:
                await asyncio.wait([reply.wait_for])
        texts = [text for reply in replies if (text := reply.text()) is not None]
        return b"[" + b",".join(texts) + b"]" if texts else None

    def _error(self, request: Request, error: BaseException) -> bytes | None:
        refusal = self._refusal(request.method, error)
        return None if request.is_notification else encode_error(request.id, refusal)

    def _refusal(self, method: str, error: BaseException) -> RpcError:
        match error:
            case RpcError():
                return error
            case OutboxFullError():
                return RpcError(OUTBOX_FULL, str(error))
            case DuplicateEventError():
                return RpcError(
                    STORAGE_FAILED, "Nothing was accepted, because a call was repeated with its event id; try again"
                )
            case StorageFailedError():
                return RpcError(
                    STORAGE_FAILED, f"Nothing was accepted: the commit failed ({error}); free disk space and try again"
                )
        self._log.error("command_failed", method=method, error=repr(error), exc_info=error)
        return RpcError(INTERNAL_ERROR, "The daemon failed at this; its log says why")


async def _now(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def _result(request: Request, result: object) -> bytes | None:
    if request.is_notification:
        return None
    return b'{"jsonrpc":"2.0","id":' + _id(request.id) + b',"result":' + _encode(result) + b"}"


def _id(request_id: RequestId) -> bytes:
    return _encode(request_id)
