"""One dispatcher for every listener: a message in, a reply out, each verb written once.

A connection's requests begin in the order they came. One that only has to wait for the disk does not hold up the next: their
commits are shared. One that asks a backend, or waits for a stop, does.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from typing import Any

import msgspec

from clawlog.protocol.errors import RpcError
from clawlog.protocol.jsonrpc import Malformed, Message, ParsedBatch, Request, decode, encode_error
from clawlogd.context import CallContext, CallerSession
from clawlogd.rpc.decoding import Envelope, read_envelope
from clawlogd.rpc.parameters import event_id_bytes, parse
from clawlogd.rpc.refusals import refusal_of, shutting_down, too_large, unknown_method
from clawlogd.rpc.replies import Committing, Pending, Reply, encode, encode_batch, encode_result, refuse
from clawlogd.rpc.routes import ROUTES, Route
from clawlogd.services import Services
from clawlogd.verbs.fields import Params
from clawlogd.verbs.verb import Durable

_FINISH_S = 2.0  # how long the commands that have begun may take when the daemon ends


class Dispatcher:
    """Runs verbs.

    Args:
        services: What they work with.

    Attributes:
        last_command: When the last command came, monotonic.
        shutting_down: Whether new commands are refused.
    """

    def __init__(self, *, services: Services) -> None:
        self._services = services
        self._running: set[asyncio.Task[bytes | None]] = set()
        self._waiting: set[asyncio.Task[bytes | None]] = set()
        self.last_command = services.clock.monotonic()
        self.shutting_down = False

    def context(self, session: CallerSession) -> CallContext:
        """The circumstances of commands that a caller gives now."""
        self.last_command = self._services.clock.monotonic()
        return CallContext(self._services.clock.wall_ms(), session)

    def handle(self, line: bytes, context: CallContext) -> Reply:
        """Handles one line or message of a caller."""
        envelope = read_envelope(line)
        if envelope is not None and (route := ROUTES.get(envelope.method)) is not None:
            parameters = route.read(line, envelope)
            if parameters is not None:
                return self._begin(envelope, route, parameters, context)
        message = decode(line)
        if isinstance(message, ParsedBatch):
            return self._later(self._batch(message, context))
        return self._start(message, context)

    def too_large(self) -> bytes:
        """The reply to a line over the bound."""
        return encode_error(None, too_large())

    async def run(self, method: str, given: object, context: CallContext) -> None:
        """Runs one verb to its end, durable.

        Raises:
            RpcError: It was refused.
        """
        if self.shutting_down:
            raise shutting_down("try again")
        try:
            route = _route(method)
            parameters = parse(route.params, given)
            if await self._earlier_reply(route, parameters) is None:
                result = route.handler(self._services, parameters, context)
                if isinstance(result, Durable):
                    await asyncio.shield(self._services.outbox.committed())
        except RpcError:
            raise
        except Exception as error:
            raise refusal_of(method, error) from error

    async def finish(self) -> None:
        """Refuses new commands, and returns when those that have begun are done; commands that only wait are cut short."""
        self.shutting_down = True
        for task in tuple(self._waiting):
            task.cancel()
        # Commands that only wait for the disk are no tasks; once a commit after theirs is done, they have their replies.
        begun: list[asyncio.Future[Any]] = [*self._running, self._services.outbox.committed()]
        await asyncio.wait(begun, timeout=_FINISH_S)

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
            return refuse(request, shutting_down("try again"))
        try:
            if route.repeatable and not self._surely_new(parameters):
                return self._later(self._repeatable(request, route, parameters, context))
            result = route.handler(self._services, parameters, context)
            if isinstance(result, Durable):
                return Committing(self._services.outbox.committed(), encode_result(request, result.result), request)
            if isinstance(result, msgspec.Struct):
                return encode_result(request, encode(result))
        except Exception as error:  # noqa: BLE001 - answered, and logged where it is a fault of ours
            return refuse(request, error)
        return self._later(self._finish(request, result), waits=route.waits)

    def _surely_new(self, parameters: Any) -> bool:
        """Whether memory alone can say that a call of a repeatable verb is no repetition of an earlier one."""
        event_id: str | None = parameters.event_id
        return event_id is None or self._services.outbox.surely_new(event_id_bytes(event_id))

    async def _earlier_reply(self, route: Route, parameters: Any) -> bytes | None:
        """What the first call with the same event id was answered; None when this is the first."""
        if not route.repeatable or self._surely_new(parameters):
            return None
        return await self._services.outbox.earlier_reply(event_id_bytes(parameters.event_id))

    def _later(self, work: Awaitable[bytes | None], *, waits: bool = False) -> Pending:
        task: asyncio.Task[bytes | None] = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        if waits:
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)
        return Pending(task, blocks=True)

    async def _finish(self, request: Request | Envelope, result: Any) -> bytes | None:
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
            return refuse(request, shutting_down("ask again"))
        except Exception as error:  # noqa: BLE001 - answered, and logged where it is a fault of ours
            return refuse(request, error)

    async def _repeatable(
        self, request: Request | Envelope, route: Route, parameters: Params, context: CallContext
    ) -> bytes | None:
        """A command whose event id may have been seen before: then its first reply is its reply."""
        try:
            earlier = await self._earlier_reply(route, parameters)
            if earlier is not None:
                return encode_result(request, earlier)
            result = route.handler(self._services, parameters, context)
        except Exception as error:  # noqa: BLE001 - answered, and logged where it is a fault of ours
            return refuse(request, error)
        return await self._finish(request, result)

    async def _batch(self, batch: ParsedBatch, context: CallContext) -> bytes | None:
        replies: list[Reply] = []
        for message in batch.messages:
            reply = self._start(message, context)
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
        return encode_batch(texts)


def _route(method: str) -> Route:
    route = ROUTES.get(method)
    if route is None:
        raise unknown_method(method)
    return route
