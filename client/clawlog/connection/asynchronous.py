"""Moves messages over an asyncio connection, and hands each reply to the call that waits for it.

The blocking twin is ``blocking``; both use ``session``. No verb is known here.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from clawlog.connection.address import Address, Kind
from clawlog.connection.call import Call, ConnectionLost
from clawlog.connection.features import Features
from clawlog.connection.results import StopState
from clawlog.connection.session import Answer, Changed, Framing, Lines, Session
from clawlog.connection.zmtp import Zmtp
from clawlog.errors import ProtocolViolation, Refused

T = TypeVar("T")

_BACKLOG_PAUSE_S = 0.005


class Transport(Protocol):
    """What a ``Link`` sends through."""

    async def send(self, message: bytes) -> None:
        """Sends a message, as soon as the other side takes it."""

    def close(self) -> None:
        """Closes the connection."""


class Link:
    """One open connection to the daemon.

    Args:
        features: What is known of the daemon's version.
        on_change: Called with every stop state that the daemon pushes.
        on_lost: Called once when the connection is lost, unless ``close`` ended it.
    """

    def __init__(
        self,
        features: Features,
        on_change: Callable[[StopState], None] | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        self._session = Session(features)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._on_change = on_change
        self._on_lost = on_lost
        self._transport: Transport | None = None
        self._lost: Exception | None = None
        self.patience_s = 0.0
        """How long the calls in flight may take together: replies come in order, so each waits for those before it."""

    async def open(self, address: Address, env: Mapping[str, str]) -> None:
        """Connects.

        Raises:
            OSError: No daemon listens there, or access is denied.
            BadAddress: The address lacks what its kind needs.
        """
        if address.kind is Kind.ZMQ_TCP:
            self._transport = _CurveTransport(address, env, self)
            return
        framing = Lines() if address.kind is Kind.UNIX else Zmtp()
        connection = await _connect(address.path)
        loop = asyncio.get_running_loop()
        _, self._transport = await loop.create_unix_connection(lambda: _StreamTransport(framing, self), sock=connection)

    @property
    def is_open(self) -> bool:
        """Whether calls can be made over it."""
        return self._transport is not None and self._lost is None

    async def request(self, call: Call[T]) -> T | Refused:
        """Sends a call and waits for its outcome.

        Raises:
            ConnectionLost: The connection was lost before the reply came, or the daemon is shutting down.
            ProtocolViolation: The result has an unknown shape.
        """
        self.patience_s += call.may_take_s
        try:
            while self._session.must_repeat(answer := await self._answer(call)):
                continue
        finally:
            self.patience_s -= call.may_take_s
        outcome: T | Refused = answer.call.decode_outcome(answer.response)
        return outcome

    async def _answer(self, call: Call[Any]) -> Answer:
        if self._lost is not None or self._transport is None:
            raise ConnectionLost(str(self._lost or "not open"))
        number, message = self._session.request(call)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            await self._transport.send(message)
            return await answer
        finally:
            del self._waiting[number]

    async def notify(self, call: Call[Any]) -> None:
        """Sends a call as a notification, which gets no reply."""
        if self._transport is not None:
            await self._transport.send(call.encode_notification())

    def close(self) -> None:
        """Closes the connection; calls in flight raise ``ConnectionLost``."""
        self._on_lost = None
        if self._transport is not None:
            self._transport.close()
        self.lost(ConnectionLost("closed by this client"))

    def receive(self, message: bytes) -> None:
        """Takes a message from the transport."""
        try:
            received = self._session.receive(message)
        except ProtocolViolation as error:
            self.lost(error)
            return
        if isinstance(received, Changed) and self._on_change is not None:
            self._on_change(received.stop)
        elif isinstance(received, Answer):
            answer = self._waiting.get(received.number)
            if answer is not None and not answer.done():
                answer.set_result(received)

    def lost(self, reason: Exception) -> None:
        """Records that the transport is lost."""
        if self._lost is not None:
            return
        self._lost = reason
        if self._transport is not None:
            self._transport.close()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(reason)
        if self._on_lost is not None:
            self._on_lost()


class _StreamTransport(asyncio.Protocol):
    """A Unix socket with a framing."""

    def __init__(self, framing: Framing, link: Link) -> None:
        self._framing = framing
        self._link = link
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
        self._flush()

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._framing.receive(data)
        except ConnectionLost as error:
            self._link.lost(error)
            return
        self._flush()
        for message in messages:
            self._link.receive(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        self._link.lost(ConnectionLost(str(exc or "the daemon closed the connection")))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def send(self, message: bytes) -> None:
        self._framing.send(message)
        self._flush()
        await self._writable.wait()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _flush(self) -> None:
        if self._transport is not None and (output := self._framing.take_output()):
            self._transport.write(output)


class _CurveTransport:
    """A DEALER of pyzmq, read by a task of its own until it is closed."""

    def __init__(self, address: Address, env: Mapping[str, str], link: Link) -> None:
        from clawlog.connection import curve  # noqa: PLC0415 - the one module that needs pyzmq, loaded for such addresses alone

        self._socket: Any = curve.open_socket(address, env, asynchronous=True)
        self._link = link
        self._reader = asyncio.create_task(self._read(), name=f"read {address}")

    async def send(self, message: bytes) -> None:
        await self._socket.send_multipart([b"", message])

    def close(self) -> None:
        self._reader.cancel()
        self._socket.close()

    async def _read(self) -> None:
        while True:
            self._link.receive((await self._socket.recv_multipart())[-1])


async def _connect(path: str) -> socket.socket:
    """Connects by hand: asyncio takes a full queue of new connections (EAGAIN) for a connection on its way."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    try:
        while True:
            try:
                connection.connect(path)
            except BlockingIOError:
                await asyncio.sleep(_BACKLOG_PAUSE_S)
            else:
                return connection
    except BaseException:
        connection.close()
        raise
