"""The composition root: builds the parts, gives each its collaborators, and starts and stops them in order. No HTTP."""

from __future__ import annotations

import asyncio
from typing import Self

from sqlalchemy import Connection

from clawlog_backend.access import Access
from clawlog_backend.domain.times import Clock, UtcMs
from clawlog_backend.live.changes import ChangeFeed
from clawlog_backend.live.control import ControlPolls
from clawlog_backend.live.counts import TaskCounts
from clawlog_backend.live.log import ChangeLog
from clawlog_backend.live.logins import Logins
from clawlog_backend.live.maintenance import Maintenance
from clawlog_backend.live.replica import Replica
from clawlog_backend.live.search import SearchFollower
from clawlog_backend.live.silence import SilenceWatch, may_fall_silent
from clawlog_backend.metrics import Metrics
from clawlog_backend.settings import Settings
from clawlog_backend.storage import task_list
from clawlog_backend.storage.changes import find_position, searched
from clawlog_backend.storage.engines.engine import DatabaseError
from clawlog_backend.storage.engines.opening import make_database
from clawlog_backend.storage.unit_of_work import ChangeSet, TaskStore
from clawlog_backend.storage.writer import Writer


class Backend:
    """The running parts, as the HTTP layer uses them.

    Args:
        settings: How to run.
        clock: What time it is.
    """

    def __init__(self, settings: Settings, *, clock: Clock = UtcMs.now) -> None:
        self.settings = settings
        self.clock = clock
        self.database = make_database(settings.database, pool=settings.pool, accept_data_loss=settings.accept_data_loss)
        self.store = TaskStore(shared=self.database.shared)
        self.writer = Writer(database=self.database, store=self.store, clock=clock, on_applied=self._on_applied)
        self.log = ChangeLog()
        self.counts = TaskCounts()
        self.feed = ChangeFeed(
            database=self.database, log=self.log, counts=self.counts, clock=clock, max_streams=settings.max_streams
        )
        self.polls = ControlPolls(database=self.database, log=self.log, max_waiting=settings.max_polls)
        self.search = SearchFollower(self.database, self.log)
        self.access = Access(settings.token, clock=clock)
        self.logins = Logins(database=self.database, access=self.access, clock=clock)
        self.metrics = self._metrics()
        self._silence = SilenceWatch()
        self.log.follow(lambda change: self.database.note(self.log.position.store_id, change.seq))
        # Agents before spectators; counts before those that send them.
        for follower in (self.polls.notify, self.counts.add, self.feed.publish, self._silence.heard, self.search.heard):
            self.log.follow(follower)
        self._replica = (
            Replica(database=self.database, log=self.log, access=self.access, begin_anew=self._begin_anew)
            if self.database.shared
            else None
        )
        self.maintenance = Maintenance(
            database=self.database,
            store=self.store,
            writer=self.writer,
            log=self.log,
            silence=self._silence,
            clock=clock,
            keep_days=settings.keep_days,
            may_lead=self._replica.may_lead if self._replica else None,
        )
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Open the database.

        Raises:
            DatabaseError: It cannot be used.
        """
        try:
            await self.database.open()
            await self.database.read(self._begin)
        except DatabaseError:
            await self.database.close()
            raise
        if self._replica is not None:
            self._running.append(asyncio.create_task(self._replica.run(), name="replica"))
        self._running.append(asyncio.create_task(self.maintenance.run(), name="maintenance"))
        self._running.append(asyncio.create_task(self.search.run(), name="search"))
        return self

    def _begin(self, connection: Connection) -> None:
        """Read where the log stands, and what is kept from there on."""
        self.log.begin_at(find_position(connection))
        self.polls.begin_at(self.log.position)
        self.counts.begin_with(task_list.count_standings(connection))
        self._silence.begin_with(may_fall_silent(connection, self.clock()))
        self.search.begin_at(searched(connection))

    def release_waiters(self) -> None:
        """Answer every waiting poll and end every event stream, so that the server can end."""
        self.polls.close()
        self.feed.close()

    async def __aexit__(self, *_exception: object) -> None:
        """Finish what was accepted, and close the database."""
        self.release_waiters()
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        await self.database.close()

    def _metrics(self) -> Metrics:
        metrics = Metrics()
        metrics.add_gauge("clawlog_backend_streams", "Event streams that are open.", lambda: self.feed.streams)
        metrics.add_gauge("clawlog_backend_polls_waiting", "Long polls that wait.", lambda: self.polls.waiting)
        metrics.add_gauge(
            "clawlog_backend_events_waiting", "Events that wait to be written.", lambda: self.writer.waiting_events
        )
        return metrics

    def _on_applied(self, done: ChangeSet) -> None:
        self.metrics.count_events(done)
        if done.change is None:
            return
        if self._replica is not None:
            self._replica.committed(done.change)
        else:
            self.log.append(done.change)

    async def _begin_anew(self) -> None:
        """The log does not go on from where it was: read all that is kept again, and have every reader do so."""
        await self.database.read(self._begin)
        self.feed.reset()
