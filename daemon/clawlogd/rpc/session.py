"""A caller's connection, as a command sees it: notifications go out over it, until it closes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clawlog.protocol.jsonrpc import encode_notification


class ConnectionSession:
    """The session of one connection; a ``CallerSession``.

    Args:
        send: Sends one message to the caller.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._at_close: list[Callable[[], None]] = []

    def notify(self, method: str, params: Mapping[str, object], /) -> None:
        """Sends the caller a notification."""
        self._send(encode_notification(method, params))

    def at_close(self, action: Callable[[], None], /) -> None:
        """Registers what to do when the connection closes."""
        self._at_close.append(action)

    @property
    def subscribed(self) -> bool:
        """Whether the caller is notified of something from time to time."""
        return bool(self._at_close)

    def close(self) -> None:
        """Runs what was registered, once."""
        actions, self._at_close = self._at_close, []
        for action in actions:
            action()
