"""Callers that use the wire protocol by hand: bytes out, bytes in, over each of the daemon's listeners.

They do not use the client library, so that tests check the protocol and not the library's view of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any, Protocol, Self

import zmq
import zmq.asyncio

from clawlog.protocol.errors import RpcError

REPLY_S = 15.0


class Caller(Protocol):
    """One connection."""

    async def send(self, message: bytes) -> None:
        """Sends one message."""

    async def receive(self) -> bytes:
        """The next message that comes."""

    async def close(self) -> None:
        """Ends the connection."""


async def exchange(caller: Caller, message: bytes | dict[str, Any] | list[Any]) -> Any:
    """Sends one message and decodes the next reply."""
    await caller.send(message if isinstance(message, bytes) else json.dumps(message).encode())
    return json.loads(await caller.receive())


async def call(caller: Caller, method: str, **params: Any) -> dict[str, Any]:
    """The result of one verb.

    Raises:
        RpcError: What the daemon answered instead.
    """
    reply = await exchange(caller, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    assert reply["jsonrpc"] == "2.0", reply
    assert reply["id"] == 1, reply
    if "error" in reply:
        data = {key: value for key, value in reply["error"]["data"].items() if key != "code"}
        raise RpcError(reply["error"]["code"], reply["error"]["message"], **data)
    result: dict[str, Any] = reply["result"]
    return result


class UnixCaller:
    """A connection to the Unix socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, path: Path | str) -> Self:
        return cls(*await asyncio.open_unix_connection(str(path), limit=1 << 26))

    async def send(self, message: bytes) -> None:
        await self.send_bytes(message + b"\n")

    async def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> bytes:
        async with asyncio.timeout(REPLY_S):
            line = await self._reader.readline()
        assert line.endswith(b"\n"), f"the daemon closed the connection after {line!r}"
        return line[:-1]

    async def receive_rest(self) -> list[bytes]:
        """Every message until the daemon closes the connection."""
        async with asyncio.timeout(REPLY_S):
            return (await self._reader.read()).splitlines()

    def shut_sending(self) -> None:
        """Says that nothing more will come, as ``nc -N`` does."""
        self._writer.write_eof()

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):  # a daemon that was killed has closed it already
            await self._writer.wait_closed()


class _ZeromqCaller:
    _kind: int
    _envelope: tuple[bytes, ...] = ()

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.asyncio.Context()
        self.socket = self._context.socket(self._kind)
        self.socket.linger = 0
        self.socket.connect(endpoint)

    async def send(self, message: bytes) -> None:
        await self.socket.send_multipart([*self._envelope, message])

    async def receive(self) -> bytes:
        async with asyncio.timeout(REPLY_S):
            *envelope, message = await self.socket.recv_multipart()
        assert tuple(envelope) == self._envelope
        return bytes(message)

    async def close(self) -> None:
        self.socket.close()
        self._context.term()


class ReqCaller(_ZeromqCaller):
    """A REQ socket: one request, one reply."""

    _kind = zmq.REQ


class DealerCaller(_ZeromqCaller):
    """A DEALER socket that sends no delimiter: requests and replies as they come."""

    _kind = zmq.DEALER


class DelimitingDealerCaller(DealerCaller):
    """A DEALER socket that frames as REQ does, with an empty delimiter."""

    _envelope = (b"",)
