"""A foreign server on a free port of 127.0.0.1, served by uvicorn in a thread, as its owner would run it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

START_S = 10.0


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
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
