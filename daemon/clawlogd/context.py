"""The circumstances of one command: when it was made, by whom, and over which connection it came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Protocol

import msgspec


class Origin(Enum):
    """Where a caller is, as far as the way that it came by tells."""

    THIS_KERNEL = "this kernel"
    """A Unix socket, also under ZeroMQ: the kernel names the caller's process."""
    SPOOL = "spool"
    """A file: its writer may have said in which pid namespace it was."""
    UNKNOWN = "unknown"
    """ZeroMQ over a Unix socket, by a libzmq that does not pass on what the kernel says."""
    NETWORK = "network"
    """ZeroMQ over TCP: perhaps another machine."""


class Peer(msgspec.Struct, frozen=True, gc=False):
    """Who a caller is.

    Attributes:
        origin: Where it is.
        pid: Its process id as it is seen from here; 0 where it is in a namespace that is not seen.
        pid_namespace: The inode number of its pid namespace, where it says so itself, as in the spool.
        uid: Its user's number, where the kernel tells it.
    """

    origin: Origin = Origin.UNKNOWN
    pid: int = 0
    pid_namespace: int | None = None
    uid: int | None = None


SPOOL_WRITER = Peer(Origin.SPOOL)


class CallerSession(Protocol):
    """The connection of a caller, as a command sees it."""

    @property
    def peer(self) -> Peer:
        """Who the caller is."""
        ...

    @property
    def refused(self) -> dict[str, Exception]:
        """Of which tasks a command was refused for now, while what follows it may be on its way: that must not overtake it."""
        ...

    def notify(self, method: str, params: Mapping[str, object], /) -> None:
        """Sends the caller a notification."""
        ...

    def at_close(self, name: str, action: Callable[[], None], /) -> None:
        """Registers what to do when the connection closes, instead of what was registered under the same name: that is done."""
        ...


class CallContext(msgspec.Struct, frozen=True, gc=False):
    """The circumstances of a command.

    Attributes:
        at_ms: When the caller made it, in milliseconds since 1970: now, or earlier for a spooled one.
        session: The connection that it came over; None for a spooled one.
        writer: Who wrote a spooled one.
    """

    at_ms: int
    session: CallerSession | None = None
    writer: Peer = SPOOL_WRITER

    @classmethod
    def of_the_daemon(cls, at_ms: int) -> CallContext:
        """The circumstances of what the daemon does of itself, as for a session that no hook reports on."""
        return cls(at_ms)

    @property
    def spooled_at_ms(self) -> int | None:
        """When a spooled command was made; None for one that is made now."""
        return self.at_ms if self.session is None else None

    @property
    def peer(self) -> Peer:
        """Who made it."""
        return self.writer if self.session is None else self.session.peer
