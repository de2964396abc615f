"""Long polls for stops: who waits for which tasks, without a thread or a timer query per waiter.

A cursor is the number of the last event that its answer took into account, with the identity of the database it counts in: one
from another database, or from before a restore, is treated as no cursor at all, so that a stop is never missed.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection

from clawlog_backend.database import Database
from clawlog_backend.problems import busy
from clawlog_backend.queries import controls_changed_since
from clawlog_backend.store import Position, Store
from clawlog_backend.views import Control


@dataclass(frozen=True, slots=True)
class Controls:
    """The answer to a poll."""

    cursor: str
    controls: list[Control]


@dataclass(eq=False, slots=True)
class _Waiter:
    task_ids: frozenset[str]
    changed: asyncio.Event


class ControlPolls:
    """Answers polls, and wakes those that wait.

    Args:
        database: Where controls are read.
        store: Knows the number of the last event.
        max_waiting: How many polls may wait at once.
    """

    def __init__(self, *, database: Database, store: Store, max_waiting: int) -> None:
        self._database = database
        self._store = store
        self._max_waiting = max_waiting
        self._waiters: set[_Waiter] = set()
        self._closing = False

    @property
    def waiting(self) -> int:
        """How many polls wait now."""
        return len(self._waiters)

    def notify(self, changed: Collection[str]) -> None:
        """Wake the polls that wait for one of these tasks."""
        if not changed:
            return
        for waiter in self._waiters:
            if not waiter.task_ids.isdisjoint(changed):
                waiter.changed.set()

    def close(self) -> None:
        """Answer every poll that waits, now and from now on at once."""
        self._closing = True
        for waiter in self._waiters:
            waiter.changed.set()

    async def poll(self, task_ids: frozenset[str], *, cursor: str | None, wait_s: float) -> Controls:
        """What changed since ``cursor``; where nothing did, whatever changes first within ``wait_s``.

        Raises:
            Problem: Too many polls wait already (429).
        """
        if wait_s <= 0 or self._closing:
            return await self._read(task_ids, cursor)
        if len(self._waiters) >= self._max_waiting:
            raise busy("Too many polls wait already: ask again without wait_s, or later.", retry_after_s=5)
        # It waits from before the first look, so that a change between that look and the wait is not missed.
        waiter = _Waiter(task_ids, asyncio.Event())
        self._waiters.add(waiter)
        try:
            found = await self._read(task_ids, cursor)
            if not found.controls:
                async with asyncio.timeout(wait_s):
                    await waiter.changed.wait()
                found = await self._read(task_ids, cursor)
        except TimeoutError:
            pass
        finally:
            self._waiters.discard(waiter)
        return found

    async def _read(self, task_ids: frozenset[str], cursor: str | None) -> Controls:
        # Taken on the loop before the read is queued: what is applied in between is read now and told again, never left out.
        position = self._store.position
        since = _since(cursor, position)

        def query(connection: Connection) -> list[Control]:
            return controls_changed_since(connection, task_ids, since)

        return Controls(f"{position.store_id}-{position.seq}", await self._database.read(query))


def _since(cursor: str | None, position: Position) -> int | None:
    store_id, _, number = (cursor or "").rpartition("-")
    if store_id != position.store_id or not number.isdecimal() or int(number) > position.seq:
        return None
    return int(number)
