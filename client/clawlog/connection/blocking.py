"""Moves messages over a blocking connection. It keeps no state of the session and knows no verb."""

from __future__ import annotations

import math
import os
import select
import socket
import time
import weakref
from collections.abc import Iterable, Mapping
from typing import Protocol

from clawlog.connection.address import Address, Kind
from clawlog.connection.call import ConnectionLost
from clawlog.connection.session import Framing, Lines

_CHUNK_BYTES = 256 * 1024
_BACKLOG_PAUSE_S = 0.005


class Channel(Protocol):
    """A connection that carries whole messages. Deadlines are of ``time.monotonic``; a missed one raises ``TimeoutError``."""

    def send(self, messages: Iterable[bytes], deadline: float) -> None:
        """Sends messages. Raises ``ConnectionLost`` when the connection is lost."""

    def receive(self, deadline: float) -> list[bytes]:
        """Waits for at least one message. Raises ``ConnectionLost`` when the connection is lost."""

    @property
    def is_open(self) -> bool:
        """Whether it was not closed yet; the other side may have gone all the same."""

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
    if address.kind is Kind.UNIX:
        return StreamChannel(address.path, Lines(), deadline)
    from clawlog.connection.zmtp import Zmtp  # noqa: PLC0415 - loaded for such addresses alone

    return StreamChannel(address.path, Zmtp(), deadline)


class StreamChannel:
    """A Unix socket with a framing.

    The socket never blocks: while it accepts no more data, what has come in is read, so that two full buffers cannot block each
    other, however much is pipelined.
    """

    def __init__(self, path: str, framing: Framing, deadline: float) -> None:
        self._framing = framing
        self._inbox: list[bytes] = []
        self._poll = select.poll()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        _channels.add(self)
        try:
            self._open(path, deadline)
        except BaseException:
            self._socket.close()
            raise

    def _open(self, path: str, deadline: float) -> None:
        pid = os.getpid()
        _connect(self._socket, path, deadline)
        if pid != os.getpid():
            raise ConnectionLost("this process was forked in the middle of a call")
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's own signature

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

    @property
    def is_open(self) -> bool:
        """Whether it was not closed yet; the other side may have gone all the same."""
        return self._socket.fileno() >= 0

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
        if not self.is_open:
            raise ConnectionLost("closed here, or in this process when it was forked")
        self._poll.register(self._socket, events)
        ready = self._poll.poll(None if deadline == math.inf else max(0.0, deadline - time.monotonic()) * 1000)
        if not ready:
            raise TimeoutError
        return ready[0][1]


_channels: weakref.WeakSet[StreamChannel] = weakref.WeakSet()


def _close_in_child() -> None:
    """A forked process has no part in its parent's conversations, also in one in the middle of which it was forked."""
    for channel in list(_channels):
        channel.close()


os.register_at_fork(after_in_child=_close_in_child)


def _connect(connection: socket.socket, path: str, deadline: float) -> None:
    while True:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            connection.connect(path)
        except BlockingIOError:  # the listener's backlog is full: Linux fails at once instead of waiting
            if time.monotonic() > deadline:
                raise TimeoutError from None
            time.sleep(_BACKLOG_PAUSE_S)
        else:
            return
