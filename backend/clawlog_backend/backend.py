"""The composition root: builds the parts, gives each its collaborators, and starts and stops them in order. No HTTP."""

from __future__ import annotations

import asyncio
from typing import Self

from clawlog_backend.access import Access
from clawlog_backend.domain.times import Clock, UtcMs
from clawlog_backend.live.changes import ChangeFeed
from clawlog_backend.live.control import ControlPolls
from clawlog_backend.live.maintenance import Maintenance
from clawlog_backend.metrics import Metrics
from clawlog_backend.settings import Settings
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
        self.store = TaskStore()
        self.writer = Writer(database=self.database, store=self.store, clock=clock, on_applied=self._on_applied)
        self.feed = ChangeFeed(database=self.database, store=self.store, clock=clock, max_streams=settings.max_streams)
        self.polls = ControlPolls(database=self.database, store=self.store, max_waiting=settings.max_polls)
        self.access = Access(settings.token, clock=clock)
        self.metrics = self._metrics()
        self._maintenance = Maintenance(
            database=self.database, writer=self.writer, feed=self.feed, clock=clock, keep_days=settings.keep_days
        )
        self._maintaining: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Open the database.

        Raises:
            DatabaseError: It cannot be used.
        """
        try:
            await self.database.open()
            self.store.position = await self.database.read(self.store.find_position)
            self.polls.begin_at(self.store.position)
        except DatabaseError:
            await self.database.close()
            raise
        self._maintaining = asyncio.create_task(self._maintenance.run(), name="maintenance")
        return self

    def release_waiters(self) -> None:
        """Answer every waiting poll and end every event stream, so that the server can end."""
        self.polls.close()
        self.feed.close()

    async def __aexit__(self, *_exception: object) -> None:
        """Finish what was accepted, and close the database."""
        self.release_waiters()
        if self._maintaining is not None:
            self._maintaining.cancel()
            await asyncio.wait([self._maintaining])
        await self.database.close()

    def _metrics(self) -> Metrics:
        metrics = Metrics()
        metrics.add_gauge("clawlog_backend_streams", "Event streams that are open.", lambda: self.feed.streams)
        metrics.add_gauge("clawlog_backend_polls_waiting", "Long polls that wait.", lambda: self.polls.waiting)
        metrics.add_gauge(
            "clawlog_backend_events_waiting", "Events that wait to be written.", lambda: self.writer.waiting_events
        )
        return metrics

    def _on_applied(self, changes: ChangeSet) -> None:
        self.metrics.count_events(changes)
        self.polls.notify(changes)  # agents before spectators
        self.feed.publish(changes)
