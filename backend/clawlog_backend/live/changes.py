"""The change feed: tells every open event stream what changed, having looked it up and written it as JSON once for all of them.

Changes that come close together are told together, so that a flood of events costs each reader little more than its last state.
Each flush is one entry of a short ring that all readers share; a reader that falls behind the ring is told to reload. Nothing
here waits for a reader.

Every message bears as its id the number of an event up to which its reader then knows everything, so that a reader may resume
after any of them.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection

from clawlog_backend.domain import views
from clawlog_backend.domain.times import Clock
from clawlog_backend.http.problems import busy
from clawlog_backend.storage import queries
from clawlog_backend.storage.engines.sqlite import Database, DatabaseError
from clawlog_backend.storage.unit_of_work import Applied, Store

_FLUSH_INTERVAL_S = 0.1
_RING_FLUSHES = 256
_RESUMABLE_TASKS = 1_000  # more changed tasks than this are fetched faster as a list
_EVENTS_PER_FLUSH = 1_000


@dataclass(frozen=True, slots=True)
class _Flush:
    """What one flush tells: to readers of everything, and to those of one task."""

    everyone: bytes
    of_task: dict[int, bytes]


@dataclass(eq=False, slots=True)
class Subscription:
    """One reader's place in the feed.

    Attributes:
        task_n: The number of the one task that it reads, or ``None``.
        upto: The number of the event up to which it knows everything at its start.
        woken: Set when there may be something to read, or the feed closed.
    """

    task_n: int | None
    upto: int
    next_flush: int
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class ChangeFeed:
    """Hands changes on to subscriptions.

    Args:
        database: Where tasks are looked up.
        store: Knows the number of the last event.
        clock: What time it is.
        max_streams: How many subscriptions there may be at once.
    """

    def __init__(self, *, database: Database, store: Store, clock: Clock, max_streams: int) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._max_streams = max_streams
        self._subscriptions: set[Subscription] = set()
        self._watched: Counter[int] = Counter()
        self._ring: deque[_Flush] = deque(maxlen=_RING_FLUSHES)
        self._flushes = 0
        self._flushed_upto = 0
        self._pending: set[int] = set()
        self._flushing: asyncio.Task[None] | None = None
        self.closing = False

    @property
    def streams(self) -> int:
        """How many subscriptions there are."""
        return len(self._subscriptions)

    # ── For writers ─────────────────────────────────────────────────────────────────────────────────────────────────

    def publish(self, applied: Applied) -> None:
        """Tell what a group of events changed."""
        self.touch(applied.changed.values())

    def touch(self, numbers: Iterable[int]) -> None:
        """Tell how these tasks stand now."""
        if not self._subscriptions or self.closing:
            return
        self._pending.update(numbers)
        if self._pending and self._flushing is None:
            self._flushing = asyncio.create_task(self._flush_until_idle(), name="change-feed")

    def reset(self) -> None:
        """Tell every reader to reload: tasks were removed."""
        reset = message("reset", b"{}", self._store.position.seq)
        self._append(_Flush(reset, dict.fromkeys(self._watched, reset)))

    def close(self) -> None:
        """Let every reader go."""
        self.closing = True
        for subscription in self._subscriptions:
            subscription.woken.set()

    async def _flush_until_idle(self) -> None:
        try:
            while self._pending and not self.closing:
                numbers, self._pending = self._pending, set()
                await self._flush(numbers)
                await asyncio.sleep(_FLUSH_INTERVAL_S)  # what changes meanwhile is told in one
        except DatabaseError:
            self.reset()  # what was missed cannot be told one by one
        finally:
            self._flushing = None

    async def _flush(self, numbers: set[int]) -> None:
        # Everything up to here is either told already or among these numbers; what is read may be newer, and is told again.
        before, upto = self._flushed_upto, self._store.position.seq
        watched = numbers & self._watched.keys()
        now = self._clock()

        def look_up(connection: Connection) -> _Flush:
            shown = queries.tasks_by_number(connection, numbers, now=now)
            as_json = [(number, views.task_json.dump_json(view)) for number, view in shown]
            # A reader that resumes after any but the last message has to be told all of this flush again.
            everyone = [message("task", data, before) for _, data in as_json[:-1]]
            everyone += [message("task", data, upto) for _, data in as_json[-1:]]
            of_task = {
                number: _history(connection, number, before, upto) + message("task", data, upto)
                for number, data in as_json
                if number in watched
            }
            return _Flush(b"".join(everyone), of_task)

        self._append(await self._database.read(look_up))
        self._flushed_upto = upto

    def _append(self, flush: _Flush) -> None:
        self._ring.append(flush)
        self._flushes += 1
        for subscription in self._subscriptions:
            if subscription.task_n is None or subscription.task_n in flush.of_task:
                subscription.woken.set()

    # ── For readers ─────────────────────────────────────────────────────────────────────────────────────────────────

    def subscribe(self, task_n: int | None) -> Subscription:
        """Begin to read what changes from now on.

        Args:
            task_n: The number of the one task to read, with its events; ``None`` for all tasks.

        Raises:
            Problem: Too many streams are open already (429).
        """
        if len(self._subscriptions) >= self._max_streams:
            raise busy("Too many streams are open already: close one, or try again later.", retry_after_s=15)
        if not self._subscriptions:
            self._flushed_upto = self._store.position.seq
        subscription = Subscription(task_n, self._flushed_upto, self._flushes)
        self._subscriptions.add(subscription)
        if task_n is not None:
            self._watched[task_n] += 1
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription."""
        self._subscriptions.discard(subscription)
        if subscription.task_n is not None:
            self._watched[subscription.task_n] -= 1
            if not self._watched[subscription.task_n]:
                del self._watched[subscription.task_n]

    def take(self, subscription: Subscription) -> bytes:
        """What a subscription has not read yet; empty where there is nothing."""
        subscription.woken.clear()
        oldest = self._flushes - len(self._ring)
        if subscription.next_flush < oldest:
            subscription.next_flush = self._flushes
            return message("reset", b"{}", self._flushed_upto)
        unread = [self._ring[index - oldest] for index in range(subscription.next_flush, self._flushes)]
        subscription.next_flush = self._flushes
        if subscription.task_n is None:
            return b"".join(flush.everyone for flush in unread)
        return b"".join(flush.of_task.get(subscription.task_n, b"") for flush in unread)

    async def missed(self, subscription: Subscription, since: int) -> bytes:
        """What a reader that knows everything up to event ``since`` missed before its subscription.

        Where that cannot be told (too much of it, or ``since`` is not of this database), it is told to reload.
        """
        position, now, upto = self._store.position, self._clock(), subscription.upto
        if not position.floor_seq <= since <= position.seq:
            return message("reset", b"{}", upto)

        def look_up(connection: Connection) -> bytes:
            numbers = queries.tasks_changed_since(connection, since, limit=_RESUMABLE_TASKS + 1)
            if len(numbers) > _RESUMABLE_TASKS:
                return message("reset", b"{}", upto)
            if subscription.task_n is not None:
                numbers = [number for number in numbers if number == subscription.task_n]
            parts = []
            for number, view in queries.tasks_by_number(connection, numbers, now=now):
                if subscription.task_n is not None:
                    parts.append(_history(connection, number, since, None))
                parts.append(message("task", views.task_json.dump_json(view), since))
            return b"".join(parts)

        return await self._database.read(look_up)


def message(name: str, data: bytes, seq: int) -> bytes:
    """One server-sent event. JSON has no line breaks of its own, so its data is one line."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (seq, name.encode(), data)


def _history(connection: Connection, task_n: int, after: int, upto: int | None) -> bytes:
    found = queries.events_after(connection, task_n, after, limit=_EVENTS_PER_FLUSH)
    events = [event for event in found if upto is None or event["seq"] <= upto]
    return b"".join(message("event", views.event_json.dump_json(event), after) for event in events)
