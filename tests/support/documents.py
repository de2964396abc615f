"""The document of a server that says only that it is of the standard contract."""

from __future__ import annotations

from aiohttp import web

MARKER = {"x-clawlog-contract": "standard"}


async def _document(request: web.Request) -> web.Response:
    del request
    return web.json_response(MARKER)


STANDARD = web.get("/openapi.json", _document)
"""A route for an application whose test is not about how it wants to be spoken to."""
