"""ZeroMQ over TCP, which the daemon offers with CURVE encryption alone: the one module of the client that uses pyzmq.

pyzmq is optional: the client's core is the standard library alone, and CURVE's cryptography should not be written again. The
keys come from the environment:

- ``CLAWLOG_ZMQ_SERVER_KEY``: the daemon's public key (Z85, 40 characters);
- ``CLAWLOG_ZMQ_PUBLIC_KEY``: the client's own public key;
- ``CLAWLOG_ZMQ_SECRET_KEY_FILE``: a file that holds the client's secret key, readable by its owner alone.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from clawlog import locations
from clawlog.connection.address import Address
from clawlog.errors import BadAddress

if TYPE_CHECKING:
    import zmq

_KEY_CHARS = 40


def open_socket(address: Address, env: Mapping[str, str], *, asynchronous: bool = False) -> zmq.Socket[Any]:
    """Returns a DEALER socket; ZeroMQ connects it in the background, for as long as that takes.

    Raises:
        BadAddress: pyzmq or a key is missing, or a key is invalid.
    """
    try:
        import zmq  # noqa: PLC0415 - optional
        import zmq.asyncio  # noqa: PLC0415 - optional
    except ImportError as error:
        raise BadAddress(f"{address} needs pyzmq: pip install pyzmq, or use a zmq:ipc:// or unix: address") from error
    server_key = _key(env, "CLAWLOG_ZMQ_SERVER_KEY")
    public_key = _key(env, "CLAWLOG_ZMQ_PUBLIC_KEY")
    secret_key = _secret_key(env)
    context: zmq.Context[Any] = zmq.asyncio.Context.instance() if asynchronous else zmq.Context.instance()
    dealer: zmq.Socket[Any] = context.socket(zmq.DEALER)
    try:
        dealer.linger = 0
        dealer.curve_serverkey = server_key
        dealer.curve_publickey = public_key
        dealer.curve_secretkey = secret_key
        dealer.connect(address.endpoint)
    except zmq.ZMQError as error:
        dealer.close()
        raise BadAddress(f"{address}: {error}; are the keys a pair, in Z85?") from error
    return dealer


class CurveChannel:
    """A DEALER as a blocking channel. An absent daemon shows as a time-out: ZeroMQ reports no lost connections."""

    def __init__(self, address: Address, env: Mapping[str, str]) -> None:
        self._socket = open_socket(address, env)
        self._pid = os.getpid()

    def send(self, messages: Iterable[bytes], deadline: float) -> None:
        """Hands messages to ZeroMQ."""
        import zmq  # noqa: PLC0415 - optional

        for message in messages:
            if not self._socket.poll(_remaining_ms(deadline), zmq.POLLOUT):
                raise TimeoutError
            self._socket.send_multipart([b"", message])

    def receive(self, deadline: float) -> list[bytes]:
        """Waits for a message."""
        if not self._socket.poll(_remaining_ms(deadline)):
            raise TimeoutError
        return [self._socket.recv_multipart()[-1]]

    @property
    def is_open(self) -> bool:
        """Whether it was not closed yet; in a forked process it counts as closed, and is the parent's."""
        return self._pid == os.getpid() and not self._socket.closed

    def close(self) -> None:
        """Closes the connection."""
        if self._pid == os.getpid():
            self._socket.close()


def _remaining_ms(deadline: float) -> int | None:
    return None if deadline == math.inf else max(0, int((deadline - time.monotonic()) * 1000))


def _key(env: Mapping[str, str], name: str) -> bytes:
    return _checked(env.get(name, ""), name)


def _secret_key(env: Mapping[str, str]) -> bytes:
    name = "CLAWLOG_ZMQ_SECRET_KEY_FILE"
    path = env.get(name)
    if not path:
        raise BadAddress(f"{name} is not set; a zmq:tcp:// address needs the client's secret key, in a file")
    try:
        if os.stat(path).st_mode & 0o077:
            raise BadAddress(f"{name}: others may read {path}; chmod 600 it")
        return _checked(locations.read_file(path, 4096).decode("ascii").strip(), name)
    except (OSError, UnicodeDecodeError) as error:
        raise BadAddress(f"{name}: {path} cannot be read ({error})") from error


def _checked(key: str, name: str) -> bytes:
    if len(key) != _KEY_CHARS or not key.isascii():
        raise BadAddress(
            f"{name} is missing or not a key; a zmq:tcp:// address needs a CURVE key of {_KEY_CHARS} characters (Z85)"
        )
    return key.encode()
