"""What came of an attempt to deliver, and how it may be said: without the address, which is a secret."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote

_SHORTEST_SECRET = 3  # characters; shorter pieces of an address say nothing


class Scope(StrEnum):
    """What a failure is of."""

    TARGET = "target"
    """The target: what else is for it would fail, too."""
    MESSAGE = "message"
    """This message: the target refuses it, and may take others."""
    GONE = "gone"
    """The target has said that it is no more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it.

    Attributes:
        failed: What failed; ``None`` where the target has taken the message.
        detail: How it went, for people; without secrets.
        retry_after_s: When the target wants to be tried again.
    """

    failed: Scope | None
    detail: str
    retry_after_s: float | None = None


def masked(text: str, address: str) -> str:
    """A text without any piece of an address but its scheme, as one line of bounded length."""
    rest = address.partition("://")[2]
    pieces = {piece for form in (rest, unquote(rest)) for piece in re.split(r"[/:@?&=#,;+\s]+", form)}
    for piece in sorted(pieces, key=len, reverse=True):
        if len(piece) >= _SHORTEST_SECRET:
            text = text.replace(piece, "…")
    return " ".join(text.split())[:300]
