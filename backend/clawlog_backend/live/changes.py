"""The change feed: sends every change to all open event streams, having read it and encoded it as JSON once for all of them.

A reader of all tasks gets a task's row when it stands otherwise than before, and how many tasks are in each state. Signs of
life, which are many and mostly say that all goes on, it gets of the tasks that it watches: those that are on its screen.

Changes that come close together are sent together, so that a flood of events costs each reader little more than the last state.
Each flush is one entry of a short ring buffer that all readers share; a reader that falls behind it has to reload. Nothing here
waits for a reader.

The id of each message is the number of a change up to which its reader then knows everything, so that it can resume after
any of them.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from clawlog_backend.domain import views
from clawlog_backend.domain.errors import Busy
from clawlog_backend.domain.times import Clock, UtcMs
from clawlog_backend.live.counts import TaskCounts
from clawlog_backend.live.log import ChangeLog
from clawlog_backend.storage import changes, queries
from clawlog_backend.storage.changes import Change
from clawlog_backend.storage.engines.engine import Database, DatabaseError

_FLUSH_INTERVAL_S = 0.1
_COUNTS_INTERVAL_S = 1.0
_RESET_AFTER_S = 1.0
_RETRY_S = 0.5  # while the database cannot be read
_RING_FLUSHES = 256
_RESUMABLE_TASKS = 1_000  # more changed tasks than this are fetched faster as a list
_RESUMABLE_CHANGES = 20_000
_EVENTS_PER_FLUSH = 1_000


@dataclass(frozen=True, slots=True)
class _Flush:
    """What one flush sends: to readers of all tasks, to those that watch a task, and to those of one task alone."""

    everyone: bytes
    signs: dict[int, bytes]
    of_task: dict[int, bytes]


@dataclass(eq=False, slots=True)
class Subscription:
    """One reader's place in the feed.

    Attributes:
        task_n: The number of the one task that it reads, or ``None`` for all.
        watched: Where it reads all: the numbers of the tasks whose signs of life it reads, too.
        upto: The number of the change up to which it knows everything at its start.
        next_flush: The number of the first flush that it has not read.
        woken: Set when there may be something to read, or the feed closed.
    """

    task_n: int | None
    watched: frozenset[int]
    upto: int
    next_flush: int
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class ChangeFeed:
    """Passes changes on to subscriptions.

    Args:
        database: Where tasks are read.
        log: Knows the number of the last change.
        counts: How many tasks there are of each standing.
        clock: What time it is.
        max_streams: How many subscriptions there may be at once.
    """

    def __init__(self, *, database: Database, log: ChangeLog, counts: TaskCounts, clock: Clock, max_streams: int) -> None:
        self._database = database
        self._log = log
        self._counted = counts
        self._clock = clock
        self._max_streams = max_streams
        self._subscriptions: set[Subscription] = set()
        self._subscribers_of: Counter[int] = Counter()
        self._ring: deque[_Flush] = deque(maxlen=_RING_FLUSHES)
        self._flushes = 0
        self._flushed_upto = 0
        self._pending: dict[int, None] = {}
        self._pending_signs: set[int] = set()
        self._pending_events: dict[int, tuple[int, int]] = {}
        self._watched: Counter[int] = Counter()
        self._signs: dict[int, dict[str, Any]] = {}  # what was last sent of tasks that are watched or read alone
        self._flushing: asyncio.Task[None] | None = None
        self._counts: views.StateCounts | None = None
        self._counts_due = False
        self._counting: asyncio.Task[None] | None = None
        self._resetting: asyncio.Task[None] | None = None
        self.closing = False

    @property
    def streams(self) -> int:
        """How many subscriptions there are."""
        return len(self._subscriptions)

    # ── For writers ─────────────────────────────────────────────────────────────────────────────────────────────────

    def publish(self, change: Change) -> None:
        """Send what a commit changed."""
        if not self._subscriptions or self.closing:
            return
        if change.removed and self._resetting is None:
            self._resetting = asyncio.create_task(self._reset_once_all_is_removed(), name="change-feed-reset")
        self._pending_signs.update(change.tasks)
        for n in change.tasks:
            if n in change.moved:
                self._pending.pop(n, None)
                self._pending[n] = None
        for n in change.events.keys() & self._subscribers_of.keys():
            first, last = change.events[n]
            self._pending_events[n] = (self._pending_events.get(n, (first, 0))[0], last)
        if self._is_pending and self._flushing is None:
            self._flushing = asyncio.create_task(self._flush_until_idle(), name="change-feed")
        if change.counts:
            self._count_soon()

    def reset(self) -> None:
        """Have every reader reload: tasks were removed."""
        reset = encode_message("reset", b"{}", self._log.position.seq)
        self._append(_Flush(reset, {}, dict.fromkeys(self._subscribers_of, reset)))
        self._count_soon()

    async def _reset_once_all_is_removed(self) -> None:
        # Tasks are removed a few at a time, and readers should not reload for each few.
        await asyncio.sleep(_RESET_AFTER_S)
        self._resetting = None
        self.reset()

    def close(self) -> None:
        """End every stream."""
        self.closing = True
        for subscription in self._subscriptions:
            subscription.woken.set()

    async def _flush_until_idle(self) -> None:
        try:
            while self._is_pending and not self.closing:
                moved, self._pending = self._pending, {}
                signs, self._pending_signs = self._pending_signs - moved.keys(), set()
                events, self._pending_events = self._pending_events, {}
                try:
                    await self._flush(moved, signs, events)
                except DatabaseError:
                    self._keep_pending(moved, signs, events)
                    await asyncio.sleep(_RETRY_S)
                else:
                    await asyncio.sleep(_FLUSH_INTERVAL_S)  # what changes meanwhile is sent together
        finally:
            self._flushing = None

    def _keep_pending(self, moved: dict[int, None], signs: set[int], events: dict[int, tuple[int, int]]) -> None:
        """What could not be read is sent later: pages need not all reload once the database is back."""
        self._pending = {n: None for n in moved if n not in self._pending} | self._pending
        self._pending_signs |= signs
        for n, (first, last) in events.items():
            self._pending_events[n] = (first, self._pending_events.get(n, (first, last))[1])
        self._signs.clear()  # it may have been noted as sent

    def _count_soon(self) -> None:
        self._counts_due = True
        if self._counting is None and self._subscriptions and not self.closing:
            self._counting = asyncio.create_task(self._count_until_idle(), name="change-feed-counts")

    async def _count_until_idle(self) -> None:
        """Sends how many tasks are in each state, where that changed; once in a while however much happens."""
        try:
            while self._counts_due and self._subscriptions and not self.closing:
                await asyncio.sleep(_COUNTS_INTERVAL_S)
                self._counts_due = False
                counts = self._counted.states()
                if counts != self._counts:
                    self._counts = counts
                    self._append(_Flush(_counts_message(counts, self._flushed_upto), {}, {}))
        finally:
            self._counting = None

    @property
    def _is_pending(self) -> bool:
        return bool(self._pending or self._pending_signs)

    async def _flush(self, moved: dict[int, None], signs: set[int], events: dict[int, tuple[int, int]]) -> None:
        # Everything up to here was either sent already or is among these numbers; what is read may be newer, and is sent again.
        before, upto = self._flushed_upto, self._log.position.seq
        alone, watched = (moved.keys() | signs) & self._subscribers_of.keys(), signs & self._watched.keys()
        followed = alone | ((moved.keys() | signs) & self._watched.keys())
        now = self._clock()

        def look_up(connection: Connection) -> _Flush:
            shown = dict(queries.tasks_by_number(connection, [*moved, *((alone | watched) - moved.keys())], now=now))
            told = {n: self._sign_message(n, shown[n]) for n in followed & shown.keys()}
            # A reader that resumes after any but the last message has to get all of this flush again.
            everyone = [encode_message("task", views.row_json(view), before) for n, view in shown.items() if n in moved]
            of_task = {
                n: _history(connection, n, events.get(n), before) + _whole(shown[n], upto)
                if n in moved or n in events
                else told[n] + b"id: %d\n\n" % upto  # nothing but signs of life
                for n in alone & shown.keys()
            }
            return _Flush(
                b"".join((*everyone, b"id: %d\n\n" % upto)),
                {n: told[n] for n in watched & shown.keys()},
                of_task,
            )

        nothing = _Flush(b"id: %d\n\n" % upto, {}, {})
        self._append(await self._database.read(look_up) if moved or alone or watched else nothing)
        self._flushed_upto = upto
        self._forget_unread(followed)

    def _sign_message(self, n: int, view: views.TaskView) -> bytes:
        sign = views.sign_of(view)
        before, self._signs[n] = self._signs.get(n), sign
        return _liveness(views.sign_json(sign, before))

    def _forget_unread(self, numbers: Iterable[int]) -> None:
        # What nobody was told of meanwhile must not pass for what a reader knows that comes later.
        for n in numbers:
            if n not in self._watched and n not in self._subscribers_of:
                self._signs.pop(n, None)

    def _append(self, flush: _Flush) -> None:
        self._ring.append(flush)
        self._flushes += 1
        for subscription in self._subscriptions:
            if subscription.task_n is None or subscription.task_n in flush.of_task:
                subscription.woken.set()

    # ── For readers ─────────────────────────────────────────────────────────────────────────────────────────────────

    def subscribe(self, task_n: int | None, watched: frozenset[int] = frozenset()) -> Subscription:
        """Begin to read what changes from now on.

        Args:
            task_n: The number of the one task to read, with its events; ``None`` for all tasks.
            watched: The numbers of the tasks whose signs of life to read beside all tasks.

        Raises:
            Busy: Too many streams are open already.
        """
        if len(self._subscriptions) >= self._max_streams:
            raise Busy("Too many streams are open already: close one, or try again later.", retry_after_s=15)
        if not self._subscriptions:
            self._flushed_upto = self._log.position.seq
        subscription = Subscription(task_n, watched, self._flushed_upto, self._flushes)
        self._watched.update(watched)
        self._subscriptions.add(subscription)
        if task_n is not None:
            self._subscribers_of[task_n] += 1
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription."""
        self._subscriptions.discard(subscription)
        self._watched.subtract(subscription.watched)
        for n in subscription.watched:
            if not self._watched[n]:
                del self._watched[n]
        if subscription.task_n is not None:
            self._subscribers_of[subscription.task_n] -= 1
            if not self._subscribers_of[subscription.task_n]:
                del self._subscribers_of[subscription.task_n]
            self._forget_unread((subscription.task_n,))
        self._forget_unread(subscription.watched)

    def read_unread(self, subscription: Subscription) -> bytes:
        """The messages that a subscription has not read yet; empty where there are none."""
        subscription.woken.clear()
        oldest = self._flushes - len(self._ring)
        if subscription.next_flush < oldest:
            subscription.next_flush = self._flushes
            return encode_message("reset", b"{}", self._flushed_upto)
        unread = [self._ring[index - oldest] for index in range(subscription.next_flush, self._flushes)]
        subscription.next_flush = self._flushes
        if subscription.task_n is None:
            return b"".join(part for flush in unread for part in (*_watched_signs(flush, subscription.watched), flush.everyone))
        return b"".join(flush.of_task.get(subscription.task_n, b"") for flush in unread)

    async def catch_up(self, subscription: Subscription, since: int) -> bytes:
        """What a reader that knows everything up to change ``since`` missed before its subscription.

        Where that is not available (it is too much, or ``since`` is not of this database), the reader has to reload.
        """
        await self._log.reach(str(since))
        position, now, upto = self._log.position, self._clock(), subscription.upto
        if not position.floor_seq <= since <= position.seq:
            return encode_message("reset", b"{}", upto)

        def look_up(connection: Connection) -> bytes:
            missed = changes.following(connection, since, limit=_RESUMABLE_CHANGES + 1)
            if len(missed) > _RESUMABLE_CHANGES:
                return encode_message("reset", b"{}", upto)
            if subscription.task_n is not None:
                return _missed_of_task(connection, subscription.task_n, missed, since, now)
            numbers = _in_order_of_their_last(missed)
            if len(numbers) > _RESUMABLE_TASKS:
                return encode_message("reset", b"{}", upto)
            shown = queries.tasks_by_number(connection, numbers, now=now)
            return b"".join((*(encode_message("task", views.row_json(view), since) for _, view in shown), b"id: %d\n\n" % upto))

        return await self._database.read(look_up)

    async def counts(self, subscription: Subscription) -> bytes:
        """How many tasks are in each state now; nothing for a reader of one task."""
        if subscription.task_n is not None:
            return b""
        counts = self._counted.states()
        if counts != self._counts:
            self._counts = None  # not all readers were told the same, so the next counts are news to some
        return _counts_message(counts, subscription.upto)

    async def signs(self, subscription: Subscription) -> bytes:
        """The signs of life of the tasks that a reader watches, as of now."""
        if not subscription.watched:
            return b""
        now = self._clock()

        def look_up(connection: Connection) -> bytes:
            shown = queries.tasks_by_number(connection, subscription.watched, now=now)
            return b"".join(_liveness(views.sign_json(views.sign_of(view), None)) for _, view in shown)

        return await self._database.read(look_up)


def _counts_message(counts: views.StateCounts, seq: int) -> bytes:
    return encode_message("counts", views.counts_json(counts), seq)


def _whole(view: views.TaskView, seq: int) -> bytes:
    return encode_message("task", views.task_json.dump_json(view), seq)


def _liveness(data: bytes) -> bytes:
    """A message without an id: there are many of these, and each flush ends with one."""
    return b"event: liveness\ndata: %s\n\n" % data


def _watched_signs(flush: _Flush, watched: frozenset[int]) -> list[bytes]:
    return [flush.signs[n] for n in flush.signs.keys() & watched]


def encode_message(name: str, data: bytes, seq: int) -> bytes:
    """One server-sent event (HTML standard, section 9.2). Encoded JSON has no line breaks, so its data is one line."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (seq, name.encode(), data)


def _in_order_of_their_last(missed: list[Change]) -> list[int]:
    numbers: dict[int, None] = {}
    for change in missed:
        for n in change.tasks:
            if n in change.moved:
                numbers.pop(n, None)
                numbers[n] = None
    return list(numbers)


def _missed_of_task(connection: Connection, task_n: int, missed: list[Change], since: int, now: UtcMs) -> bytes:
    theirs = [change for change in missed if task_n in change.tasks]
    grown = [change.events[task_n] for change in theirs if task_n in change.events]
    events = (grown[0][0], grown[-1][1]) if grown else None
    return b"".join(
        _history(connection, number, events, since) + _whole(view, since)
        for number, view in queries.tasks_by_number(connection, [task_n] if theirs else [], now=now)
    )


def _history(connection: Connection, task_n: int, numbers: tuple[int, int] | None, seq: int) -> bytes:
    if numbers is None:
        return b""
    events = queries.events_between(connection, task_n, *numbers, limit=_EVENTS_PER_FLUSH)
    return b"".join(encode_message("event", views.event_json.dump_json(event), seq) for event in events)
