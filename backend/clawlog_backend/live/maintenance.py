"""What happens as time passes: tasks fall silent, and what is old is removed.

Removal is done in small transactions, each as large as takes a fraction of what a writer notices, so that nobody waits for it.
What a transaction costs is not its rows but the pages of the file that they lie on, so that neighbours go together.
"""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from heapq import merge
from itertools import islice
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, func, literal_column, select

from clawlog_backend.domain.times import Clock, UtcMs
from clawlog_backend.live.log import ChangeLog
from clawlog_backend.live.silence import SilenceWatch, signs_of
from clawlog_backend.storage import changes, partitions
from clawlog_backend.storage.engines.engine import Database, DatabaseError
from clawlog_backend.storage.rows import places_of_events, remove_events, remove_events_at
from clawlog_backend.storage.schema import events, liveness, tasks
from clawlog_backend.storage.unit_of_work import ChangeSet, TaskStore
from clawlog_backend.storage.writer import Writer

_SWEEP_EVERY_S = 5.0
_LOOKS_AT_ONCE = 1_000
_SETTLED_AT_ONCE = 100  # tasks in one transaction, which others wait for: some 7 ms
_PRUNE_EVERY_MS = 60_000
_REMOVE_EVERY_MS = 3_600_000
_DAYS_EVERY_MS = 600_000
_DROP_ATTEMPTS, _DROP_AGAIN_S = 10, 0.1  # where the history is in use all the time
_KEEP_CHANGES_MS = 3_600_000  # nobody resumes after that long
_KEEP_CHANGES = 100_000
_KEEP_HEARTBEATS_DAYS = 1.0  # the dashboard shows recent heartbeats only; steps and stops are kept with their task
_TASKS_WALKED_AT_ONCE = 2_000  # looked at for their age, in one read
_TASKS_AT_ONCE, _STEPS_AT_ONCE = 20, 1_000  # removed in one transaction; more steps only where one task has them
_EVENTS_WALKED_AT_ONCE = 2_000  # whose places are read at once
_PLACES = 1_000_000  # held at once, 8 bytes each
_ROWS_AT_ONCE = (100, 500)  # removed in one transaction: at least, at most; who writes next waits until they are on disk
_REMOVING_S = 0.02  # what one transaction that removes may take

_Removed = tuple[int, float]
"""How many rows a transaction removed, and when its turn came."""

T = TypeVar("T")

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
        self._prune_next = self._remove_next = self._days_next = clock()
        self._pace = _Pace(database)

    async def run(self) -> None:
        """Maintain the database until cancelled. A failure is logged, and tried again."""
        while True:
            try:
                if self._may_lead is not None and not await self._may_lead():
                    await asyncio.sleep(_SWEEP_EVERY_S)
                    continue
                await self.sweep()
                if self._clock() >= self._days_next and await self.add_days():
                    self._days_next = self._clock().plus(ms=_DAYS_EVERY_MS)
                if self._clock() >= self._prune_next:
                    self._prune_next = self._clock().plus(ms=_PRUNE_EVERY_MS)
                    await self.prune_changes()
                if self._clock() >= self._remove_next:
                    self._remove_next = self._clock().plus(ms=_REMOVE_EVERY_MS)
                    await self.remove_old_days()
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
        for begin in range(0, len(settling), _SETTLED_AT_ONCE):
            portion = settling[begin : begin + _SETTLED_AT_ONCE]
            await self._writer.run(partial(self._store.settle, numbers=portion, now=now))

    async def prune_changes(self) -> None:
        """Remove the changes that nobody will resume from."""
        before = self._clock().plus(ms=-_KEEP_CHANGES_MS)

        async def prune(at_once: int) -> _Removed:
            (number, floor), began = await self._database.discard(
                _timed(lambda connection: changes.prune(connection, before=before, keep=_KEEP_CHANGES, at_once=at_once))
            )
            self._log.raise_floor(floor)
            return number, began

        await self._pace.repeat(prune)

    async def add_days(self) -> bool:
        """Make room for the history of the next days; whether it is there."""
        now = self._clock()
        return await self._database.write(lambda connection: partitions.add_days(connection, now))

    async def remove_old_days(self) -> None:
        """Remove the days of the history of which nothing is to stay, where the engine keeps days apart."""
        beats_before = self._clock().plus(days=-_KEEP_HEARTBEATS_DAYS)
        tasks_before = self._clock().plus(days=-self._keep_days) if self._keep_days else None
        for day in await self._database.read(partial(partitions.past_days, before=beats_before)):
            old = partitions.Old(day, beats_before, tasks_before)
            if await self._database.read(partial(partitions.may_go, old=old)):
                for _ in range(_DROP_ATTEMPTS):
                    if await self._database.write(partial(partitions.drop, old=old)):
                        break
                    await asyncio.sleep(_DROP_AGAIN_S)

    async def remove_old_tasks(self) -> None:
        """Remove the tasks without a sign of life for ``keep_days``, with all that belongs to them."""
        if not self._keep_days:
            return
        cutoff = self._clock().plus(days=-self._keep_days)
        first, last = await self._database.read(_task_numbers)
        old: list[Row[Any]] = []
        for begin in range(first, last + 1, _TASKS_WALKED_AT_ONCE):
            walked = liveness.c.task_n.between(begin, begin + _TASKS_WALKED_AT_ONCE - 1)
            old += await self._database.read(partial(_rows, _old_tasks(cutoff).where(walked).order_by(tasks.c.n)))
        if not self._database.shared:  # else whole days of the history go
            await self._remove_histories([(row.n, row.last_seq) for row in old], cutoff)
        for numbers in _portions(((row.n, row.steps_total) for row in old), _STEPS_AT_ONCE):
            await self._remove_tasks(numbers, cutoff)

    async def _remove_histories(self, old: Sequence[tuple[int, int]], cutoff: UtcMs) -> None:
        """Remove the events of tasks, given with the number of each one's last event, as they lie in the file.

        Tasks that ran at the same time lie there in each other's midst: to remove one after the other would write each page
        anew for each of its rows.
        """
        still_old = _old_tasks(cutoff).where(tasks.c.n == events.c.task_n).exists()
        found: list[array[int]] = []
        held = 0
        for numbers, begin, end in _parts(old):
            part = await self._database.read(partial(places_of_events, task_ns=numbers, first=begin, last=end))
            found.append(part)
            held += len(part)
            if held >= _PLACES:
                await self._remove_at(merge(*found), still_old)
                found, held = [], 0
        await self._remove_at(merge(*found), still_old)

    async def _remove_at(self, places: Iterator[int], still_old: ColumnElement[bool]) -> None:
        async def remove(at_once: int) -> _Removed:
            next_ones = list(islice(places, at_once))
            work = partial(remove_events_at, places=next_ones, only=still_old)
            _, began = await self._database.discard(_timed(work))
            return len(next_ones), began

        await self._pace.repeat(remove)

    async def _remove_tasks(self, numbers: list[int], cutoff: UtcMs) -> None:
        # Each transaction looks again at which of them are old: one may have been heard of meanwhile.
        query = _old_tasks(cutoff).where(tasks.c.n.in_(numbers))

        # A long history goes first, a part at a time: with its task, it would all go at once. (On SQLite what is left of it.)
        async def remove_part(at_once: int) -> _Removed:
            def work(connection: Connection) -> int:
                old = list(connection.execute(query).scalars())
                return _remove_events(connection, _EVENTS.where(events.c.task_n.in_(old)).limit(at_once))

            return await self._database.discard(_timed(work))

        def remove(connection: Connection) -> ChangeSet:
            return self._store.remove(connection, list(connection.execute(query).scalars()), self._clock())

        await self._pace.repeat(remove_part)
        await self._writer.run(remove)
        await self._database.checkpoint()

    async def remove_old_heartbeats(self) -> None:
        """Remove heartbeats from the histories once they are a day old. Their tasks keep what the last one said."""
        cutoff = self._clock().plus(days=-_KEEP_HEARTBEATS_DAYS)
        # The kind as a part of the text: with a parameter, an engine may not see that the index is of just these.
        is_beat = events.c.kind == literal_column("'heartbeat'")
        oldest = _EVENTS.where(is_beat, events.c.received_ms < cutoff).order_by(events.c.received_ms)

        async def remove(at_once: int) -> _Removed:
            return await self._database.discard(_timed(lambda connection: _remove_events(connection, oldest.limit(at_once))))

        await self._pace.repeat(remove)


class _Pace:
    """As many rows for each transaction as take about ``_REMOVING_S`` on this machine, and as long a rest after each.

    What counts is the time from when a transaction's turn came: to wait for others must not look like work, nor be taken for a
    reason to do more at once. The checkpoint counts as well: where the disk is slow, it is what others wait for.

    Args:
        database: Has its checkpoint after each transaction: so it is small, and no writer's commit has to do it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._at_once = _ROWS_AT_ONCE[0]

    async def repeat(self, step: Callable[[int], Awaitable[_Removed]]) -> None:
        """Repeat a step, which removes at most as many rows as it is given and says how many, until no more are left."""
        least, most = _ROWS_AT_ONCE
        while True:
            number, began = await step(self._at_once)
            took = monotonic() - began
            took = max(took, await self._database.checkpoint())
            if number < self._at_once:
                return
            self._at_once = max(least, min(most, self._at_once * 2, int(self._at_once * _REMOVING_S / took)))
            await asyncio.sleep(min(took, _REMOVING_S))  # whoever waits to write goes first


def _timed(work: Callable[[Connection], T]) -> Callable[[Connection], tuple[T, float]]:
    """The work, with when its turn came."""

    def run(connection: Connection) -> tuple[T, float]:
        began = monotonic()
        return work(connection), began

    return run


_EVENTS: Select[Any] = select(events.c.task_n, events.c.seq)


def _task_numbers(connection: Connection) -> tuple[int, int]:
    """The lowest and the highest number of a task; without tasks, a range without numbers."""
    row = connection.execute(select(func.min(tasks.c.n), func.max(tasks.c.n))).one()
    return (0, -1) if row[0] is None else (row[0], row[1])


def _rows(query: Select[Any], connection: Connection) -> Sequence[Row[Any]]:
    return connection.execute(query).all()


def _old_tasks(cutoff: UtcMs) -> Select[Any]:
    found = select(tasks.c.n, tasks.c.steps_total, liveness.c.last_seq).join_from(tasks, liveness)
    return found.where(liveness.c.sign_ms < cutoff, tasks.c.received_ms < cutoff)


def _portions(sizes: Iterable[tuple[int, int]], most: int) -> Iterator[list[int]]:
    """Tasks by number, each given with a size, in portions for one transaction; more than ``most`` only for one alone."""
    numbers: list[int] = []
    total = 0
    for n, size in sizes:
        if numbers and (len(numbers) == _TASKS_AT_ONCE or total + size > most):
            yield numbers
            numbers, total = [], 0
        numbers.append(n)
        total += size
    if numbers:
        yield numbers


def _parts(old: Sequence[tuple[int, int]]) -> Iterator[tuple[list[int], int, int]]:
    """Histories, each given with its last number, in parts to be read at once: the tasks, and from which number to which."""
    at_once = _EVENTS_WALKED_AT_ONCE
    for numbers in _portions(((n, last) for n, last in old if last <= at_once), at_once):
        yield numbers, 0, at_once
    for n, last in old:
        if last > at_once:
            yield from (([n], begin, begin + at_once - 1) for begin in range(0, last + 1, at_once))


def _remove_events(connection: Connection, which: Select[Any]) -> int:
    # By their keys: as a condition on pairs in a subquery, SQLite would walk through all events.
    return remove_events(connection, [(row.task_n, row.seq) for row in connection.execute(which)])
