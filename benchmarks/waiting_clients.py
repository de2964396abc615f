"""Hundreds of clients that wait for a change over bare connections, and the time at which each learns of it.

One event loop holds them all and looks at nothing but the bytes, so that what is measured is the server.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_CURSOR = re.compile(rb'"cursor":"([^"]*)"')


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """One HTTP request."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Client(asyncio.Protocol):
    """One connection, and when what it waits for came."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.received = b""
        self._wanted = b""
        self._came: asyncio.Future[float] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._came is not None and not self._came.done():
            self._came.set_exception(ConnectionError(f"a client was dropped: {exc}, after {self.received[-300:]!r}"))

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self._came is not None and not self._came.done() and self._wanted in self.received:
            self._came.set_result(time.perf_counter())

    def wait_for(self, wanted: bytes, ask: bytes = b"") -> asyncio.Future[float]:
        """Sends a request, if any, and tells when these bytes have come."""
        self.received, self._wanted = b"", wanted
        self._came = asyncio.get_running_loop().create_future()
        if ask:
            self.transport.write(ask)
        return self._came

    async def ask(self, ask: bytes, wanted: bytes) -> bytes:
        """Sends a request, and returns the answer once its end has come."""
        await self.wait_for(wanted, ask)
        return self.received


@dataclass(frozen=True)
class Latencies:
    """Seconds from a change's request to each client that learns of it."""

    streams: list[float] = field(default_factory=list)
    polls: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Crowd:
    """Streams and polls that wait at one server."""

    streams: list[Client]
    polls: list[Client]
    person: Client

    @classmethod
    async def gather(cls, address: str, *, streams: int, polls: int) -> Crowd:
        """Connects them, a few at a time, and opens the streams."""
        crowd = cls([await _connect(address) for _ in range(streams)], [await _connect(address) for _ in range(polls)],
                    await _connect(address))  # fmt: skip
        for start in range(0, streams, 50):
            await asyncio.gather(
                *(c.wait_for(b"text/event-stream", request("GET", "/api/stream")) for c in crowd.streams[start : start + 50])
            )
        return crowd

    async def cursor(self, poll_body: bytes) -> bytes:
        """The cursor to poll with."""
        found = _CURSOR.search(await self.person.ask(request("POST", "/api/control/poll", poll_body), b'"cursor"'))
        assert found is not None
        return found.group(1)

    def learn(self, mark: bytes, poll: bytes) -> asyncio.Future[list[float]]:
        """Has everyone wait for bytes with this mark in them; the times at which they came, the streams' first."""
        times = [c.wait_for(mark) for c in self.streams] + [c.wait_for(mark, poll) for c in self.polls]
        return asyncio.gather(*times)

    def leave(self) -> None:
        """Closes every connection."""
        for client in (*self.streams, *self.polls, self.person):
            client.transport.abort()


async def _connect(address: str) -> Client:
    parts = urlsplit(address)
    _, client = await asyncio.get_running_loop().create_connection(Client, parts.hostname, parts.port)
    return client
