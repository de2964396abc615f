"""How long a watcher waits between polls, and after a poll that failed."""

from __future__ import annotations

import asyncio
import random

import anyio

from clawlogd.logs import Log
from clawlogd.settings import LiveSettings
from clawlogd.upstream.answers import Answer
from clawlogd.upstream.breaker import Breaker

_LONGEST_S = 10.0  # a small request now and then does no harm, and a backend that is back should soon be asked
SHORTEST_PART = 0.8  # of the interval: polls are never further apart than it says, and do not keep time with others
_SHORTEST_S = 0.05


class Pauses:
    """The pauses of one way to poll.

    Args:
        settings: Interval, and delays after failures.
        base_url: The backend, for the log.
    """

    def __init__(self, settings: LiveSettings, base_url: str) -> None:
        self._settings = settings
        self._breaker = Breaker(settings)
        self._log = Log("watcher", backend=base_url)
        self._over = asyncio.Event()

    async def between_polls(self, spent_s: float = 0.0) -> None:
        """Waits for an interval at most, less what a poll took already."""
        interval_s = self._settings.now.poll.interval_s * random.uniform(SHORTEST_PART, 1.0)  # noqa: S311 - no secret
        await self._wait(max(0.0, interval_s - spent_s))

    async def after_failure(self, answer: Answer) -> None:
        """Waits a little after the first failures, then longer; as long as the server asks for, where it does."""
        delay_s = self._breaker.failed(answer.retry_after_s)
        if answer.retry_after_s is None:
            delay_s = min(max(delay_s, _SHORTEST_S), _LONGEST_S)
        self._log.debug("poll_failed", detail=answer.detail, delay_s=round(delay_s, 1))
        await self._wait(delay_s)

    def succeeded(self) -> None:
        """Forgets the failures."""
        self._breaker.succeeded()

    def end(self) -> None:
        """Ends a pause that is being made."""
        self._over.set()
        self._over = asyncio.Event()

    async def _wait(self, delay_s: float) -> None:
        with anyio.move_on_after(delay_s):
            await self._over.wait()
