"""The poll for the stops of many tasks: a plain ASGI route, since a stop may have to be told to thousands that wait.

What the framework does around a function (validation by its signature, dependencies, exit stacks) costs more than the answer.
So that function is there for the OpenAPI document alone. Errors are answered as everywhere, and what stands before all routes
stands before this one.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.datastructures import Headers
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from clawlog_backend.domain.fields import POLL_TASKS, POLL_WAIT_S, Id
from clawlog_backend.http.bodies import body_of, read_body, require_json
from clawlog_backend.http.problems import error_responses, invalid_body
from clawlog_backend.live.control import ControlPolls, Controls

PATH = "/api/control/poll"

documented = APIRouter(tags=["batch"])
"""The route as the OpenAPI document shows it; it answers nothing."""


class Poll(BaseModel):
    """Which tasks to ask about, and since when."""

    task_ids: Annotated[list[Id], Field(max_length=POLL_TASKS)]
    cursor: Annotated[str, Field(max_length=128)] | None = Field(default=None, description="The last answer's cursor.")
    wait_s: Annotated[float, Field(ge=0, le=POLL_WAIT_S, allow_inf_nan=False)] = Field(
        default=0, description="How long to hold the answer while nothing changes."
    )


_poll: TypeAdapter[Poll] = TypeAdapter(Poll)


@documented.post(
    PATH,
    response_model=Controls,
    responses=error_responses(401, 403, 413, 415, 422, 429, 503),
    openapi_extra=body_of(Poll),
)
async def poll_controls() -> None:
    """What changed since `cursor` in whether these tasks are to stop; all of them without one. Unknown ids are passed over."""


class PollRoute(Route):
    """Answers polls.

    Args:
        polls: What holds them.
    """

    def __init__(self, polls: ControlPolls) -> None:
        super().__init__(PATH, _Endpoint(polls), methods=["POST"])

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether it answers a request; notes the route, as the framework's own do."""
        match, child_scope = super().matches(scope)
        return match, {**child_scope, "route": self}


class _Endpoint:
    def __init__(self, polls: ControlPolls) -> None:
        self._polls = polls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        require_json(Headers(scope=scope))
        try:
            poll = _poll.validate_json(await read_body(Request(scope, receive)))
        except ValidationError as error:
            raise invalid_body(error) from None
        answer = await self._polls.poll(frozenset(poll.task_ids), cursor=poll.cursor, wait_s=poll.wait_s)
        length = b"%d" % len(answer)
        headers = [(b"content-length", length), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})
