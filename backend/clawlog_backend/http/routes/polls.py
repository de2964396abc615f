"""The poll for the stops of many tasks, answered in front of the framework, since a stop may have to be told to thousands.

What the framework does around a function (middlewares, validation by its signature, exit stacks) costs more than the answer. So
the function is there for the OpenAPI document, and for requests that are none (another method, a slash at the end). Errors are
answered as everywhere, and what stands before all routes stands before this one.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from clawlog_backend.domain.fields import POLL_TASKS, POLL_WAIT_S, Id
from clawlog_backend.http.bodies import body_of, read_body, require_json
from clawlog_backend.http.problems import error_responses, invalid_body, problem_of
from clawlog_backend.http.security import ANSWER_HEADERS
from clawlog_backend.http.whole_answers import offered
from clawlog_backend.live.control import ControlPolls, Controls

PATH = "/api/control/poll"
_JSON = (b"content-type", b"application/json")

router = APIRouter(tags=["batch"])


class Poll(BaseModel):
    """Which tasks to ask about, and since when."""

    task_ids: Annotated[list[Id], Field(max_length=POLL_TASKS)]
    cursor: Annotated[str, Field(max_length=128)] | None = Field(default=None, description="The last answer's cursor.")
    wait_s: Annotated[float, Field(ge=0, le=POLL_WAIT_S, allow_inf_nan=False)] = Field(
        default=0, description="How long to hold the answer while nothing changes."
    )


_poll: TypeAdapter[Poll] = TypeAdapter(Poll)


@router.post(
    PATH,
    response_model=Controls,
    responses=error_responses(401, 403, 413, 415, 422, 429, 503),
    openapi_extra=body_of(Poll),
)
async def poll_controls() -> None:
    """What changed since `cursor` in whether these tasks are to stop; all of them without one. Unknown ids are passed over."""


class PollRoute:
    """Answers polls itself, and passes on all else.

    Args:
        app: What answers all else.
        polls: What holds them.
    """

    path = PATH

    def __init__(self, app: ASGIApp, polls: ControlPolls) -> None:
        self._app = app
        self._polls = polls
        self._ready: tuple[bytes, object, bytes] = (b"", None, b"")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope["route"] = self
        try:
            answer = await self._answer(scope, receive)
        except Exception as error:
            problem = problem_of(error)
            await problem.response()(scope, receive, send)
            if problem.status_code == 500:
                raise  # to the log
            return
        whole = offered(scope)
        if whole is not None and whole.send(self._encoded(answer, whole.first_headers)):
            return
        headers = [(b"content-length", b"%d" % len(answer)), _JSON]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _answer(self, scope: Scope, receive: Receive) -> bytes:
        require_json(Headers(scope=scope))
        try:
            poll = _poll.validate_json(await read_body(Request(scope, receive)))
        except ValidationError as error:
            raise invalid_body(error) from None
        return await self._polls.poll(frozenset(poll.task_ids), cursor=poll.cursor, wait_s=poll.wait_s)

    def _encoded(self, answer: bytes, first_headers: list[tuple[bytes, bytes]]) -> bytes:
        """The whole answer as bytes; the same for all that are told the same."""
        if self._ready[0] is not answer or self._ready[1] is not first_headers:
            headers = [*first_headers, (b"content-length", b"%d" % len(answer)), _JSON, *ANSWER_HEADERS]
            head = b"".join(b"%s: %s\r\n" % header for header in headers)
            self._ready = (answer, first_headers, b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + answer)
        return self._ready[2]
