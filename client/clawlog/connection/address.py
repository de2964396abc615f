"""The forms of ``CLAWLOG_SOCKET``: a path, ``unix:PATH``, ``zmq:ipc://PATH`` or ``zmq:tcp://HOST:PORT``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from clawlog.errors import BadAddress

NO_LISTENER = (FileNotFoundError, ConnectionRefusedError)
"""What connecting to a Unix socket raises where no daemon listens: no socket, or one that a daemon left behind."""


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


def parse(text: str) -> Address:
    """Reads an address.

    Raises:
        BadAddress: The text has none of the accepted forms.
    """
    if not text.startswith("zmq:"):
        path = text.removeprefix("unix:")
        if not path or "://" in path:
            raise _refusal(text)
        return Address(Kind.UNIX, path)
    endpoint = text.removeprefix("zmq:")
    transport, _, rest = endpoint.partition("://")
    if not rest:
        raise _refusal(text)
    if transport == "ipc":
        return Address(Kind.ZMQ_IPC, "\0" + rest[1:] if rest.startswith("@") else rest, endpoint)
    if transport == "tcp":
        return Address(Kind.ZMQ_TCP, "", endpoint)
    raise _refusal(text)


def _refusal(text: str) -> BadAddress:
    expected = "PATH, unix:PATH, zmq:ipc://PATH or zmq:tcp://HOST:PORT"
    return BadAddress(f"{text!r} is not an address (CLAWLOG_SOCKET); expected {expected}")
