"""A foreign server on a free port of 127.0.0.1, served by uvicorn in a thread, as its owner would run it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

START_S = 10.0


class Front:
    """What stands before a server: it may answer in its place, or have another server behind it by now.

    Attributes:
        app: The server.
        answer: Called with each request; what it returns is the answer, None leaves it to the server.
        prefix: What the server's paths begin with; it does not know of it.
        requests: Method and path of everything that came.
    """

    def __init__(self, app: ASGIApp, prefix: str = "") -> None:
        self.app = app
        self.answer: Callable[[str, str], ASGIApp | None] = lambda method, path: None
        self.prefix = prefix
        self.requests: list[tuple[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or has it answered."""
        if scope["type"] == "http":
            method, path = scope["method"], scope["path"]
            self.requests.append((method, path))
            answer = self.answer(method, path)
            if answer is None and not path.startswith(self.prefix):
                answer = PlainTextResponse("not here", 404)
            if answer is not None:
                await answer(scope, receive, send)
                return
            path = path.removeprefix(self.prefix)
            scope = {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}
        await self.app(scope, receive, send)


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serves an application until the block is left; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    listening = threading.Event()
    started = server.startup

    async def startup(sockets: list[socket.socket] | None = None) -> None:
        await started(sockets)
        listening.set()

    server.startup = startup  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="foreign server")
    thread.start()
    try:
        assert listening.wait(START_S), "the server did not start"
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(START_S)


def without_document(app: FastAPI) -> FastAPI:
    """The same application with its OpenAPI document switched off, as in production."""
    app.router.routes[:] = [each for each in app.router.routes if getattr(each, "path", "") != app.openapi_url]
    return app
