"""The log of changes in this process: how its parts hear of each commit, once and in the order of the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from clawlog_backend.storage.changes import Change, Position

_REACH_S = 1.0  # what another replica committed is here within a tenth of that

Follower = Callable[[Change], None]


class ChangeLog:
    """Hands each change to those that follow."""

    def __init__(self) -> None:
        self.position = Position("", 0, 0)
        self._followers: list[Follower] = []
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._hurry: Callable[[], None] | None = None

    def begin_at(self, position: Position) -> None:
        """Take the log up here: what was before is known to nobody."""
        self.position = position

    def follow(self, follower: Follower) -> None:
        """Call a function with each change from now on, after those that follow already. It must neither fail nor wait."""
        self._followers.append(follower)

    def append(self, change: Change) -> None:
        """Hand over the next change; one that is known already is passed over."""
        if change.seq <= self.position.seq:
            return
        floor_seq = change.seq if change.removed else self.position.floor_seq
        self.position = replace(self.position, seq=change.seq, floor_seq=floor_seq)
        for follower in self._followers:
            follower(change)
        self._tell_waiting()

    def hurry_by(self, hurry: Callable[[], None]) -> None:
        """Others append to the log, too: what is called to have theirs looked for at once."""
        self._hurry = hurry

    async def reach(self, position: str) -> None:
        """Wait until a position that another replica named is reached here, for a moment; it may be of another database.

        Args:
            position: As this log names its own: ``STOREID-SEQ``, or only the number.
        """
        store_id, _, number = position.rpartition("-")
        if self._hurry is None or not number.isdecimal() or store_id not in {"", self.position.store_id}:
            return
        if int(number) <= self.position.seq:
            return
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((int(number), reached))
        self._hurry()
        with suppress(TimeoutError):
            async with asyncio.timeout(_REACH_S):
                await reached
        self._waiting = [each for each in self._waiting if not each[1].done()]

    def _tell_waiting(self) -> None:
        for seq, reached in self._waiting:
            if seq <= self.position.seq and not reached.done():
                reached.set_result(None)

    def raise_floor(self, floor_seq: int) -> None:
        """Changes up to here are no longer in the database."""
        self.position = replace(self.position, floor_seq=max(self.position.floor_seq, floor_seq))
