"""A caller's connection, as a command sees it: notifications go out over it, until it closes; and who the caller is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clawlog.protocol.jsonrpc import encode_notification
from clawlogd.context import Peer


class ConnectionSession:
    """The session of one connection; a ``CallerSession``.

    Args:
        send: Sends one message to the caller.
        peer: Who the caller is.

    Attributes:
        peer: Who the caller is.
        refused: Of which tasks a command was refused for now. What the caller had sent behind it must not overtake it, for
            the caller writes it to the spool as soon as it reads that. To be cleared once everything sent has been answered.
    """

    def __init__(self, send: Callable[[bytes], None], peer: Peer) -> None:
        self._send = send
        self.peer = peer
        self.refused: dict[str, Exception] = {}
        self._at_close: dict[str, Callable[[], None]] = {}

    def notify(self, method: str, params: Mapping[str, object], /) -> None:
        """Sends the caller a notification."""
        self._send(encode_notification(method, params))

    def at_close(self, name: str, action: Callable[[], None], /) -> None:
        """Registers what to do when the connection closes, instead of what was registered under the same name: that is done."""
        before = self._at_close.pop(name, None)
        if before is not None:
            before()
        self._at_close[name] = action

    @property
    def subscribed(self) -> bool:
        """Whether the caller is notified of something from time to time."""
        return bool(self._at_close)

    def close(self) -> None:
        """Runs what was registered, once."""
        actions, self._at_close = self._at_close, {}
        for action in actions.values():
            action()
