"""A caller's connection, as the verbs see it: somewhere to push notifications to, until it closes."""

from __future__ import annotations

from collections.abc import Callable


class Session:
    """One connection.

    Args:
        push: Sends one message to the caller.
    """

    def __init__(self, push: Callable[[bytes], None]) -> None:
        self.push = push
        self._at_close: list[Callable[[], None]] = []

    def at_close(self, action: Callable[[], None]) -> None:
        """Says what to do when the connection closes."""
        self._at_close.append(action)

    @property
    def watching(self) -> bool:
        """Whether something is pushed to this caller from time to time."""
        return bool(self._at_close)

    def close(self) -> None:
        """Runs what was asked for, once."""
        actions, self._at_close = self._at_close, []
        for action in actions:
            action()
