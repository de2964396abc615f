"""A proxy on the way to the backend that cuts connections where it is told: after so many bytes, in either direction."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from faults.loop_thread import LoopThread


class How(StrEnum):
    """How a connection ends."""

    CLOSE = "close"
    RESET = "reset"
    SILENCE = "silence"  # both sides stay connected, and nothing comes any more


@dataclass(frozen=True, slots=True)
class Cut:
    """Where one connection is cut: when so many bytes have gone to the backend, or so many have come back."""

    sent_bytes: int
    received_bytes: int
    how: How


class CuttingProxy:
    """Passes connections on to a server, each cut as the next of its orders says; without orders, none is.

    Args:
        port: The server's, on this machine.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._orders: deque[Cut] = deque()
        self._open: set[asyncio.Event] = set()
        self._thread = LoopThread("cutting-proxy")
        self._server = self._thread.run(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.cuts = 0

    def order(self, cuts: Iterable[Cut]) -> None:
        """Says how the next connections are cut, in place of what was said before; those that are open end."""
        self._thread.run(self._begin_anew(deque(cuts)))

    def close(self) -> None:
        """Ends, and cuts all."""
        self._thread.run(self._stop())
        self._thread.close()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._pass_on, "127.0.0.1", 0)

    async def _stop(self) -> None:
        self._server.close()
        await self._end_all()

    async def _begin_anew(self, orders: deque[Cut]) -> None:
        self._orders = orders
        await self._end_all()

    async def _end_all(self) -> None:
        while self._open:
            for ended in self._open:
                ended.set()
            await asyncio.sleep(0)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cut = self._orders.popleft() if self._orders else None
        try:
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:  # the server is down
            writer.transport.abort()
            return
        done = asyncio.Event()
        self._open.add(done)
        ways = [
            asyncio.ensure_future(self._copy(reader, back_writer, cut.sent_bytes if cut else None, done)),
            asyncio.ensure_future(self._copy(back_reader, writer, cut.received_bytes if cut else None, done)),
        ]
        try:
            await done.wait()
            if cut is not None and any(way.done() and way.result() for way in ways):
                self.cuts += 1
                if cut.how is How.SILENCE:
                    done.clear()
                    await done.wait()
        finally:
            self._open.discard(done)
            for way in ways:
                way.cancel()
            for each in (writer, back_writer):
                if cut is not None and cut.how is How.RESET and not each.transport.is_closing():
                    each.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                each.transport.abort()

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None, done: asyncio.Event
    ) -> bool:
        """Copies until the end, or the limit. Returns whether the limit was met."""
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                if limit is not None and len(chunk) >= limit:
                    writer.write(chunk[:limit])
                    await writer.drain()
                    done.set()
                    return True
                limit = None if limit is None else limit - len(chunk)
                writer.write(chunk)
                await writer.drain()
        done.set()
        return False
