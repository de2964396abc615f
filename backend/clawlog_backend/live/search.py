"""Keeps the documents of tasks up to date, behind what is written: no writer waits for it, and a search waits until it is done.

What a crash left behind is found once, at the start, by comparing documents with their tasks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from clawlog_backend.storage.engines.sqlite import Database, DatabaseError
from clawlog_backend.storage.search.documents import outdated, refresh

_FOLLOW_EVERY_S = 1.0
_AT_ONCE = 100  # tasks in one transaction, which others wait for: some 10 ms
_RANGE = 10_000  # tasks compared in one query

log = logging.getLogger(__name__)


class SearchFollower:
    """Follows what is written.

    Args:
        database: Where tasks and their documents are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed: set[int] = set()
        self._compared_upto: int | None = 0  # tasks; None once all were compared
        self._one_at_a_time = asyncio.Lock()

    def note(self, numbers: Iterable[int]) -> None:
        """These tasks changed."""
        self._changed.update(numbers)

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self.catch_up()
            except DatabaseError as error:
                log.error("the search could not be brought up to date, will be tried again: %s", error)  # noqa: TRY400 - an expected fault
            await asyncio.sleep(_FOLLOW_EVERY_S)

    async def catch_up(self) -> None:
        """Bring the documents up to all that was noted before.

        Raises:
            DatabaseError: They could not be written; what is left is tried again with the next.
        """
        async with self._one_at_a_time:
            while self._compared_upto is not None:
                await self._compare(self._compared_upto, self._compared_upto + _RANGE)
            waiting, self._changed = sorted(self._changed), set()
            try:
                while waiting:
                    await self._database.write(lambda connection: refresh(connection, waiting[-_AT_ONCE:]))
                    del waiting[-_AT_ONCE:]
            finally:
                self._changed.update(waiting)

    async def _compare(self, begin: int, end: int) -> None:
        behind, last = await self._database.read(lambda connection: outdated(connection, begin, end))
        self._changed |= behind
        self._compared_upto = end if end < last else None
