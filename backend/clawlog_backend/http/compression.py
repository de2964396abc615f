"""Answers that are worth it go compressed to clients that take that: a list of tasks is much the same text over and over."""

from __future__ import annotations

import gzip

from fastapi import Request, Response

_WORTH_IT_BYTES = 1_400  # less goes in one packet either way
_LEVEL = 6


def takes_gzip(request: Request) -> bool:
    """Whether a client takes an answer that is compressed with gzip (RFC 9110, section 12.5.3)."""
    for each in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, weight = each.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "").removeprefix("q=").strip("0.") != "" or not weight
    return False


def json_answer(content: bytes, *, packed: bool) -> Response:
    """Encoded JSON as an answer.

    Args:
        content: As :func:`pack` returned it.
        packed: Whether it may have been compressed: what caches have to tell apart.
    """
    headers = {"Vary": "Accept-Encoding"}
    if packed and content.startswith(b"\x1f\x8b"):
        headers["Content-Encoding"] = "gzip"
    return Response(content, media_type="application/json", headers=headers)


def pack(content: bytes, *, packed: bool) -> bytes:
    """The content, compressed where the client takes that and it is worth it. Takes milliseconds: not for the event loop."""
    return gzip.compress(content, _LEVEL, mtime=0) if packed and len(content) > _WORTH_IT_BYTES else content
