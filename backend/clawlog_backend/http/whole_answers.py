"""Answers that are sent as ready bytes: where one and the same has to reach thousands that wait for it.

What uvicorn does for each answer (it checks every header, and takes head and body one after the other) and what the middlewares
add to each is more than half of what it costs to answer a poll, and comes to the same bytes for all of them. So a connection
offers in the scope of each request, as ASGI foresees for what a server can do beyond it, to send an answer as it is.

With httptools alone: h11 has to be told of every part of an answer.
"""

from __future__ import annotations

import weakref
from typing import Any

from starlette.types import Scope

_NAME = "clawlog.whole_answer"
_HTTPTOOLS = "uvicorn.protocols.http.httptools_impl"
_USED = (
    "response_started",
    "response_complete",
    "disconnected",
    "keep_alive",
    "flow",
    "transport",
    "message_event",
    "on_response",
)
"""What is used of uvicorn's own: a version that lacks one of these answers as it does all else."""


class WholeAnswer:
    """How a request may be answered with ready bytes.

    Args:
        connection: Over which the request came; it is the newest one there.

    Attributes:
        status: With which it was answered so; 0 while it was not.
    """

    __slots__ = ("_cycle", "_server_state", "status")

    def __init__(self, connection: Any) -> None:
        self._cycle = weakref.ref(connection.cycle)  # whose scope has this
        self.status = 0
        self._server_state = connection.server_state

    @property
    def first_headers(self) -> list[tuple[bytes, bytes]]:
        """What the head of every answer begins with; the same list for as long as it says the same."""
        headers: list[tuple[bytes, bytes]] = self._server_state.default_headers
        return headers

    def send(self, answer: bytes) -> bool:
        """Answer; the head has to say how long the body is, and nothing of the connection.

        Returns:
            Whether that was possible: not where the connection is to be closed, is gone, or its client reads too slowly.
        """
        cycle: Any = self._cycle()
        if cycle is None or cycle.response_started or cycle.disconnected or not cycle.keep_alive or cycle.flow.write_paused:
            return False
        self.status = int(answer[9:12])
        cycle.response_started = cycle.response_complete = True
        cycle.transport.write_whole(answer)
        cycle.message_event.set()
        cycle.on_response()
        return True


def offer(connection: Any) -> None:
    """Let the newest request of one of uvicorn's connections be answered so, where that is possible."""
    cycle = connection.cycle
    if type(cycle).__module__ == _HTTPTOOLS and all(hasattr(cycle, name) for name in _USED):
        cycle.scope.setdefault("extensions", {})[_NAME] = WholeAnswer(connection)


def offered(scope: Scope) -> WholeAnswer | None:
    """How a request may be answered so; ``None`` where it may not."""
    extensions: dict[str, Any] = scope.get("extensions") or {}
    return extensions.get(_NAME)
