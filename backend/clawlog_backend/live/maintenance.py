"""What happens as time passes: tasks become quiet or stale, and old ones are removed.

Removal is done in small transactions, so that nobody waits for it long.
"""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy import Connection, delete, func, select, update

from clawlog_backend.domain.state import QUIET_AFTER_MS, STALE_AFTER_MS
from clawlog_backend.domain.times import Clock, UtcMs
from clawlog_backend.live.changes import ChangeFeed
from clawlog_backend.storage.engines.engine import Database, DatabaseError
from clawlog_backend.storage.queries import tasks_silent_between
from clawlog_backend.storage.schema import database as info
from clawlog_backend.storage.schema import events, tasks
from clawlog_backend.storage.writer import Writer

_SWEEP_EVERY_S = 2.0
_REMOVE_EVERY_MS = 3_600_000
_KEEP_HEARTBEATS_DAYS = 1.0  # the dashboard shows recent heartbeats only; steps and stops are kept with their task
_TASKS_AT_ONCE = 50
_EVENTS_AT_ONCE = 5_000

log = logging.getLogger(__name__)


class Maintenance:
    """Runs in the background.

    Args:
        database: What is maintained.
        writer: Applies nothing while tasks are removed.
        feed: Publishes the tasks that became quiet or stale.
        clock: What time it is.
        keep_days: Tasks without a sign of life for longer are removed; 0 keeps all.
    """

    def __init__(self, *, database: Database, writer: Writer, feed: ChangeFeed, clock: Clock, keep_days: float) -> None:
        self._database = database
        self._writer = writer
        self._feed = feed
        self._clock = clock
        self._keep_days = keep_days
        self._swept = clock()
        self._remove_next = clock()

    async def run(self) -> None:
        """Maintain the database until cancelled. A failure is logged, and tried again."""
        while True:
            try:
                await self.sweep()
                if self._clock() >= self._remove_next:
                    self._remove_next = self._clock().plus(ms=_REMOVE_EVERY_MS)
                    await self.remove_old_tasks()
                    await self.remove_old_heartbeats()
            except DatabaseError as error:
                log.error("maintenance failed, will be tried again: %s", error)  # noqa: TRY400 - an expected fault
            await asyncio.sleep(_SWEEP_EVERY_S)

    async def sweep(self) -> None:
        """Publish the tasks that became quiet or stale since the last sweep."""
        before, now = self._swept, self._clock()
        self._swept = now
        if not self._feed.streams:
            return

        def became_silent(connection: Connection) -> list[int]:
            return [
                number
                for after_ms in (QUIET_AFTER_MS, STALE_AFTER_MS)
                for number in tasks_silent_between(connection, before - after_ms, now - after_ms)
            ]

        self._feed.publish_tasks(await self._database.read(became_silent))

    async def remove_old_tasks(self) -> None:
        """Remove the tasks without a sign of life for ``keep_days``, with all that belongs to them."""
        if not self._keep_days:
            return
        cutoff = self._clock().plus(days=-self._keep_days)
        removed = 0
        while number := await self._writer.remove(lambda connection: _remove_tasks(connection, cutoff)):
            removed += number
        if removed:
            self._feed.reset()

    async def remove_old_heartbeats(self) -> None:
        """Remove heartbeats from the histories once they are a day old. Their tasks keep what the last one said."""
        cutoff = self._clock().plus(days=-_KEEP_HEARTBEATS_DAYS)
        while await self._database.write(lambda connection: _remove_heartbeats(connection, cutoff)):
            pass


def _remove_tasks(connection: Connection, cutoff: UtcMs) -> int:
    old = select(tasks.c.n).where(tasks.c.sign_ms < cutoff, tasks.c.received_ms < cutoff).limit(_TASKS_AT_ONCE)
    numbers = list(connection.execute(old).scalars())
    if numbers:
        connection.execute(delete(tasks).where(tasks.c.n.in_(numbers)))  # the rest goes by ON DELETE CASCADE
    return len(numbers)


def _remove_heartbeats(connection: Connection, cutoff: UtcMs) -> bool:
    # Events are numbered as they arrive, so each is examined once only, slice by slice from where the last run ended.
    begin = connection.execute(select(info.c.beats_seq)).scalar_one()
    within = (events.c.seq > begin, events.c.seq <= begin + _EVENTS_AT_ONCE)
    old = select(func.max(events.c.seq)).where(*within, events.c.received_ms < cutoff)
    last = connection.execute(old).scalar()
    if last is None:
        # Nothing that old here: unless the slice is empty (its tasks were removed), nothing further on is older.
        following = connection.execute(select(func.min(events.c.seq)).where(events.c.seq > begin)).scalar()
        if following is None or following <= begin + _EVENTS_AT_ONCE:
            return False
        last = following - 1
    connection.execute(delete(events).where(*within, events.c.seq <= last, events.c.kind == "heartbeat"))
    connection.execute(update(info).values(beats_seq=last))
    return True
