"""One dispatcher for every listener: a message in, a reply out, each verb written once.

A connection's requests begin in the order they came. One that only has to wait for the disk does not hold up the next: their
commits are shared. One that asks a backend, or waits for a stop, does. What the spool holds comes before all that is newer.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from clawlog.protocol.errors import NOT_NOW, RpcError
from clawlog.protocol.jsonrpc import Malformed, Message, ParsedBatch, Request, decode, encode_error
from clawlogd.context import CallContext, CallerSession
from clawlogd.errors import EventIdReused
from clawlogd.rpc import refusals
from clawlogd.rpc.decoding import Envelope, read_envelope
from clawlogd.rpc.gate import Gate
from clawlogd.rpc.parameters import event_id_bytes, parse
from clawlogd.rpc.replies import Committing, Parts, Pending, Reply, encode, encode_batch, encode_result, refuse
from clawlogd.rpc.routes import ROUTES, Route
from clawlogd.services import Services
from clawlogd.verbs.fields import Params
from clawlogd.verbs.verb import Durable, Streamed

_FINISH_S = 2.0  # how long the commands that have begun may take when the daemon ends
_MAX_IN_ARRAY = 100
_MAX_ARRAY_BYTES = 1024 * 1024  # of an array's answers together

Refused = Callable[[BaseException], bytes | None]
"""The reply to a command that was refused."""


class Dispatcher:
    """Runs verbs.

    Args:
        services: What they work with.
        gate: What has to be carried out first.

    Attributes:
        last_command: When the last command came, monotonic.
        shutting_down: Whether new commands are refused.
    """

    def __init__(self, *, services: Services, gate: Gate) -> None:
        self._services = services
        self._clock = services.clock
        self._gate = gate
        self._running: set[asyncio.Task[bytes | Parts | None]] = set()
        self._waiting: set[asyncio.Task[bytes | Parts | None]] = set()
        self._monotonic = services.clock.monotonic
        self._gate_closed: bool | None = None  # None: not looked at in this turn
        self._context: CallContext | None = None
        self.last_command = self._monotonic()
        self.shutting_down = False

    def begin_turn(self) -> None:
        """Called before the first line of each turn of a caller: what it sends in one turn is given at one time."""
        self.last_command = self._monotonic()
        self._gate_closed = self._context = None

    def handle(self, line: bytes, session: CallerSession) -> Reply:
        """Handles one line or message of the caller whose turn it is."""
        envelope = read_envelope(line)
        if envelope is not None and (route := ROUTES.get(envelope.method)) is not None:
            parameters = route.read(envelope, line)
            if parameters is not None:
                if route.from_memory is not None and not self.shutting_down:
                    try:
                        if (answer := route.from_memory(self._services, parameters)) is not None:
                            return encode_result(envelope, encode(answer))
                    except Exception as error:  # noqa: BLE001 - answered, and logged where it is a fault of ours
                        return refuse(envelope, error)
                if self._is_gate_closed() or self.shutting_down:
                    return self._begin(envelope, route, parameters, self._context_of(session))
                return self._carry_out(envelope, route, parameters, self._context_of(session))
        context = self._context_of(session)
        message = decode(line)
        if isinstance(message, ParsedBatch):
            if len(message.messages) > _MAX_IN_ARRAY:
                return encode_error(None, refusals.too_many_in_array(_MAX_IN_ARRAY))
            return self._later(self._batch(message, context))
        return self._start(message, context)

    def too_large(self) -> bytes:
        """The reply to a line over the bound."""
        return encode_error(None, refusals.too_large())

    def too_much_unread(self) -> bytes:
        """The reply in place of a large one, while too much waits to be read."""
        return encode_error(None, refusals.too_much_unread())

    def too_much_waiting(self) -> bytes:
        """The reply to a message of a caller that has too much in hand."""
        return encode_error(None, refusals.too_much_waiting())

    async def perform(
        self, method: str, given: object, context: CallContext, after: Sequence[asyncio.Future[None]]
    ) -> asyncio.Future[None] | None:
        """Carries out one spooled verb.

        Args:
            method: The verb.
            given: Its parameters.
            context: The circumstances.
            after: The commits of what was made before. Where one has failed, this must not be done, for it would overtake.

        Returns:
            The commit by which it becomes durable; None where it was carried out before.

        Raises:
            RpcError: It was refused.
        """
        if self.shutting_down:
            raise refusals.shutting_down("try again")
        try:
            route = _route(method)
            parameters = parse(route.params, given)
            if await self._first_reply(route, parameters) is not None:
                return None
            for commit in after:
                if commit.done():
                    commit.result()
            result = route.handler(self._services, parameters, context)
            if inspect.isawaitable(result):
                await result
            return self._services.outbox.committed()
        except RpcError:
            raise
        except Exception as error:
            raise refusals.refusal_of(method, error) from error

    async def finish(self) -> None:
        """Refuses new commands, and returns when those that have begun are done; commands that only wait are cut short."""
        self.shutting_down = True
        for task in tuple(self._waiting):
            task.cancel()
        # Commands that only wait for the disk are no tasks; once a commit after theirs is done, they have their replies.
        begun: list[asyncio.Future[Any]] = [*self._running, self._services.outbox.committed()]
        await asyncio.wait(begun, timeout=_FINISH_S)

    def _context_of(self, session: CallerSession) -> CallContext:
        if self._context is None or self._context.session is not session:
            self._context = CallContext(self._clock.wall_ms(), session)
        return self._context

    def _is_gate_closed(self) -> bool:
        """Whether something has to be carried out first. It is looked at once in each turn of a caller."""
        if self._gate_closed is None:
            self._gate_closed = self._gate.closed
        return self._gate_closed

    def _start(self, message: Message, context: CallContext) -> Reply:
        if isinstance(message, Malformed):
            return None if message.is_notification else encode_error(message.id, message.error)
        try:
            route = _route(message.method)
            parameters = parse(route.params, message.params)
        except Exception as error:  # noqa: BLE001 - answered, and logged where it is a fault of ours
            return refuse(message, error)
        return self._begin(message, route, parameters, context)

    def _begin(self, request: Request | Envelope, route: Route, parameters: Params, context: CallContext) -> Reply:
        if self.shutting_down:
            return refuse(request, refusals.shutting_down("try again"))
        if self._is_gate_closed() and self._gate.concerns(route):
            return self._later(self._behind_the_gate(request, route, parameters, context), waits=route.waits)
        return self._carry_out(request, route, parameters, context)

    def _carry_out(self, request: Request | Envelope, route: Route, parameters: Params, context: CallContext) -> Reply:
        if route.repeatable and (overtaken := _overtaken(parameters, context)) is not None:
            return refuse(request, overtaken)
        try:
            if route.repeatable and not self._surely_new(parameters):
                return self._later(self._repeatable(request, route, parameters, context))
            result = route.handler(self._services, parameters, context)
            # isinstance takes three times as long with a struct, and none of these is subclassed.
            if type(result) is route.result:
                return encode_result(request, encode(result))
            if type(result) is Durable:
                refused = partial(_refused, request, route, parameters, context)
                return Committing(self._services.outbox.committed(), encode_result(request, result.result), refused)
            if type(result) is Streamed:
                return None if request.is_notification else Parts(request, result.parts)
        except Exception as error:  # noqa: BLE001 - answered, and logged where it is a fault of ours
            return _refused(request, route, parameters, context, error)
        refused = partial(_refused, request, route, parameters, context)
        pending = self._later(self._finish(request, result, refused), waits=route.waits)
        if inspect.iscoroutine(result):
            pending.done.add_done_callback(lambda _: result.close())  # the caller may have gone before it began
        return pending

    async def _behind_the_gate(
        self, request: Request | Envelope, route: Route, parameters: Params, context: CallContext
    ) -> bytes | Parts | None:
        """A command that something older has to come before."""
        await self._gate.open()
        if self._ends():
            return refuse(request, refusals.shutting_down("try again"))
        if (refusal := self._gate.refusal_of(route, getattr(parameters, "task_id", None))) is not None:
            return refuse(request, refusal)
        reply = self._carry_out(request, route, parameters, context)
        try:
            return await _settled(reply)
        except asyncio.CancelledError:
            if isinstance(reply, Pending) and reply.waits:
                reply.done.cancel()
            if not self.shutting_down:
                raise
            return refuse(request, refusals.shutting_down("ask again"))

    def _ends(self) -> bool:
        return self.shutting_down

    def _surely_new(self, parameters: Any) -> bool:
        """Whether memory alone can say that a call of a repeatable verb is no repetition of an earlier one."""
        event_id: str | None = parameters.event_id
        return event_id is None or self._services.outbox.surely_new(event_id_bytes(event_id))

    async def _first_reply(self, route: Route, parameters: Any) -> bytes | None:
        """What the first call with the same event id was answered; None when this is the first.

        Raises:
            EventIdReused: The first call was another one.
        """
        if route.intent is None or self._surely_new(parameters):
            return None
        first = await self._services.outbox.first_call(event_id_bytes(parameters.event_id))
        if first is None:
            return None
        if not route.intent(self._services, parameters).fits(first.identity):
            raise EventIdReused
        return first.reply

    def _later(self, work: Awaitable[bytes | Parts | None], *, waits: bool = False) -> Pending:
        task: asyncio.Task[bytes | Parts | None] = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        if waits:
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
        return Pending(task, blocks=True, waits=waits)

    async def _finish(self, request: Request | Envelope, result: Any, refused: Refused) -> bytes | None:
        """The reply to a command whose result has to be awaited, or has to be on disk first."""
        try:
            if inspect.isawaitable(result):
                result = await result
            if isinstance(result, Durable):
                await asyncio.shield(self._services.outbox.committed())
                return encode_result(request, result.result)
            return encode_result(request, encode(result))
        except asyncio.CancelledError:
            if not self.shutting_down:
                raise
            return refuse(request, refusals.shutting_down("ask again"))
        except Exception as error:  # noqa: BLE001 - answered, and logged where it is a fault of ours
            return refused(error)

    async def _repeatable(
        self, request: Request | Envelope, route: Route, parameters: Params, context: CallContext
    ) -> bytes | None:
        """A command whose event id may have been seen before: then its first reply is its reply."""
        refused = partial(_refused, request, route, parameters, context)
        try:
            first = await self._first_reply(route, parameters)
            if first is not None:
                return encode_result(request, first)
            result = route.handler(self._services, parameters, context)
        except Exception as error:  # noqa: BLE001 - answered, and logged where it is a fault of ours
            return refused(error)
        return await self._finish(request, result, refused)

    async def _batch(self, batch: ParsedBatch, context: CallContext) -> bytes | None:
        """Carries out an array's requests in order; others have their turn between them. Its answers together are bounded."""
        replies: list[Reply] = []
        size_bytes = 0
        for message in batch.messages:
            await asyncio.sleep(0)
            if size_bytes > _MAX_ARRAY_BYTES:
                replies.append(_refuse_in_array(message))
                continue
            reply = self._start(message, context)
            if isinstance(reply, Pending) and reply.blocks:
                await asyncio.wait([reply.done])
            if isinstance(reply, Parts) or (isinstance(reply, Pending) and reply.blocks):
                reply = await _joined(message, reply, _MAX_ARRAY_BYTES - size_bytes)
            replies.append(reply)
            size_bytes += len(reply) if isinstance(reply, bytes) else 0
        texts: list[bytes] = []
        for reply in replies:
            text = await _settled(reply)
            if isinstance(text, bytes):
                texts.append(text)
        return encode_batch(texts)


def _overtaken(parameters: Any, context: CallContext) -> Exception | None:
    """Why an earlier command of the same task and the same caller was refused, if this one would overtake it."""
    session = context.session
    return session.refused.get(parameters.task_id) if session is not None and session.refused else None


def _refused(
    request: Request | Envelope, route: Route, parameters: Any, context: CallContext, error: BaseException
) -> bytes | None:
    """The reply to a command that was refused; where it is for now, its task's next ones of the same caller are, too."""
    refusal = refusals.refusal_of(request.method, error)
    if context.session is not None and route.repeatable and refusal.code in NOT_NOW and parameters.task_id is not None:
        context.session.refused[parameters.task_id] = refusal
    return refuse(request, refusal)


async def _settled(reply: Reply) -> bytes | Parts | None:
    """A reply's message, once it is there."""
    if isinstance(reply, Pending):
        await asyncio.wait([reply.done])
        return reply.message()
    return reply


async def _joined(message: Message, reply: Reply, left_bytes: int) -> bytes | None:
    """A reply as one message; a refusal in its place where it is larger than what is left."""
    whole = await _settled(reply)
    if not isinstance(whole, Parts):
        return whole
    joined = bytearray()
    for part in whole:
        joined += part
        if len(joined) > left_bytes:
            return _refuse_in_array(message)
        await asyncio.sleep(0)
    return bytes(joined)


def _refuse_in_array(message: Message) -> bytes | None:
    return None if message.is_notification else encode_error(message.id, refusals.too_much_in_array())


def _route(method: str) -> Route:
    route = ROUTES.get(method)
    if route is None:
        raise refusals.unknown_method(method)
    return route
