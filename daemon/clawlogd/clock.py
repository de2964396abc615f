"""Time, injected: everything that decides by time takes a ``Clock``, so that tests can move it.

Decisions that outlive the process use wall time (``wall_ms``), intervals use ``monotonic``. Monotonic time stands still while
the machine is suspended; wall time may be stepped. Neither alone says how long something took across a suspend.
"""

from __future__ import annotations

import functools
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where a part reads the time."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""
        ...


class SystemClock:
    """The machine's own time."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970, UTC."""
        return time.time_ns() // 1_000_000

    monotonic = staticmethod(time.monotonic)


@functools.lru_cache(maxsize=64)  # many events of one moment: formatting a date costs more than all else about an event
def rfc3339(wall_ms: int) -> str:
    """A time as the wire has it: RFC 3339 in UTC with milliseconds."""
    return f"{_to_the_second(wall_ms // 1000)}.{wall_ms % 1000:03d}Z"


@functools.lru_cache(maxsize=64)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parse_rfc3339(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 time.

    Raises:
        ValueError: It is not one, or names no offset from UTC.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no offset from UTC")
    return round(moment.timestamp() * 1000)
