"""The event stream: every change as it happens, as server-sent events (HTML standard, section 9.2), for the dashboard."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from clawlog_backend.domain.fields import Id
from clawlog_backend.http.dependencies import BackendDep
from clawlog_backend.http.problems import error_responses, invalid
from clawlog_backend.live.stream import EventStream
from clawlog_backend.storage import queries

router = APIRouter(prefix="/api", tags=["people"])

_WATCHED = 200  # more than a screen shows; their ids have to fit into a request's head

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
            "description": "First `hello`, then a `task` for each task that stands otherwise than before (a row of the "
            "list, as with `steps=false`). Signs of life, and reports of more of the same, come as `liveness`, and only of the "
            "tasks in `task_ids` or `task_id`; what such a message leaves out is as it was before. `counts` (at first, then "
            "when they change, at most once a second): how many of all tasks are in each state. With `task_id`, an `event` for "
            "each new event of its history, and after these the whole `task`, unless they are signs of life alone. "
            "`reset`: what was missed is not available, reload.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
        },
        **error_responses(401, 403, 404, 422, 429, 503),
    },
)
async def stream(
    backend: BackendDep,
    task_id: Annotated[Id | None, Query(description="Only this task, with its events.")] = None,
    task_ids: Annotated[
        list[Id] | None, Query(max_length=_WATCHED, description="The tasks whose signs of life are wanted, too.")
    ] = None,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="The id of the last message that was read.")
    ] = None,
) -> Response:
    """Every change as it happens. A client can resume after any message."""
    since = _number(last_event_id) if last_event_id else None
    task_n, watched = None, frozenset[int]()
    if task_id is not None:
        task_n = await backend.database.read(lambda connection: queries.task_number(connection, task_id))
    elif task_ids:
        watched = await backend.database.read(lambda connection: queries.task_numbers(connection, task_ids))
    return _StreamResponse(EventStream(backend.feed, clock=backend.clock, task_n=task_n, watched=watched, since=since))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise invalid("Last-Event-ID", "expected the id of a message of this stream")
    return int(text)


class _StreamResponse(Response):
    """Sends a stream's messages until its reader disconnects or the stream ends.

    One task per stream, and one that waits for the disconnect. A reader that takes nothing is dropped by the connection's own
    deadline (see :mod:`clawlog_backend.http.connections`).
    """

    media_type = "text/event-stream"

    def __init__(self, messages: EventStream) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._messages = messages

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end."""
        messages = self._messages
        disconnected = asyncio.create_task(_disconnect(receive), name="stream-reader")
        disconnected.add_done_callback(lambda _: messages.leave())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await _send(send, await messages.first())
            while not messages.ended:
                content = await messages.next()
                if content:
                    await _send(send, content)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            messages.close()
            disconnected.cancel()


async def _send(send: Send, content: bytes) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": True})


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
