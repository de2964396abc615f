"""When to try again: a few quick attempts, then an open breaker that lets single probes through, less and less often.

Delays are drawn with full jitter (uniformly from zero to the bound), so that many clients do not come back together.
Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

import random
from enum import StrEnum

from clawlogd.settings import LiveSettings

_FIRST_PROBE_S = 1.0


class BreakerState(StrEnum):
    """Whether requests flow."""

    CLOSED = "closed"
    RETRYING = "retrying"
    OPEN = "open"


class Breaker:
    """Counts failures in a row, and says how long to wait.

    Args:
        settings: The delays.
        draw: Draws a number uniformly between two; a test puts its own.
    """

    def __init__(self, settings: LiveSettings, draw: random.Random | None = None) -> None:
        self._settings = settings
        self._uniform = (draw or random.SystemRandom()).uniform
        self.failures = 0

    @property
    def state(self) -> BreakerState:
        """Closed while all is well, open once the quick attempts are used up."""
        if not self.failures:
            return BreakerState.CLOSED
        return BreakerState.RETRYING if self.failures <= len(self._settings.now.retry.quick_delays_s) else BreakerState.OPEN

    def succeeded(self) -> None:
        """Closes the breaker."""
        self.failures = 0

    def failed(self, retry_after_s: float | None = None) -> float:
        """Counts a failure, and returns after how many seconds to try again.

        Args:
            retry_after_s: What the server asked for: the delay is not shorter.
        """
        self.failures += 1
        quick = self._settings.now.retry.quick_delays_s
        if self.failures <= len(quick):
            bound_s = quick[self.failures - 1]
        else:
            doublings = min(self.failures - len(quick) - 1, 16)
            bound_s = min(_FIRST_PROBE_S * 2**doublings, self._settings.now.retry.max_delay_s)
        return max(self._uniform(0.0, bound_s), retry_after_s or 0.0)
