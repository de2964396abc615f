"""Which calls are repetitions, as far as memory alone can show: so most calls need not ask the file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from clawlog.protocol.ids import minted_at_ms
from clawlogd.clock import Clock

_REMEMBERED = 8192  # at least; and at most twice as many
_AHEAD_MS = 1000  # by how much a caller's clock may be ahead of ours


class RecentEventIds:
    """Remembers recent event ids, each with the future of its commit.

    Args:
        clock: Where the time is read.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._young: dict[bytes, asyncio.Future[None]] = {}
        self._old: dict[bytes, asyncio.Future[None]] = {}
        self._all_known_since_ms = clock.wall_ms()

    def surely_new(self, event_id: bytes) -> bool:
        """Whether memory alone shows that this event id is new.

        It does for an id that was minted after this process began (or after the newest one that was evicted), and that is not
        remembered. For all others the file must be asked.
        """
        minted_ms = minted_at_ms(event_id)
        if minted_ms is None or not self._all_known_since_ms < minted_ms <= self._clock.wall_ms() + _AHEAD_MS:
            return False
        return event_id not in self

    def __contains__(self, event_id: bytes) -> bool:
        return event_id in self._young or event_id in self._old

    async def committed(self, event_id: bytes) -> None:
        """Returns when the commit of a remembered event has succeeded or failed."""
        done = self._young.get(event_id) or self._old.get(event_id)
        if done is not None:
            await asyncio.wait([done])

    def remember(self, event_id: bytes, committed: asyncio.Future[None]) -> None:
        """Remembers an event id; evicts the older ones, when there are many."""
        self._young[event_id] = committed
        if len(self._young) >= _REMEMBERED:
            self.check_the_file_for(self._old)
            self._old, self._young = self._young, {}

    def forget(self, event_id: bytes) -> None:
        """Forgets an event id whose commit failed."""
        self._young.pop(event_id, None)
        self._old.pop(event_id, None)

    def check_the_file_for(self, event_ids: Iterable[bytes]) -> None:
        """Makes the file be asked, from now on, for every id that was minted up to the time of these."""
        minted_ms = [minted_at_ms(event_id) or 0 for event_id in event_ids]
        self._all_known_since_ms = max([self._all_known_since_ms, *minted_ms])
