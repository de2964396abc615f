"""The circumstances of one command: when it was made, and over which connection it came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec


class CallerSession(Protocol):
    """The connection of a caller, as a command sees it."""

    def notify(self, method: str, params: Mapping[str, object], /) -> None:
        """Sends the caller a notification."""
        ...

    def at_close(self, action: Callable[[], None], /) -> None:
        """Registers what to do when the connection closes."""
        ...


class CallContext(msgspec.Struct, frozen=True, gc=False):
    """The circumstances of a command.

    Attributes:
        at_ms: When the caller made it, in milliseconds since 1970: now, or earlier for a spooled one.
        session: The connection that it came over; None for a spooled one.
    """

    at_ms: int
    session: CallerSession | None = None

    @property
    def spooled_at_ms(self) -> int | None:
        """When a spooled command was made; None for one that is made now."""
        return self.at_ms if self.session is None else None
