"""Bounds on connections: a client has to send whole requests in time and to read the answers, or it is dropped.

uvicorn limits neither. The hooks used here are asyncio's own for a protocol; of uvicorn's class only ``transport`` and
``cycle`` (the newest request whose head is complete) are used, so that either of its parsers will do. More of
it is known to :mod:`clawlog_backend.http.whole_answers` alone.

A part of a head that arrived in one piece with the request before it is noticed once more of it arrives: until then it costs no
more than an idle connection, which uvicorn ends by itself.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from clawlog_backend.http import whole_answers
from clawlog_backend.http.limits import LET_IN

HEAD_S = 10.0
STRANGER_S = 5.0  # how long one that has shown nothing may be idle
STRANGERS = 2_000  # connections of one address that have shown nothing; beyond, the one that came first is dropped
STALLED_ANSWER_S = 30.0
HEAD_BYTES = 64 * 1024
# How much of a refused body is read all the same: if the connection were cut at once, the answer could be lost with it.
_REFUSED_BODY_BYTES = 16 * 1024 * 1024


class Strangers:
    """The connections that have shown nothing yet, by address: they may not take the places of those that have."""

    def __init__(self) -> None:
        self._by_address: dict[str, OrderedDict[ConnectionBounds, None]] = {}

    def add(self, address: str, connection: ConnectionBounds) -> None:
        """Counts a new connection; drops the oldest of its address where there are too many."""
        of_address = self._by_address.setdefault(address, OrderedDict())
        of_address[connection] = None
        while len(of_address) > STRANGERS:
            oldest, _ = of_address.popitem(last=False)
            if oldest.is_stranger():
                oldest.transport.abort()

    def remove(self, address: str, connection: ConnectionBounds) -> None:
        """Counts a connection no more: it has shown something, or is over."""
        of_address = self._by_address.get(address)
        if of_address is not None:
            of_address.pop(connection, None)
            if not of_address:
                del self._by_address[address]


class JoinedWrites:
    """A transport that sends an answer's head with the body that follows at once: uvicorn writes one after the other.

    That is one call into the system for each answer instead of two, and those are a third of what answering thousands of
    waiting polls costs.

    Args:
        transport: What sends.
    """

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        """All else is the transport's."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send; a head that announces a body waits for that, another for the end of this turn of the event loop at most."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 "):
            self._head = data
            if b"\r\ncontent-length: " not in data:
                asyncio.get_running_loop().call_soon(self.flush)
            return
        self._transport.write(data)

    def write_whole(self, data: bytes) -> None:
        """Send a whole answer: nothing of it is held back."""
        self.flush()
        self._transport.write(data)

    def close(self) -> None:
        """Close once all was sent."""
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Send what is held back."""
        if self._head:
            self.write(b"")


class ConnectionBounds(asyncio.Protocol):
    """Bounds one client's connection; a mixin for uvicorn's protocols."""

    transport: Any
    cycle: Any
    _head_deadline: asyncio.TimerHandle | None = None
    _answer_deadline: asyncio.TimerHandle | None = None
    _unused_bytes = 0
    _stranger = True
    _address = ""
    _idle_deadline: asyncio.TimerHandle | None = None
    _strangers = Strangers()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline of the first request's head."""
        joined: Any = JoinedWrites(transport)
        super().connection_made(joined)
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._strangers.add(self._address, self)
        self._await_head()
        self._await_proof()

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request."""
        before = self.cycle
        of_body = before is not None and before.more_body
        reading_body = of_body and not before.response_complete
        if self._stranger:
            self._look_for_proof()
        super().data_received(data)
        if self.cycle is not before:  # a head was completed
            _cancel(self._head_deadline)
            self._head_deadline = None
            self._unused_bytes = 0
            whole_answers.offer(self)
        elif not reading_body:
            self._unused_bytes += len(data)
            if self._unused_bytes > (_REFUSED_BODY_BYTES if of_body else HEAD_BYTES):
                self.transport.abort()
            elif self._head_deadline is None:
                self._await_head()

    def on_response_complete(self) -> None:
        """An answer is whole; to HEAD, without the body that its head announced."""
        self.transport.flush()
        super().on_response_complete()  # type: ignore[misc]

    def pause_writing(self) -> None:
        """The client reads its answer more slowly than it is sent: start its deadline."""
        super().pause_writing()
        self._answer_deadline = asyncio.get_running_loop().call_later(STALLED_ANSWER_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has caught up: cancel the deadline."""
        _cancel(self._answer_deadline)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        _cancel(self._head_deadline)
        _cancel(self._answer_deadline)
        _cancel(self._idle_deadline)
        self._strangers.remove(self._address, self)
        super().connection_lost(exc)

    def _await_proof(self) -> None:
        self._idle_deadline = asyncio.get_running_loop().call_later(STRANGER_S, self._proof_overdue)

    def _proof_overdue(self) -> None:
        self._idle_deadline = None
        self._look_for_proof()
        if not self._stranger:
            return
        if self.cycle is not None and not self.cycle.response_complete:  # it is being answered; a slow one has other bounds
            self._await_proof()
        else:
            self.transport.abort()

    def is_stranger(self) -> bool:
        """Whether nothing was shown over this connection yet."""
        self._look_for_proof()
        return self._stranger

    def _look_for_proof(self) -> None:
        if self._stranger and self.cycle is not None and self.cycle.scope.get(LET_IN):
            self._stranger = False
            self._strangers.remove(self._address, self)

    def _await_head(self) -> None:
        self._head_deadline = asyncio.get_running_loop().call_later(HEAD_S, self._head_overdue, self.cycle)

    def _head_overdue(self, before: Any) -> None:
        self._head_deadline = None
        if self.cycle is not before:
            return
        if before is not None and not before.response_complete:  # an answer is under way, such as a stream
            self._await_head()
        else:
            self.transport.abort()


def _cancel(deadline: asyncio.TimerHandle | None) -> None:
    if deadline is not None:
        deadline.cancel()


BoundedConnection = type("BoundedConnection", (ConnectionBounds, AutoHTTPProtocol), {})
"""A connection with the parser that uvicorn takes by itself, which depends on what is installed."""
