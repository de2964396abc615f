"""A TCP balancer before replicas, as simple as one can be: each connection goes to the next one that takes it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence

from faults.loop_thread import LoopThread


class Balancer:
    """Listens on a port of this machine.

    Args:
        ports: Gives the replicas' ports as they are now.
    """

    def __init__(self, ports: Callable[[], Sequence[int]]) -> None:
        self._ports = ports
        self._turn = itertools.count()
        self._copying: set[asyncio.StreamWriter] = set()
        self._thread = LoopThread("balancer")
        self._server = self._thread.run(self._listen())
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        """Ends, and cuts all."""
        self._thread.run(self._stop())
        self._thread.close()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._pass_on, "127.0.0.1", 0)

    async def _stop(self) -> None:
        self._server.close()
        for writer in self._copying:  # which ends its copying
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await self._connect()
        if upstream is None:
            writer.transport.abort()
            return
        self._copying.add(writer)
        copies = [asyncio.create_task(_copy(reader, upstream[1])), asyncio.create_task(_copy(upstream[0], writer))]
        try:
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for copy in copies:
                copy.cancel()
            self._copying.discard(writer)
            for end in (writer, upstream[1]):
                end.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        ports = list(self._ports())
        first = next(self._turn)
        for place in range(len(ports)):
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", ports[(first + place) % len(ports)])
        return None


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
