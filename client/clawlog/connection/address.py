"""The forms of ``CLAWLOG_SOCKET``: a path, ``unix:PATH``, ``zmq:ipc://PATH`` or ``zmq:tcp://HOST:PORT``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from clawlog import locations
from clawlog.errors import BadAddress

NO_LISTENER = (FileNotFoundError, ConnectionRefusedError)
"""What connecting to a Unix socket raises where no daemon listens: no socket, or one that a daemon left behind."""

_MAX_PATH_BYTES = 107  # see unix(7): sun_path, without the byte that ends it


class Kind(Enum):
    """The transport to the daemon."""

    UNIX = "unix"
    """A Unix socket, one JSON value per line."""
    ZMQ_IPC = "zmq-ipc"
    """ZeroMQ's protocol over a Unix socket."""
    ZMQ_TCP = "zmq-tcp"
    """ZeroMQ's protocol over TCP, encrypted with CURVE."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the daemon listens.

    Attributes:
        kind: The transport.
        path: The socket's path; empty for TCP. A leading NUL is Linux's abstract namespace.
        endpoint: ZeroMQ's name for it, such as ``ipc:///run/clawlog/zmq``; empty for a plain Unix socket.
    """

    kind: Kind
    path: str
    endpoint: str = ""

    @property
    def is_local(self) -> bool:
        """Whether the daemon would run on this machine, so that it may be started."""
        return self.kind is not Kind.ZMQ_TCP

    def __str__(self) -> str:
        return f"zmq:{self.endpoint}" if self.endpoint else self.path


def of_environment(env: Mapping[str, str]) -> Address:
    """The address that the environment names, or where the daemon is by default.

    Raises:
        BadAddress: It names none, or there is no place for one.
    """
    try:
        return parse(locations.socket_address(env))
    except locations.Unfit as error:
        raise BadAddress(f"No place for the daemon's socket: {error}") from error


def parse(text: str) -> Address:
    """Reads an address.

    Raises:
        BadAddress: The text has none of the accepted forms.
    """
    if not text.startswith("zmq:"):
        path = text.removeprefix("unix:")
        if not path or "://" in path:
            raise _refusal(text)
        return Address(Kind.UNIX, _checked(path))
    endpoint = text.removeprefix("zmq:")
    transport, _, rest = endpoint.partition("://")
    if not rest:
        raise _refusal(text)
    if transport == "ipc":
        return Address(Kind.ZMQ_IPC, _checked("\0" + rest[1:] if rest.startswith("@") else rest), endpoint)
    if transport == "tcp":
        return Address(Kind.ZMQ_TCP, "", endpoint)
    raise _refusal(text)


def _checked(path: str) -> str:
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        raise BadAddress(
            f"{path} is longer than {_MAX_PATH_BYTES} bytes, the most that a socket's path may have; "
            "set CLAWLOG_SOCKET to a shorter one"
        )
    return path


def _refusal(text: str) -> BadAddress:
    expected = "PATH, unix:PATH, zmq:ipc://PATH or zmq:tcp://HOST:PORT"
    return BadAddress(f"{text!r} is not an address (CLAWLOG_SOCKET); expected {expected}")
