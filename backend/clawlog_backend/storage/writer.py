"""Takes events from all routes and applies them in groups: whatever arrives while one commit is under way shares the next.

An answer is given only once its events are on disk. What waits is bounded, so that a flood is refused rather than hoarded.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from clawlog_backend.domain.events import Event
from clawlog_backend.domain.times import Clock
from clawlog_backend.http.problems import busy, unavailable
from clawlog_backend.storage.engines.sqlite import Database, DatabaseError
from clawlog_backend.storage.unit_of_work import Applied, Outcome, Store

_GROUP_EVENTS = 4_000  # applied in one transaction; more would make the callers of the first ones wait
_WAITING_EVENTS = 50_000  # a bound on memory: about 50 MB of events

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    events: Sequence[Event]
    answer: "asyncio.Future[tuple[Outcome, ...]]"


class Writer:
    """The one way in which events reach the database.

    Args:
        database: Where they go.
        store: Knows what they do there.
        clock: What time it is.
        on_applied: Told of each group, on the event loop, once it is on disk.
    """

    def __init__(self, *, database: Database, store: Store, clock: Clock, on_applied: Callable[[Applied], None]) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._on_applied = on_applied
        self._waiting: deque[_Waiting] = deque()
        self._waiting_events = 0
        self._draining: asyncio.Task[None] | None = None
        self._exclusive = asyncio.Lock()

    async def submit(self, events: Sequence[Event]) -> tuple[Outcome, ...]:
        """Apply events, and return what became of each once that is on disk.

        Raises:
            Problem: Too much waits already (429), or the database cannot be written (503); nothing was applied.
        """
        if self._waiting_events + len(events) > _WAITING_EVENTS:
            raise busy("Too many events wait to be written: send them again later.", retry_after_s=1)
        waiting = _Waiting(events, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._waiting_events += len(events)
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain(), name="writer")
        return await waiting.answer

    async def remove(self, work: Callable[[Connection], int]) -> int:
        """Remove tasks in one transaction, while nothing is applied, and return how many.

        Raises:
            DatabaseError: Nothing was removed.
        """
        async with self._exclusive:
            removed = await self._database.write(lambda connection: self._store.remove(connection, work))
            self._store.committed(removed)
            return removed.number

    @property
    def waiting_events(self) -> int:
        """How many events wait to be written."""
        return self._waiting_events

    async def _drain(self) -> None:
        try:
            while self._waiting:
                async with self._exclusive:
                    await self._write(self._next_group())
        finally:
            self._draining = None

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._waiting and (not group or size + len(self._waiting[0].events) <= _GROUP_EVENTS):
            group.append(self._waiting.popleft())
            size += len(group[-1].events)
        self._waiting_events -= size
        return group

    async def _write(self, group: list[_Waiting]) -> None:
        events = [event for waiting in group for event in waiting.events]
        received = self._clock()
        try:
            applied = await self._database.write(lambda connection: self._store.apply(connection, events, received))
        except Exception as error:  # noqa: BLE001 -- whatever it is, each caller that waits has to learn of it
            self._store.forget()
            self._fail(group, error)
            return
        self._store.committed(applied)
        done = 0
        for waiting in group:
            if not waiting.answer.done():  # its caller may have gone; its events are applied all the same
                waiting.answer.set_result(applied.outcomes[done : done + len(waiting.events)])
            done += len(waiting.events)
        self._on_applied(applied)

    def _fail(self, group: list[_Waiting], error: Exception) -> None:
        log.error("writing %d requests failed: %s", len(group), error, exc_info=not isinstance(error, DatabaseError))
        for waiting in group:
            if not waiting.answer.done():
                waiting.answer.set_exception(unavailable("The backend cannot write to its database now.", retry_after_s=5))
