"""How many events are accepted in an hour, lately: it says how long the outbox can go on filling."""

from __future__ import annotations

import math

from clawlogd.clock import Clock

_WINDOW_S = 900.0


class AcceptanceRate:
    """An exponential mean over a quarter of an hour.

    Args:
        clock: Where the time is read.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = self._at = clock.monotonic()
        self._per_s = 0.0
        self._since = 0

    def note(self, count: int) -> None:
        """So many more events were accepted."""
        self._since += count

    def per_hour(self) -> float:
        """Events in an hour."""
        now = self._clock.monotonic()
        self._per_s = self._per_s * math.exp((self._at - now) / _WINDOW_S) + self._since / _WINDOW_S
        self._at, self._since = now, 0
        # A young mean has not yet seen a whole window: scaled up to what it has seen.
        seen = 1.0 - math.exp(-(now - self._began + 1.0) / _WINDOW_S)
        return self._per_s / seen * 3600
