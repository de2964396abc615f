"""Which events go into a lane's next request: the oldest first, and in a backlog a share for tasks that are not in it.

After an outage a long queue is drained. A task that begins then would have to wait for all of it; so a part of each full
batch is for the events of tasks that had none waiting when the backlog was found. Order within a task is kept: either all of
its waiting events are behind that point, or none of them is taken out of turn.

While a full batch is on its way, the one behind it can be read already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.records import StoredEvent
from clawlogd.outbox.store import Store

_SHARE = 4  # one part in so many of a full batch is for newcomers
_NOTHING: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class _Backlog:
    end: int
    tasks: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Query:
    """Which events are wanted.

    Attributes:
        limit: How many events at most.
        max_bytes: How much at most.
        without: Tasks whose events are excluded.
        sent: Numbers of events that were sent already.
        after: A number up to which all other waiting events were sent already.
    """

    limit: int
    max_bytes: int
    without: frozenset[str]
    sent: AbstractSet[int] = _NOTHING
    after: int = 0


@dataclass(frozen=True, slots=True)
class _Page:
    """The events that were found.

    Attributes:
        events: In the order in which they are to be sent.
        reached: The number of the last that was taken in turn.
        full: Whether more may wait.
        backlog: The one that is being drained.
        oldest_ms: When the oldest waiting event happened.
    """

    events: list[StoredEvent]
    reached: int
    full: bool
    backlog: _Backlog | None
    oldest_ms: int | None


class Selection:
    """Chooses what is sent next.

    Args:
        outbox: Where events wait.
        lane: The lane's number.

    Attributes:
        oldest_ms: When the oldest waiting event happened, as last seen, in milliseconds since 1970.
    """

    def __init__(self, *, outbox: Outbox, lane: int) -> None:
        self._outbox = outbox
        self._lane = lane
        self._last: tuple[_Query, _Page] | None = None
        self._out_of_turn: frozenset[int] = _NOTHING  # what was sent in the batch before the last beyond what that had reached
        self._ahead: tuple[_Query, asyncio.Task[_Page]] | None = None
        self.oldest_ms: int | None = None

    async def next(self, limit: int, max_bytes: int, without: AbstractSet[str]) -> list[StoredEvent]:
        """The next events to send, in order within each task. All that was settled before must have been committed.

        Args:
            limit: How many at most.
            max_bytes: How much at most; a single event is given in any case.
            without: Tasks whose events are excluded.

        Raises:
            StorageFailed: They cannot be read.
        """
        self.drop_ahead()
        self._out_of_turn = _NOTHING
        request = _Query(limit, max_bytes, frozenset(without))
        return self._note(request, await self._read(request))

    async def next_ahead(self, limit: int, max_bytes: int, without: AbstractSet[str]) -> list[StoredEvent] | None:
        """What ``next`` returns once all events that it returned last are settled; None unless just that was read ahead."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return None
        request, reading = ahead
        if (request.limit, request.max_bytes, request.without) != (limit, max_bytes, without):
            reading.cancel()
            return None
        return self._note(request, await reading)

    def _note(self, request: _Query, found: _Page) -> list[StoredEvent]:
        self._last = request, found
        self.oldest_ms = found.oldest_ms
        return found.events

    @property
    def is_ahead(self) -> bool:
        """Whether the events behind those on their way are read, or being read."""
        return self._ahead is not None

    def read_ahead(self) -> None:
        """Begins to read what follows the events that were returned last, on the assumption that all of them are delivered.

        Does nothing unless those were a full batch. The batch before that one may be settled without having been committed yet,
        but nothing older.
        """
        if self._last is None or not self._last[1].full:
            return
        request, found = self._last
        out_of_turn = frozenset(each.seq for each in found.events if each.seq > found.reached)
        behind = _Query(request.limit, request.max_bytes, request.without, out_of_turn | self._out_of_turn, found.reached)
        self._out_of_turn = out_of_turn
        reading = asyncio.create_task(self._read(behind), name="outbox-ahead")
        reading.add_done_callback(_retrieved)
        self._ahead = behind, reading

    def drop_ahead(self) -> None:
        """Drops what was read ahead: not all events before it were delivered, or something else is to be sent first."""
        if self._ahead is not None:
            self._ahead[1].cancel()
            self._ahead = None

    async def _read(self, request: _Query) -> _Page:
        backlog = self._last[1].backlog if self._last is not None else None
        return await self._outbox.read(lambda store: _find(store, self._lane, request, backlog))


def _retrieved(reading: asyncio.Task[_Page]) -> None:
    # What is dropped may have failed without asyncio logging the error as never retrieved.
    if not reading.cancelled():
        reading.exception()


def _find(store: Store, lane: int, request: _Query, backlog: _Backlog | None) -> _Page:
    limit, max_bytes = request.limit, request.max_bytes
    found = store.pending(lane, limit + len(request.sent), max_bytes, without=request.without, after=request.after)
    found = [each for each in found if each.seq not in request.sent][:limit] if request.sent else found
    oldest_ms = store.oldest_ms(lane)
    reached = found[-1].seq if found else request.after
    full = len(found) == limit or 2 * sum(len(each.body) for each in found) > max_bytes
    if not full or limit < _SHARE:
        return _Page(found, reached, full, None, oldest_ms)
    if backlog is None or reached > backlog.end:
        return _Page(found, reached, full, _Backlog(*store.backlog(lane)), oldest_ms)
    newcomers = store.newcomers(lane, backlog.end, backlog.tasks | request.without, request.sent, limit // _SHARE)
    events = _fill(found, newcomers, limit, max_bytes)
    reached = max((each.seq for each in events if each.seq <= backlog.end), default=request.after)
    return _Page(events, reached, full, backlog, oldest_ms)


def _fill(found: list[StoredEvent], newcomers: list[StoredEvent], limit: int, max_bytes: int) -> list[StoredEvent]:
    """As many newcomers as fit into their share of the room, and before them as many of the others as still fit."""
    chosen = _fitting(newcomers, max_bytes // _SHARE)
    room = max_bytes - sum(len(each.body) + 1 for each in chosen)
    return [*_fitting(found[: limit - len(chosen)], room), *chosen] or found[:1]


def _fitting(events: list[StoredEvent], room_bytes: int) -> list[StoredEvent]:
    for count, each in enumerate(events):
        room_bytes -= len(each.body) + 1
        if room_bytes < 0:
            return events[:count]
    return events
