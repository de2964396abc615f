"""Bounds on connections: a client has to send whole requests in time and to read the answers, or it is dropped.

uvicorn limits neither. The hooks used here are asyncio's own for a protocol; of uvicorn's class only ``transport`` and
``cycle`` (the newest request whose head is complete) are used, so that either of its parsers will do.

A part of a head that arrived in one piece with the request before it is noticed once more of it arrives: until then it costs no
more than an idle connection, which uvicorn ends by itself.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_S = 10.0
STALLED_ANSWER_S = 30.0
HEAD_BYTES = 64 * 1024
# How much of a refused body is read all the same: if the connection were cut at once, the answer could be lost with it.
_REFUSED_BODY_BYTES = 16 * 1024 * 1024


class ConnectionBounds(asyncio.Protocol):
    """Bounds one client's connection; a mixin for uvicorn's protocols."""

    transport: Any
    cycle: Any
    _head_deadline: asyncio.TimerHandle | None = None
    _answer_deadline: asyncio.TimerHandle | None = None
    _unused_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline of the first request's head."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request."""
        before = self.cycle
        of_body = before is not None and before.more_body
        reading_body = of_body and not before.response_complete
        super().data_received(data)
        if self.cycle is not before:  # a head was completed
            _cancel(self._head_deadline)
            self._head_deadline = None
            self._unused_bytes = 0
        elif not reading_body:
            self._unused_bytes += len(data)
            if self._unused_bytes > (_REFUSED_BODY_BYTES if of_body else HEAD_BYTES):
                self.transport.abort()
            elif self._head_deadline is None:
                self._await_head()

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
        super().connection_lost(exc)

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
