"""The composition root: builds the parts, gives each its collaborators, and starts and stops them in order. No HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Self

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
from clawlog_backend.notify.notifier import Notifier
from clawlog_backend.notify.rules import NO_RULES, Rules
from clawlog_backend.settings import Settings
from clawlog_backend.storage import task_list, traces
from clawlog_backend.storage.changes import find_position, searched
from clawlog_backend.storage.engines.engine import DatabaseError
from clawlog_backend.storage.engines.opening import make_database
from clawlog_backend.storage.unit_of_work import ChangeSet, TaskStore
from clawlog_backend.storage.writer import Writer


class Backend:
    """The running parts, as the HTTP layer uses them.

    Args:
        settings: How to run.
        rules: Who is told what.
        clock: What time it is.
    """

    def __init__(self, settings: Settings, *, rules: Rules = NO_RULES, clock: Clock = UtcMs.now) -> None:
        self.settings = settings
        self.clock = clock
        self._address: str | None = None
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
        self.metrics = Metrics()
        self.notifier = Notifier(
            database=self.database,
            rules=rules,
            clock=clock,
            page=lambda: self._address,
            may_lead=self._may_notify if self.database.shared else None,
            on_result=self.metrics.count_notification,
        )
        self._add_gauges()
        self._silence = SilenceWatch()
        self.log.follow(lambda change: self.database.note(self.log.position.store_id, change.seq))
        # Agents before spectators; counts before those that send them.
        for follower in (self.polls.notify, self.counts.add, self.feed.publish, self._silence.heard, self.search.heard):
            self.log.follow(follower)
        self.log.follow(self.notifier.heard)
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
        self._follow_traces = self._trace_exporter()
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Open the database.

        Raises:
            DatabaseError: It cannot be used.
        """
        try:
            await self.database.open()
            await self.database.read(self._begin)
            await self.notifier.begin()
            if self.settings.traces is not None:  # before anything is accepted: what ends from now on is exported
                await self.database.write(traces.begin)
        except DatabaseError:
            await self.database.close()
            raise
        if self._replica is not None:
            self._running.append(asyncio.create_task(self._replica.run(), name="replica"))
            self._running.append(asyncio.create_task(self._replica.exchange_hints(), name="replica-hints"))
        self._running.append(asyncio.create_task(self.maintenance.run(), name="maintenance"))
        self._running.append(asyncio.create_task(self.search.run(), name="search"))
        self._running.append(asyncio.create_task(self.notifier.run(), name="notifier"))
        if self._follow_traces is not None:
            self._running.append(asyncio.create_task(self._follow_traces(), name="traces"))
        return self

    def announce(self, address: str) -> None:
        """Say where this backend answers: to whoever else would use its database, and in notifications."""
        self.database.announce(address)
        self._address = address + self.settings.root_path

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

    def _trace_exporter(self) -> Callable[[], Coroutine[Any, Any, None]] | None:
        if self.settings.traces is None:
            return None
        from clawlog_backend.otel.exporter import TraceExporter  # noqa: PLC0415 - its library is an extra

        return TraceExporter(
            database=self.database,
            changes=self.log,
            receiver=self.settings.traces,
            metrics=self.metrics.of_traces(),
            clock=self.clock,
            may_lead=self._may_export if self.database.shared else None,
        ).run

    def _add_gauges(self) -> None:
        metrics = self.metrics
        metrics.add_gauge("clawlog_backend_streams", "Event streams that are open.", lambda: self.feed.streams)
        metrics.add_gauge("clawlog_backend_polls_waiting", "Long polls that wait.", lambda: self.polls.waiting)
        metrics.add_gauge(
            "clawlog_backend_events_waiting", "Events that wait to be written.", lambda: self.writer.waiting_events
        )
        metrics.add_gauge(
            "clawlog_backend_notifications_waiting",
            "Notifications that wait to be delivered.",
            lambda: sum(self.notifier.waiting.values()),
        )

    async def _may_export(self) -> bool:
        return self._replica is not None and await self._replica.take_lease("traces")

    async def _may_notify(self) -> bool:
        return self._replica is not None and await self._replica.take_lease("notifications")

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
