"""Reads request bodies: bounded, gzip or not, and strictly JSON.

The standard parser accepts what JSON does not (NaN), and fails in its own ways at deep nesting and at numbers of thousands of
digits; here each of these is answered as an error of the caller's.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import from_json
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clawlog_backend.domain.fields import BODY_BYTES
from clawlog_backend.http.problems import Problem, invalid, too_large

BODY_S = 20.0
_NOTED_EVERY_S = 60.0

_logger = logging.getLogger(__name__)


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """What the OpenAPI document says of a route that reads its body itself, for speed."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def require_json(headers: Headers) -> None:
    """Refuse a body that is not announced as JSON.

    Another site's page can post a form or plain text without the browser's asking first (CSRF), but not JSON.

    Raises:
        Problem: It is something else (415).
    """
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Problem(415, "unsupported_media_type", "Send the body as application/json.")


def parse_json(body: bytes) -> Any:
    """One JSON value.

    Raises:
        Problem: It is not JSON (422).
    """
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise invalid("body", f"not valid JSON: {error}") from None


async def read_body(request: Request) -> bytes:
    """The body, decompressed where it came compressed with gzip.

    Raises:
        Problem: It is too large, compressed or not (413), compressed in another way (415), or damaged (422).
    """
    try:
        packed = await request.body()
    except ClientDisconnect:
        _note_cut_off()
        raise Problem(400, "cut_off", "The body ended before it was whole.") from None  # for nobody: its client has left
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        return packed
    if encoding != "gzip":
        raise Problem(415, "unsupported_encoding", f"The encoding {encoding!r} is not known: send gzip, or none.")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        body = unpacker.decompress(packed, BODY_BYTES + 1)  # bounded, so that a small body cannot decompress into a huge one
    except zlib.error as error:
        raise invalid("body", f"not valid gzip: {error}") from None
    if len(body) > BODY_BYTES:
        raise too_large(f"The body unpacks to more than {BODY_BYTES} bytes.")
    if not unpacker.eof:
        raise invalid("body", "the gzip data ends early")
    return body


_noted_at = -_NOTED_EVERY_S


def _note_cut_off() -> None:
    """A line in the log, now and then: anybody can make it happen as often as they like."""
    global _noted_at  # noqa: PLW0603 -- the one time that is kept
    now = time.monotonic()
    if now - _noted_at > _NOTED_EVERY_S:
        _noted_at = now
        _logger.warning("a client left before its request was whole (said at most once a minute)")


class BodyBounds:
    """Refuses a body that is too large before it is read, and one that does not arrive in time."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        announced = Headers(scope=scope).get("content-length", "0") if scope["type"] == "http" else "0"
        if announced.isdecimal() and int(announced) > BODY_BYTES:
            await _over().response()(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + BODY_S
        taken, complete = 0, False

        async def bounded() -> Message:
            nonlocal taken, complete
            if complete:  # from here on this waits for the client to disconnect, which may take long
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise Problem(408, "too_slow", f"The body did not arrive within {BODY_S:g} s.") from None
            taken += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if taken > BODY_BYTES:
                raise _over()
            return message

        await self._app(scope, bounded, send)


def _over() -> Problem:
    return too_large(f"A body has at most {BODY_BYTES} bytes: send less at once.")


class _StrictRequest(Request):
    async def json(self) -> Any:  # the name under which FastAPI asks for it
        return parse_json(await read_body(self))


class JsonRoute(APIRoute):
    """A route whose JSON body is read by this module."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, given a request that reads its body strictly."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict
