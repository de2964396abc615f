"""Deadlines on connections: whoever connects has to send a request, and has to take the answer, or is dropped.

uvicorn limits neither. The hooks used here are asyncio's own for a protocol; of uvicorn's class only ``transport`` and
``cycle`` (the request under way) are looked at.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

FIRST_REQUEST_S = 10.0
STALLED_ANSWER_S = 30.0

if TYPE_CHECKING:
    _Protocol = asyncio.Protocol
else:
    _Protocol = AutoHTTPProtocol


class DeadlinedConnection(_Protocol):
    """One client's connection."""

    transport: Any
    cycle: Any
    _request_deadline: asyncio.TimerHandle | None = None
    _answer_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request's head."""
        super().connection_made(transport)
        self._request_deadline = self._abort_after(FIRST_REQUEST_S)

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request."""
        super().data_received(data)
        if self.cycle is not None:
            _cancel(self._request_deadline)

    def pause_writing(self) -> None:
        """The client takes its answer more slowly than it is made."""
        super().pause_writing()
        self._answer_deadline = self._abort_after(STALLED_ANSWER_S)

    def resume_writing(self) -> None:
        """The client has caught up."""
        _cancel(self._answer_deadline)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        _cancel(self._request_deadline)
        _cancel(self._answer_deadline)
        super().connection_lost(exc)

    def _abort_after(self, delay_s: float) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(delay_s, self.transport.abort)


def _cancel(deadline: asyncio.TimerHandle | None) -> None:
    if deadline is not None:
        deadline.cancel()
