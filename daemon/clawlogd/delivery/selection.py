"""Which events go into a lane's next request: the oldest first, and in a backlog a share for tasks that have no part in it.

After an outage a long queue is drained. A task that begins then would have to wait for all of it; so a part of each full
batch is for the events of tasks that had none waiting when the backlog was found. Order within a task is kept: either all of
its waiting events are behind that point, or none of them is taken out of turn.
"""

from __future__ import annotations

from dataclasses import dataclass

from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.records import StoredEvent
from clawlogd.outbox.store import Store

_SHARE = 4  # one part in so many of a full batch is for newcomers


@dataclass(frozen=True, slots=True)
class _Backlog:
    end: int
    tasks: frozenset[str]


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
        self._backlog: _Backlog | None = None
        self.oldest_ms: int | None = None

    async def next(self, limit: int, max_bytes: int, without: set[str]) -> list[StoredEvent]:
        """The next events to send, in order within each task.

        Args:
            limit: How many at most.
            max_bytes: How much at most; a single event is given in any case.
            without: Tasks that are passed over.

        Raises:
            StorageFailedError: They cannot be read.
        """

        def read(store: Store) -> tuple[list[StoredEvent], int | None]:
            return store.pending(self._lane, limit, max_bytes, without), store.oldest_ms(self._lane)

        found, self.oldest_ms = await self._outbox.read(read)
        full = len(found) == limit or 2 * sum(len(each.body) for each in found) > max_bytes
        if not full or limit < _SHARE:
            self._backlog = None
            return found
        if self._backlog is None or found[-1].seq > self._backlog.end:
            self._backlog = _Backlog(*await self._outbox.read(lambda store: store.backlog(self._lane)))
            return found
        end, passed_over = self._backlog.end, self._backlog.tasks | without if without else self._backlog.tasks
        newcomers = await self._outbox.read(lambda store: store.newcomers(self._lane, end, passed_over, limit // _SHARE))
        return _fill(found, newcomers, limit, max_bytes)


def _fill(found: list[StoredEvent], newcomers: list[StoredEvent], limit: int, max_bytes: int) -> list[StoredEvent]:
    """As many of the newcomers as a share of the room takes, before them as many of the others as still fit."""
    chosen = _fitting(newcomers, max_bytes // _SHARE)
    room = max_bytes - sum(len(each.body) + 1 for each in chosen)
    return [*_fitting(found[: limit - len(chosen)], room), *chosen] or found[:1]


def _fitting(events: list[StoredEvent], room_bytes: int) -> list[StoredEvent]:
    for count, each in enumerate(events):
        room_bytes -= len(each.body) + 1
        if room_bytes < 0:
            return events[:count]
    return events
