"""The event stream: every change as it happens, as server-sent events (HTML standard, section 9.2), for the dashboard."""

import asyncio
import json
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from clawlog_backend import __version__
from clawlog_backend.backend import Backend, backend_of
from clawlog_backend.domain.fields import Id
from clawlog_backend.http.problems import documented, invalid
from clawlog_backend.live.changes import Subscription, message
from clawlog_backend.storage import queries

router = APIRouter(prefix="/api", tags=["people"])

_KEEP_ALIVE_S = 15.0

_EXAMPLE = """\
id: 41
event: hello
data: {"version":"0.1.0","server_time":"2026-02-28T09:30:00.000Z"}

id: 42
event: task
data: {"task_id":"t-1","title":"Deploy the web server","status":"running"}

"""


@router.get(
    "/stream",
    response_class=Response,
    responses={
        200: {
            "description": "First `hello`, then a `task` for each task that changes (as in the list). With `task_id`, also "
            "an `event` for each new event of its history. `reset`: what was missed cannot be told, load again.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
        },
        **documented(401, 403, 404, 422, 429, 503),
    },
)
async def stream(
    backend: Annotated[Backend, Depends(backend_of)],
    task_id: Annotated[Id | None, Query(description="Only this task, with its events.")] = None,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="The id of the last message that was read.")
    ] = None,
) -> Response:
    """Every change, as it happens. Can be resumed after any message."""
    since = _number(last_event_id) if last_event_id else None
    task_n = None
    if task_id is not None:
        task_n = await backend.database.read(lambda connection: queries.task_number(connection, task_id))
    return _EventStream(backend, backend.feed.subscribe(task_n), since)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise invalid("Last-Event-ID", "expected the id of a message of this stream")
    return int(text)


class _EventStream(Response):
    """Sends a subscription's messages until its reader leaves or the feed closes.

    One task per stream, and one that waits for its reader to leave. A reader that takes nothing is dropped by the connection's
    own deadline (see :mod:`clawlog_backend.http.connections`).
    """

    media_type = "text/event-stream"

    def __init__(self, backend: Backend, subscription: Subscription, since: int | None) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._backend = backend
        self._subscription = subscription
        self._since = since

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end."""
        gone = asyncio.create_task(_left(receive), name="stream-reader")
        gone.add_done_callback(lambda _: self._subscription.woken.set())
        feed = self._backend.feed
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await _send(send, await self._first())
            while not gone.done() and not feed.closing:
                try:
                    async with asyncio.timeout(_KEEP_ALIVE_S):
                        await self._subscription.woken.wait()
                except TimeoutError:
                    await _send(send, b": still here\n\n")
                    continue
                unread = feed.take(self._subscription)
                if unread:
                    await _send(send, unread)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            feed.unsubscribe(self._subscription)
            gone.cancel()

    async def _first(self) -> bytes:
        hello = {"version": __version__, "server_time": self._backend.clock().rfc3339()}
        data = json.dumps(hello).encode()
        if self._since is None:
            return message("hello", data, self._subscription.upto)
        missed = await self._backend.feed.missed(self._subscription, self._since)
        return message("hello", data, self._since) + missed


async def _send(send: Send, content: bytes) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
