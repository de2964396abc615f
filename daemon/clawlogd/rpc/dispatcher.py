"""One dispatcher for every listener: a message in, a reply out, each verb written once.

A connection's requests begin in the order they came. One that only has to wait for the disk does not hold up the next: their
commits are shared. One that asks a backend, or waits for a stop, does.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from clawlog.protocol import ids
from clawlog.protocol.errors import (
    INTERNAL_ERROR,
    METHOD_NOT_FOUND,
    OUTBOX_FULL,
    SHUTTING_DOWN,
    STORAGE_FAILED,
    TOO_LARGE,
    RpcError,
    invalid_params,
)
from clawlog.protocol.jsonrpc import Malformed, Message, ParsedBatch, Request, decode, encode_error
from clawlog.protocol.vocabulary import MAX_LINE_BYTES
from clawlogd.errors import DuplicateEvent, OutboxFull, StorageFailed
from clawlogd.logs import Log
from clawlogd.rpc.decoding import Envelope, ParamsReader, read_envelope
from clawlogd.rpc.session import Session
from clawlogd.services import Call, Durable, Services
from clawlogd.verbs import daemon, dead_letters, heartbeats, interrupts, params, steps, tasks

_encode = msgspec.json.Encoder().encode


class Verb:
    """A verb: what it takes and what does it.

    Args:
        params: The type of its parameters.
        handler: Takes the services, the parameters and the call; returns a result, a ``Durable`` one, or an awaitable of one.
    """

    def __init__(self, params: type[params.Params], handler: Callable[[Services, Any, Call], Any]) -> None:
        self.params = params
        self.handler = handler
        self.read = ParamsReader(params).read
        self.repeatable = "event_id" in params.__struct_fields__


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


class Pending:
    """A reply that will be there.

    Args:
        done: What it waits for.
        blocks: Whether the connection's next request must wait for it, too.
    """

    __slots__ = ("blocks", "done")

    def __init__(self, done: asyncio.Future[Any], *, blocks: bool) -> None:
        self.done = done
        self.blocks = blocks

    def message(self) -> bytes | None:
        """The message to send, once ``done`` is done; None for none (a notification's, or a caller's that has gone)."""
        return None if self.done.cancelled() else self.done.result()


class _Committing(Pending):
    """A reply that may be sent once the open group is on disk."""

    __slots__ = ("_dispatcher", "_message", "_request")

    def __init__(
        self, done: asyncio.Future[Any], message: bytes | None, request: Request | Envelope, dispatcher: Dispatcher
    ) -> None:
        self.done = done
        self.blocks = False
        self._message = message
        self._request = request
        self._dispatcher = dispatcher

    def message(self) -> bytes | None:
        error = self.done.exception()
        return self._message if error is None else self._dispatcher.refuse(self._request, error)


Reply = bytes | Pending | None
"""A message to send, now or later; None for none at all."""


class Dispatcher:
    """Runs verbs.

    Args:
        services: What they work with.
    """

    def __init__(self, *, services: Services) -> None:
        self._services = services
        self._log = Log("dispatcher")
        self._running: set[asyncio.Task[Any]] = set()
        self.last_command = services.clock.monotonic()
        self.shutting_down = False

    def call(self, session: Session) -> Call:
        """The circumstances of commands that a caller gives now."""
        self.last_command = self._services.clock.monotonic()
        return Call(self._services.clock.wall_ms(), session)

    def handle(self, line: bytes, call: Call) -> Reply:
        """Takes one line or message of a caller."""
        envelope = read_envelope(line)
        if envelope is not None and (verb := VERBS.get(envelope.method)) is not None:
            parameters = verb.read(line, envelope)
            if parameters is not None:
                return self._begin(envelope, verb, parameters, call)
        message = decode(line)
        if isinstance(message, ParsedBatch):
            return self._later(self._batch(message, call))
        return self._start(message, call)

    def too_large(self) -> bytes:
        """The reply to a line over the bound."""
        error = RpcError(
            TOO_LARGE, f"A line over {MAX_LINE_BYTES} bytes; send less in one request: summaries are one short line"
        )
        return encode_error(None, error)

    def refuse(self, request: Request | Envelope, error: BaseException) -> bytes | None:
        """The reply to a request that failed."""
        refusal = self._refusal(request.method, error)
        return None if request.is_notification else encode_error(request.id, refusal)

    async def run(self, method: str, given: object, call: Call) -> None:
        """Runs one verb to its end, durable.

        Raises:
            RpcError: It was refused.
        """
        verb = _verb(method)
        parameters = params.parse(verb.params, given)
        self._check_running()
        event_id = _event_id(parameters) if verb.repeatable else None
        if (
            event_id is None
            or self._services.outbox.surely_new(event_id)
            or await self._services.outbox.earlier_reply(event_id) is None
        ):
            try:
                result = verb.handler(self._services, parameters, call)
                if isinstance(result, Durable):
                    await asyncio.shield(self._services.outbox.committed())
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
        await asyncio.wait([*running, self._services.outbox.committed()], timeout=2.0)

    def _start(self, message: Message, call: Call) -> Reply:
        if isinstance(message, Malformed):
            return None if message.is_notification else encode_error(message.id, message.error)
        try:
            verb = _verb(message.method)
            parameters = params.parse(verb.params, message.params)
        except RpcError as error:
            return self.refuse(message, error)
        return self._begin(message, verb, parameters, call)

    def _begin(self, request: Request | Envelope, verb: Verb, parameters: params.Params, call: Call) -> Reply:
        try:
            self._check_running()
            event_id = _event_id(parameters) if verb.repeatable else None
            if event_id is not None and not self._services.outbox.surely_new(event_id):
                return self._later(self._repeatable(request, verb, parameters, call, event_id))
            result = verb.handler(self._services, parameters, call)
        except Exception as error:  # noqa: BLE001 - answered as internal_error, and logged
            return self.refuse(request, error)
        if isinstance(result, Durable):
            return _Committing(self._services.outbox.committed(), _message(request, result.result), request, self)
        if isinstance(result, msgspec.Struct):
            return _message(request, _encode(result))
        return self._later(self._finish(request, result), waits=request.method in {"interrupt.check", "daemon.flush"})

    def _check_running(self) -> None:
        if self.shutting_down:
            raise RpcError(SHUTTING_DOWN, "The daemon is shutting down; try again when it is back")

    def _later(self, work: Awaitable[bytes | None], *, waits: bool = False) -> Pending:
        task: asyncio.Task[bytes | None] = asyncio.ensure_future(work)
        task.set_name("wait for a caller" if waits else "command")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return Pending(task, blocks=True)

    async def _finish(self, request: Request | Envelope, result: Any) -> bytes | None:
        """The reply to a command whose result may have to be awaited, or be put on disk."""
        try:
            if inspect.isawaitable(result):
                result = await result
            if isinstance(result, Durable):
                await asyncio.shield(self._services.outbox.committed())
                return _message(request, result.result)
            return _message(request, _encode(result))
        except asyncio.CancelledError:
            if not self.shutting_down:
                raise
            return self.refuse(request, RpcError(SHUTTING_DOWN, "The daemon is shutting down; ask again when it is back"))
        except Exception as error:  # noqa: BLE001 - answered as internal_error, and logged
            return self.refuse(request, error)

    async def _repeatable(
        self, request: Request | Envelope, verb: Verb, parameters: params.Params, call: Call, event_id: bytes
    ) -> bytes | None:
        """A command whose event id may have been seen before: then its first reply is its reply."""
        try:
            earlier = await self._services.outbox.earlier_reply(event_id)
            if earlier is not None:
                return _message(request, earlier)
            result = verb.handler(self._services, parameters, call)
        except Exception as error:  # noqa: BLE001 - answered as internal_error, and logged
            return self.refuse(request, error)
        return await self._finish(request, result)

    async def _batch(self, batch: ParsedBatch, call: Call) -> bytes | None:
        replies: list[Reply] = []
        for message in batch.messages:
            reply = self._start(message, call)
            replies.append(reply)
            if isinstance(reply, Pending) and reply.blocks:
                await asyncio.wait([reply.done])
        texts: list[bytes] = []
        for reply in replies:
            if isinstance(reply, Pending):
                await asyncio.wait([reply.done])
            text = reply.message() if isinstance(reply, Pending) else reply
            if text is not None:
                texts.append(text)
        return b"[" + b",".join(texts) + b"]" if texts else None

    def _refusal(self, method: str, error: BaseException) -> RpcError:
        match error:
            case RpcError():
                return error
            case OutboxFull():
                return RpcError(OUTBOX_FULL, str(error))
            case DuplicateEvent():
                return RpcError(
                    STORAGE_FAILED, "Nothing was accepted, because a call was repeated with its event id; try again"
                )
            case StorageFailed():
                return RpcError(
                    STORAGE_FAILED, f"Nothing was accepted: the commit failed ({error}); free disk space and try again"
                )
        self._log.error("command_failed", method=method, error=repr(error), exc_info=error)
        return RpcError(INTERNAL_ERROR, "The daemon failed at this; its log says why")


def _verb(method: str) -> Verb:
    verb = VERBS.get(method)
    if verb is None:
        raise RpcError(METHOD_NOT_FOUND, f"There is no method {method[:80]!r}; expected one of {', '.join(VERBS)}")
    return verb


def _event_id(parameters: Any) -> bytes | None:
    text: str | None = parameters.event_id
    if text is None:
        return None
    try:
        return ids.uuid_bytes(text)
    except ValueError:
        raise invalid_params("event_id", "does not fit", params.EVENT_ID_HINT) from None


def _message(request: Request | Envelope, result: bytes) -> bytes | None:
    if request.is_notification:
        return None
    request_id = request.id
    text = b"%d" % request_id if type(request_id) is int else _encode(request_id)
    return b'{"jsonrpc":"2.0","id":%s,"result":%s}' % (text, result)
