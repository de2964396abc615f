"""Reads request bodies: bounded, gzip or not, and strictly JSON.

The standard parser accepts what JSON does not (NaN), and fails in its own ways at deep nesting and at numbers of thousands of
digits; here all of these are the caller's fault and say so.
"""

import zlib
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json

from clawlog_backend.fields import BODY_BYTES
from clawlog_backend.problems import Problem, invalid, too_large


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
    """The body, unpacked where it came packed with gzip.

    Raises:
        Problem: It is too large, packed or not (413), packed in another way (415), or damaged (422).
    """
    packed = await request.body()
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        return packed
    if encoding != "gzip":
        raise Problem(415, "unsupported_encoding", f"The encoding {encoding!r} is not known: send gzip, or none.")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        body = unpacker.decompress(packed, BODY_BYTES + 1)  # bounded, so that a small body cannot unpack into a huge one
    except zlib.error as error:
        raise invalid("body", f"not valid gzip: {error}") from None
    if len(body) > BODY_BYTES:
        raise too_large(f"The body unpacks to more than {BODY_BYTES} bytes.")
    if not unpacker.eof:
        raise invalid("body", "the gzip data ends early")
    return body


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
