"""The log of changes in this process: how its parts hear of each commit, once and in the order of the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from clawlog_backend.storage.changes import Change, Position

Follower = Callable[[Change], None]


class ChangeLog:
    """Hands each change to those that follow."""

    def __init__(self) -> None:
        self.position = Position("", 0, 0)
        self._followers: list[Follower] = []

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

    def raise_floor(self, floor_seq: int) -> None:
        """Changes up to here are no longer in the database."""
        self.position = replace(self.position, floor_seq=max(self.position.floor_seq, floor_seq))
