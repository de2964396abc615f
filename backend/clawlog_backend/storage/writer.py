"""Group commit: events that arrive from any route while one commit is under way share the next.

A caller is answered only once its events are on disk. The queue is bounded, so that a flood is refused rather than buffered.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from clawlog_backend.domain.errors import Busy, Unavailable
from clawlog_backend.domain.events import Event
from clawlog_backend.domain.times import Clock
from clawlog_backend.storage.engines.engine import Database, DatabaseError
from clawlog_backend.storage.unit_of_work import ChangeSet, EventOutcome, TaskStore

_GROUP_EVENTS = 4_000  # applied in one transaction; more would delay the answers to the first ones
_WAITING_EVENTS = 50_000  # a bound on memory: about 50 MB of events

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Submission:
    events: Sequence[Event]
    answer: asyncio.Future[tuple[EventOutcome, ...]]


class Writer:
    """The one way in which events reach the database.

    Args:
        database: Where they go.
        store: Applies them.
        clock: What time it is.
        on_applied: Called with what came of each transaction, on the event loop, once they are on disk.
    """

    def __init__(self, *, database: Database, store: TaskStore, clock: Clock, on_applied: Callable[[ChangeSet], None]) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._on_applied = on_applied
        self._queue: deque[_Submission] = deque()
        self._waiting_events = 0
        self._draining: asyncio.Task[None] | None = None
        self._exclusive = asyncio.Lock()

    async def submit(self, events: Sequence[Event]) -> tuple[EventOutcome, ...]:
        """Apply events, and return each one's outcome once it is on disk.

        Raises:
            Busy: Too many events wait already; nothing was applied.
            Unavailable: The database cannot be written; nothing was applied.
        """
        if self._waiting_events + len(events) > _WAITING_EVENTS:
            raise Busy("Too many events wait to be written: send them again later.", retry_after_s=1)
        submission = _Submission(events, asyncio.get_running_loop().create_future())
        self._queue.append(submission)
        self._waiting_events += len(events)
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain(), name="writer")
        return await submission.answer

    async def run(self, work: Callable[[Connection], ChangeSet]) -> ChangeSet:
        """Run other work of the store in one transaction, while no events are applied.

        Raises:
            DatabaseError: Nothing of it was written.
        """
        async with self._exclusive:
            done = await self._write(work)
        self._on_applied(done)
        return done

    @property
    def waiting_events(self) -> int:
        """How many events wait to be written."""
        return self._waiting_events

    async def _drain(self) -> None:
        try:
            while self._queue:
                async with self._exclusive:
                    await self._write_group(self._next_group())
        finally:
            self._draining = None

    def _next_group(self) -> list[_Submission]:
        group: list[_Submission] = []
        size = 0
        while self._queue and (not group or size + len(self._queue[0].events) <= _GROUP_EVENTS):
            group.append(self._queue.popleft())
            size += len(group[-1].events)
        self._waiting_events -= size
        return group

    async def _write(self, work: Callable[[Connection], ChangeSet]) -> ChangeSet:
        try:
            done = await self._database.write(work)
        except BaseException:
            self._store.rolled_back()
            raise
        self._store.committed()
        return done

    async def _write_group(self, group: list[_Submission]) -> None:
        events = [event for submission in group for event in submission.events]
        received = self._clock()
        try:
            applied = await self._write(lambda connection: self._store.apply(connection, events, received))
        except Exception as error:  # noqa: BLE001 - whatever it is, each waiting caller has to get it
            self._fail(group, error)
            return
        done = 0
        for submission in group:
            if not submission.answer.done():  # a caller that left: its events are applied all the same
                submission.answer.set_result(applied.outcomes[done : done + len(submission.events)])
            done += len(submission.events)
        self._on_applied(applied)

    def _fail(self, group: list[_Submission], error: Exception) -> None:
        log.error("writing %d requests failed: %s", len(group), error, exc_info=not isinstance(error, DatabaseError))
        for submission in group:
            if not submission.answer.done():
                submission.answer.set_exception(Unavailable("The backend cannot write to its database now.", retry_after_s=5))
