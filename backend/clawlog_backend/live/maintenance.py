"""What happens as time passes: tasks fall silent, and what is old is removed.

Removal is done in small transactions, each as large as takes a fraction of what a writer notices, so that nobody waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Select, select

from clawlog_backend.domain.times import Clock, UtcMs
from clawlog_backend.live.log import ChangeLog
from clawlog_backend.live.silence import SilenceWatch, signs_of
from clawlog_backend.storage import changes
from clawlog_backend.storage.engines.engine import Database, DatabaseError
from clawlog_backend.storage.rows import remove_events
from clawlog_backend.storage.schema import events, liveness, tasks
from clawlog_backend.storage.unit_of_work import ChangeSet, TaskStore
from clawlog_backend.storage.writer import Writer

_SWEEP_EVERY_S = 5.0
_LOOKS_AT_ONCE = 1_000
_PRUNE_EVERY_MS = 60_000
_REMOVE_EVERY_MS = 3_600_000
_KEEP_CHANGES_MS = 3_600_000  # nobody resumes after that long
_KEEP_CHANGES = 100_000
_KEEP_HEARTBEATS_DAYS = 1.0  # the dashboard shows recent heartbeats only; steps and stops are kept with their task
_TASKS_AT_ONCE = 50
_ROWS_AT_ONCE = (100, 50_000)  # removed in one transaction: at least, at most
_REMOVING_S = 0.02  # what one transaction that removes may take

log = logging.getLogger(__name__)


class Maintenance:
    """Runs in the background.

    Args:
        database: What is maintained.
        store: Removes tasks, and notes which fell silent.
        writer: Applies nothing meanwhile.
        log: Is told up to where changes were removed.
        silence: Knows which tasks to look at.
        clock: What time it is.
        keep_days: Tasks without a sign of life for longer are removed; 0 keeps all.
        may_lead: Whether it is this replica that does all this; asked before each round.
    """

    def __init__(
        self,
        *,
        database: Database,
        store: TaskStore,
        writer: Writer,
        log: ChangeLog,
        silence: SilenceWatch,
        clock: Clock,
        keep_days: float,
        may_lead: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self._may_lead = may_lead
        self._database = database
        self._store = store
        self._writer = writer
        self._log = log
        self._silence = silence
        self._clock = clock
        self._keep_days = keep_days
        self._prune_next = self._remove_next = clock()

    async def run(self) -> None:
        """Maintain the database until cancelled. A failure is logged, and tried again."""
        while True:
            try:
                if self._may_lead is not None and not await self._may_lead():
                    await asyncio.sleep(_SWEEP_EVERY_S)
                    continue
                await self.sweep()
                if self._clock() >= self._prune_next:
                    self._prune_next = self._clock().plus(ms=_PRUNE_EVERY_MS)
                    await self.prune_changes()
                if self._clock() >= self._remove_next:
                    self._remove_next = self._clock().plus(ms=_REMOVE_EVERY_MS)
                    await self.remove_old_tasks()
                    await self.remove_old_heartbeats()
            except DatabaseError as error:
                log.error("maintenance failed, will be tried again: %s", error)  # noqa: TRY400 - an expected fault
            await asyncio.sleep(_SWEEP_EVERY_S)

    async def sweep(self) -> None:
        """Note which tasks fell silent, or became stale, since the last sweep."""
        now = self._clock()
        while due := self._silence.take_due(now, _LOOKS_AT_ONCE):
            try:
                await self._look_at(due, now)
            except DatabaseError:
                self._silence.begin_with(due)
                raise

    async def _look_at(self, taken: dict[int, int], now: UtcMs) -> None:
        rows = await self._database.read(lambda connection: signs_of(connection, taken))
        settling = self._silence.looked(taken, rows, now)
        if settling:
            await self._writer.run(lambda connection: self._store.settle(connection, settling, now))

    async def prune_changes(self) -> None:
        """Remove the changes that nobody will resume from."""
        before = self._clock().plus(ms=-_KEEP_CHANGES_MS)

        async def prune(at_once: int) -> bool:
            number, floor = await self._database.write(
                lambda connection: changes.prune(connection, before=before, keep=_KEEP_CHANGES, at_once=at_once)
            )
            self._log.raise_floor(floor)
            return number > 0

        await _in_small_steps(prune)

    async def remove_old_tasks(self) -> None:
        """Remove the tasks without a sign of life for ``keep_days``, with all that belongs to them."""
        if not self._keep_days:
            return
        cutoff = self._clock().plus(days=-self._keep_days)

        # A long history goes first, a part at a time: with its task, it would all go at once.
        async def remove_part(at_once: int) -> bool:
            old = _events_of_old_tasks(cutoff).limit(at_once)
            return await self._database.write(lambda connection: _remove_events(connection, old)) > 0

        async def remove_tasks(at_once: int) -> bool:
            def work(connection: Connection) -> ChangeSet:
                old = list(connection.execute(_old_tasks(cutoff).limit(min(at_once, _TASKS_AT_ONCE))).scalars())
                return self._store.remove(connection, old, self._clock())

            return (await self._writer.run(work)).change is not None

        await _in_small_steps(remove_part)
        await _in_small_steps(remove_tasks)

    async def remove_old_heartbeats(self) -> None:
        """Remove heartbeats from the histories once they are a day old. Their tasks keep what the last one said."""
        cutoff = self._clock().plus(days=-_KEEP_HEARTBEATS_DAYS)
        old = select(events.c.task_n, events.c.seq).where(events.c.kind == "heartbeat", events.c.received_ms < cutoff)

        async def remove(at_once: int) -> bool:
            oldest = old.order_by(events.c.received_ms).limit(at_once)
            return await self._database.write(lambda connection: _remove_events(connection, oldest)) > 0

        await _in_small_steps(remove)


async def _in_small_steps(step: Callable[[int], Awaitable[bool]]) -> None:
    """Repeat a step with as many rows as take about ``_REMOVING_S``, until it finds nothing more."""
    least, most = _ROWS_AT_ONCE
    at_once = least
    while True:
        began = monotonic()
        if not await step(at_once):
            return
        took = monotonic() - began
        at_once = max(least, min(most, at_once * 2, int(at_once * _REMOVING_S / took)))
        await asyncio.sleep(0)  # whoever waits to write goes first


def _old_tasks(cutoff: UtcMs) -> Select[Any]:
    found = select(tasks.c.n).join_from(tasks, liveness)
    return found.where(liveness.c.sign_ms < cutoff, tasks.c.received_ms < cutoff)


def _events_of_old_tasks(cutoff: UtcMs) -> Select[Any]:
    return select(events.c.task_n, events.c.seq).where(events.c.task_n.in_(_old_tasks(cutoff)))


def _remove_events(connection: Connection, which: Select[Any]) -> int:
    # By their keys: as a condition on pairs in a subquery, SQLite would walk through all events.
    return remove_events(connection, [(row.task_n, row.seq) for row in connection.execute(which)])
