"""How much waits and how fast it comes, counted in memory: nobody has to ask the file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from clawlogd.clock import Clock
from clawlogd.errors import OutboxFull
from clawlogd.outbox.records import WaitingCount
from clawlogd.outbox.schema import EventState
from clawlogd.settings import OutboxBounds

_WINDOW_S = 900.0  # of the acceptance rate


class OutboxCounts:
    """How many events are accepted and not settled yet.

    Args:
        found: What the file holds.

    Attributes:
        pending: Events to be sent, by lane.
        dead: Events that their backend refused, by lane.
        held: Events behind a refused ``task_created``, by lane.
        by_task: All of these, by task.
        waiting: All of these.
        size_bytes: What their bodies take.
    """

    def __init__(self, found: Iterable[WaitingCount]) -> None:
        self.pending: Counter[int] = Counter()
        self.dead: Counter[int] = Counter()
        self.held: Counter[int] = Counter()
        self.by_task: Counter[str] = Counter()
        self.waiting = 0
        self.size_bytes = 0
        for each in found:
            self._of(each.state)[each.lane] += each.count
            self.by_task[each.task_id] += each.count
            self.waiting += each.count
            self.size_bytes += each.size_bytes

    def refuse_full(self, bounds: OutboxBounds, events: int, size_bytes: int) -> None:
        """Refuses events for which there is no room.

        Args:
            bounds: Those in force.
            events: How many there are.
            size_bytes: What their bodies take together.

        Raises:
            OutboxFull: A bound is reached.
        """
        if self.waiting + events > bounds.max_events or self.size_bytes + size_bytes > bounds.max_bytes:
            raise OutboxFull(
                f"{self.waiting} events ({self.size_bytes} bytes) wait for delivery and the bound is "
                f"{bounds.max_events} events or {bounds.max_bytes} bytes; nothing was accepted"
            )

    def change(self, task_id: str, lane: int, size_bytes: int, state: EventState, change: int) -> None:
        """Counts one event more (``change`` is 1) or less (-1)."""
        counter = self.pending if state is EventState.PENDING else self._of(state)
        counter[lane] += change
        self.waiting += change
        self.size_bytes += change * size_bytes
        self.by_task[task_id] += change
        if not self.by_task[task_id]:
            del self.by_task[task_id]

    def move(self, lane: int, was: EventState, to: EventState) -> None:
        """Counts an event in another state."""
        self._of(was)[lane] -= 1
        self._of(to)[lane] += 1

    def _of(self, state: EventState) -> Counter[int]:
        return {EventState.PENDING: self.pending, EventState.DEAD: self.dead, EventState.HELD: self.held}[state]


class AcceptanceRate:
    """How many events are accepted in an hour, lately: it says for how long the outbox can go on filling.

    An exponential mean over a quarter of an hour.

    Args:
        clock: Where the time is read.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = self._at = clock.monotonic()
        self._per_s = 0.0
        self._since = 0

    def note(self, count: int) -> None:
        """So many more events were accepted."""
        self._since += count

    def per_hour(self) -> float:
        """Events in an hour."""
        now = self._clock.monotonic()
        self._per_s = self._per_s * math.exp((self._at - now) / _WINDOW_S) + self._since / _WINDOW_S
        self._at, self._since = now, 0
        # A young mean has not yet seen a whole window: scaled up to what it has seen.
        seen = 1.0 - math.exp(-(now - self._began + 1.0) / _WINDOW_S)
        return self._per_s / seen * 3600
