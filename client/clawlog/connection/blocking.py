"""Moves messages over a blocking connection. It keeps no state of the session and knows no verb."""

from __future__ import annotations

import math
import select
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Protocol

from clawlog.connection.address import Address, Kind
from clawlog.connection.calls import ConnectionLost
from clawlog.connection.session import Framing, Lines
from clawlog.connection.zmtp import Zmtp

_CHUNK_BYTES = 256 * 1024
_BACKLOG_PAUSE_S = 0.005


class Channel(Protocol):
    """A connection that carries whole messages. Deadlines are of ``time.monotonic``; a missed one raises ``TimeoutError``."""

    def send(self, messages: Iterable[bytes], deadline: float) -> None:
        """Sends messages. Raises ``ConnectionLost`` when the connection is lost."""

    def receive(self, deadline: float) -> list[bytes]:
        """Waits for at least one message. Raises ``ConnectionLost`` when the connection is lost."""

    def close(self) -> None:
        """Closes the connection."""


def open_channel(address: Address, env: Mapping[str, str], deadline: float) -> Channel:
    """Connects.

    Raises:
        OSError: No daemon listens there (``address.NO_LISTENER``), or access is denied.
        TimeoutError: The other side did not accept the connection in time.
        BadAddress: The address lacks what its kind needs.
    """
    if address.kind is Kind.ZMQ_TCP:
        from clawlog.connection import curve  # noqa: PLC0415 - the one module that needs pyzmq, loaded for such addresses alone

        return curve.CurveChannel(address, env)
    return StreamChannel(address.path, Lines() if address.kind is Kind.UNIX else Zmtp(), deadline)


class StreamChannel:
    """A Unix socket with a framing.

    The socket never blocks: while it accepts no more data, what has come in is read, so that two full buffers cannot block each
    other, however much is pipelined.
    """

    def __init__(self, path: str, framing: Framing, deadline: float) -> None:
        self._framing = framing
        self._inbox: list[bytes] = []
        self._socket = _connect(path, deadline)
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        self._poll = select.poll()

    def send(self, messages: Iterable[bytes], deadline: float) -> None:
        """Sends messages."""
        for message in messages:
            self._framing.send(message)
        self._flush(deadline)

    def receive(self, deadline: float) -> list[bytes]:
        """Waits for at least one message."""
        while not self._inbox:
            self._wait(select.POLLIN, deadline)
            self._read()
            self._flush(deadline)
        messages, self._inbox = self._inbox, []
        return messages

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()

    def _flush(self, deadline: float) -> None:
        while output := memoryview(self._framing.take_output()):
            while output:
                try:
                    output = output[self._socket.send(output) :]
                except BlockingIOError:
                    if self._wait(select.POLLIN | select.POLLOUT, deadline) & select.POLLIN:
                        self._read()
                except OSError as error:
                    raise ConnectionLost(str(error)) from error

    def _read(self) -> None:
        try:
            data = self._socket.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise ConnectionLost(str(error)) from error
        if not data:
            raise ConnectionLost("the daemon closed the connection")
        self._inbox += self._framing.receive(data)

    def _wait(self, events: int, deadline: float) -> int:
        self._poll.register(self._socket, events)
        ready = self._poll.poll(None if deadline == math.inf else max(0.0, deadline - time.monotonic()) * 1000)
        if not ready:
            raise TimeoutError
        return ready[0][1]


def _connect(path: str, deadline: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        while True:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                connection.connect(path)
            except BlockingIOError:  # the listener's backlog is full: Linux fails at once instead of waiting
                if time.monotonic() > deadline:
                    raise TimeoutError from None
                time.sleep(_BACKLOG_PAUSE_S)
            else:
                return connection
    except BaseException:
        connection.close()
        raise
