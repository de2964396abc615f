"""A way to a server that loses answers: the request arrives, and the connection is reset once the server has answered it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_CHUNK_BYTES = 1 << 16


class LossyWay:
    """The way to one server.

    Attributes:
        loses: How a request begins whose answers are lost, such as ``POST /tasks``.
        left: How many of them are.
    """

    def __init__(self, url: str) -> None:
        self._there = urlsplit(url)
        self.loses, self.left = b"-", 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes on what comes, one request after the other."""
        there_reader, there = await asyncio.open_connection(self._there.hostname, self._there.port)
        lost = False

        async def back() -> None:
            while chunk := await there_reader.read(_CHUNK_BYTES):
                if lost:
                    writer.transport.abort()
                    return
                writer.write(chunk)

        answers = asyncio.create_task(back())
        try:
            while chunk := await reader.read(_CHUNK_BYTES):
                if self.left and chunk.startswith(self.loses):
                    self.left, lost = self.left - 1, True
                there.write(chunk)
        except ConnectionError:
            pass
        finally:
            answers.cancel()
            there.close()
            writer.close()


@asynccontextmanager
async def lossy(url: str) -> AsyncIterator[tuple[LossyWay, str]]:
    """A way to a server, and its address."""
    way = LossyWay(url)
    server = await asyncio.start_server(way.serve, "127.0.0.1", 0)
    try:
        yield way, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
