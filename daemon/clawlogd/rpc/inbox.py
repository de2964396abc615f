"""What a caller has sent and is not yet carried out, kept as it arrived: a line costs nothing before its turn comes.

Both listeners' callers have one; what they hold counts in bytes, of one caller and of all together (``HeldBytes``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from clawlog.protocol.vocabulary import MAX_LINE_BYTES

TOO_LARGE = b"\0"
"""Stands for a line or message over the bound: no message is that byte, which is no JSON and no line's end."""

_MESSAGE_COST_BYTES = 128  # of a message beyond its own bytes


class HeldBytes:
    """How much all callers together have in hand: sent and not carried out, or answered and not read.

    Args:
        bound: From how many bytes on nothing more is taken from callers that have something in hand.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._held = 0
        self._waiting: dict[object, Callable[[], None]] = {}

    @property
    def full(self) -> bool:
        """Whether the bound is reached."""
        return self._held >= self._bound

    def change(self, by: int) -> None:
        """Adds to what is held, or takes from it."""
        was_full = self.full
        self._held += by
        if was_full and not self.full:
            waiting, self._waiting = self._waiting, {}
            for resume in waiting.values():
                resume()

    def when_there_is_room(self, who: object, resume: Callable[[], None]) -> None:
        """Calls ``resume`` once, when the bound is no longer reached."""
        self._waiting[who] = resume

    def forget(self, who: object) -> None:
        """Calls somebody no more."""
        self._waiting.pop(who, None)


class Inbox(Protocol):
    """A caller's messages, in order."""

    def take(self) -> bytes | None:
        """The next message, ``TOO_LARGE`` for one over the bound; None when none is complete."""
        ...

    @property
    def has_more(self) -> bool:
        """Whether there may be a complete message."""
        ...

    @property
    def held_bytes(self) -> int:
        """What is held here."""
        ...


class LineInbox:
    """The lines of a stream, each ended by LF; a CR before it is ignored, and so are empty lines.

    Attributes:
        empty: Whether nothing is held here, as far as was noticed when the last line was looked for.
        overflowed: Whether a line was over the bound: the stream cannot be read on.
    """

    def __init__(self) -> None:
        self._lines = b""
        self._start = 0
        self._partial = bytearray()
        self.empty = True
        self.overflowed = False

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the stream."""
        self.empty = False
        end = data.rfind(b"\n") + 1
        if end:
            rest = self._lines[self._start :]
            self._lines = rest + self._partial + data[:end] if rest or self._partial else data[:end]
            self._start = 0
            self._partial = bytearray(data[end:])
        else:
            self._partial += data

    def take(self) -> bytes | None:
        """The next line; ``TOO_LARGE`` for one over the bound, after which there is nothing more."""
        while not self.overflowed:
            end = self._lines.find(b"\n", self._start)
            if end < 0:
                self._lines, self._start = b"", 0
                if len(self._partial) <= MAX_LINE_BYTES:
                    self.empty = not self._partial
                    return None
            else:
                line = self._lines[self._start : end].removesuffix(b"\r")
                self._start = end + 1
                if len(line) <= MAX_LINE_BYTES:
                    if line and not line.isspace():
                        return line
                    continue
            self.overflowed = True
            self._lines, self._start = b"", 0
            self._partial.clear()
            return TOO_LARGE
        return None

    @property
    def has_more(self) -> bool:
        """Whether there may be a complete line."""
        return self._start < len(self._lines) or len(self._partial) > MAX_LINE_BYTES

    @property
    def held_bytes(self) -> int:
        """What is held here."""
        return len(self._lines) - self._start + len(self._partial)


class MessageInbox:
    """Whole messages, as ZeroMQ brings them."""

    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self.held_bytes = 0

    def feed(self, message: bytes) -> None:
        """Takes a message."""
        self._messages.append(message if len(message) <= MAX_LINE_BYTES else TOO_LARGE)
        self.held_bytes += len(self._messages[-1]) + _MESSAGE_COST_BYTES

    def take(self) -> bytes | None:
        """The next message, ``TOO_LARGE`` for one over the bound."""
        if not self._messages:
            return None
        message = self._messages.popleft()
        self.held_bytes -= len(message) + _MESSAGE_COST_BYTES
        return message

    @property
    def has_more(self) -> bool:
        """Whether there is a message."""
        return bool(self._messages)
