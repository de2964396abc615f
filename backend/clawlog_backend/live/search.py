"""Keeps the documents of tasks up to date, behind what is written: no writer waits for it, and a search waits until it is done.

While others write, it takes a tenth of the time at most: a task that reports again and again then costs one document. A
search has the rest done at once.

The database knows up to which change the documents are. What was written after that, before this process began to follow, is
read from the log of changes; where that no longer goes back so far, all tasks are looked at.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial

from sqlalchemy import Connection

from clawlog_backend.live.log import ChangeLog
from clawlog_backend.storage import changes
from clawlog_backend.storage.changes import Change
from clawlog_backend.storage.engines.engine import Database, DatabaseError
from clawlog_backend.storage.queries import last_task_number
from clawlog_backend.storage.search.documents import refresh

_FOLLOW_EVERY_S = 1.0
_AT_ONCE = 100  # tasks in one transaction, which others wait for: some 10 ms
_RESTS = 9  # after a transaction, while others write: so many times as long as that took
_CHANGES_AT_ONCE = 500
_NOTE_EVERY_S = 300.0  # how far it is, where there was nothing but signs of life: old changes are removed

log = logging.getLogger(__name__)


class SearchFollower:
    """Follows what is written.

    Args:
        database: Where tasks and their documents are.
        log: Knows the number of the last change.
    """

    def __init__(self, database: Database, log: ChangeLog) -> None:
        self._database = database
        self._log = log
        self._changed: set[int] = set()
        self._waiting: list[int] = []  # of those that changed up to ``_upto``, the ones that are still to be done
        self._upto = 0
        self._behind: int | None = None  # up to where the documents were, while what came next is not all read yet
        self._begun_at = self._seen = 0
        self._noted_s = time.monotonic()
        self._one_at_a_time = asyncio.Lock()

    def begin_at(self, searched: int) -> None:
        """Follow from here on; the documents are up to ``searched``."""
        self._behind, self._begun_at = searched, self._log.position.seq

    def heard(self, change: Change) -> None:
        """These tasks changed. What is searched changes with their texts alone, not with signs of life."""
        if not self._database.shared:  # beside other replicas, the log itself is read
            self._changed.update(change.reworded)

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            rest_s = _FOLLOW_EVERY_S
            try:
                rest_s = await self._follow()
            except DatabaseError as error:
                log.error("the search could not be brought up to date, will be tried again: %s", error)  # noqa: TRY400 - an expected fault
            await asyncio.sleep(rest_s)

    async def _follow(self) -> float:
        """Bring some documents up to date, and return how long to rest before the next, in seconds."""
        if self._database.shared:
            await self.catch_up()
            return _FOLLOW_EVERY_S
        async with self._one_at_a_time:
            took_s = await self._bring_up_some()
        is_alone, self._seen = self._log.position.seq == self._seen, self._log.position.seq
        if not self._waiting:
            return _FOLLOW_EVERY_S
        return 0 if is_alone else min(took_s * _RESTS, _FOLLOW_EVERY_S)

    async def catch_up(self) -> None:
        """Bring the documents up to all that was written before.

        Raises:
            DatabaseError: They could not be written; what is left is tried again with the next.
        """
        async with self._one_at_a_time:
            if self._database.shared:
                await self._follow_shared()
                return
            for _ in range(2):  # what waits already, then what changed since
                await self._bring_up_some()
                while self._waiting:
                    await self._bring_up_some()

    async def _bring_up_some(self) -> float:
        """Bring the next few documents up to date; returns how long others waited for that, in seconds."""
        while self._behind is not None:
            await self._take_up(self._behind)
        if not self._waiting:
            self._upto = self._log.position.seq
            self._waiting, self._changed = sorted(self._changed), set()
        if not self._waiting and time.monotonic() < self._noted_s + _NOTE_EVERY_S:
            return 0
        numbers = self._waiting[-_AT_ONCE:]
        upto = self._upto if len(numbers) == len(self._waiting) else None
        began = await self._database.write(partial(_bring_up, numbers=numbers, upto=upto))
        del self._waiting[-_AT_ONCE:]
        self._noted_s = time.monotonic()
        return self._noted_s - began

    async def _follow_shared(self) -> None:
        """Nothing is remembered beside other replicas: whoever holds the place where the documents are goes on from there."""
        upto = self._log.position.seq
        if self._behind is not None and self._behind >= upto:
            return
        while await self._database.write(_follow):
            pass
        self._behind = upto

    async def _take_up(self, behind: int) -> None:
        """Note which tasks changed after a change, as far as this process did not hear of it; some of them."""
        if behind >= self._begun_at:
            self._behind = None
            return
        missed = await self._database.read(lambda connection: changes.following(connection, behind, limit=_CHANGES_AT_ONCE))
        if missed and missed[0].seq == behind + 1:
            for change in missed:
                self._changed.update(change.reworded)
            self._behind = missed[-1].seq
        else:
            self._changed.update(range(1, await self._database.read(last_task_number) + 1))
            self._behind = None


def _bring_up(connection: Connection, *, numbers: list[int], upto: int | None) -> float:
    """Returns when its turn came."""
    began = time.monotonic()
    refresh(connection, numbers)
    if upto is not None:
        changes.set_searched(connection, upto)
    return began


def _follow(connection: Connection) -> bool:
    """Bring the documents up to some of the changes after the last that they are up to; whether there may be more."""
    since = changes.searched(connection, hold=True)
    found = changes.following(connection, since, limit=_CHANGES_AT_ONCE)
    if not found:
        return False
    numbers = sorted({n for change in found for n in change.reworded})
    if found[0].seq != since + 1:
        numbers = list(range(1, last_task_number(connection) + 1))
    for first in range(0, len(numbers), _AT_ONCE):
        refresh(connection, numbers[first : first + _AT_ONCE])
    changes.set_searched(connection, found[-1].seq)
    return len(found) == _CHANGES_AT_ONCE
