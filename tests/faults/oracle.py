"""Judges a run: what agents were promised against what the backend did, in the manner of Jepsen's queue checks.

It knows nothing of how events travel. An event whose reply never came is undecided: it may arrive, once, or not. One that was
refused must not.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

BY_AGENTS = frozenset({"task_created", "task_status", "step_status", "interrupt_ack"})
"""The kinds that agents send. All others are the daemon's own words, which nobody was promised."""


@dataclass(frozen=True, slots=True)
class Change:
    """One event's effect, as it was sent, and as a backend applied it."""

    event_id: str
    task_id: str
    kind: str
    step_id: str | None = None
    status: str | None = None
    summary: str | None = None


class Outcome(IntEnum):
    """What an agent knows of an event that it sent; the greatest of several tries counts."""

    REFUSED = 0
    UNDECIDED = 1
    ACCEPTED = 2


class Ledger:
    """What was sent, in order for each task, and what became of it. Filled by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes: dict[Change, Outcome] = {}
        self._more = threading.Condition(self._lock)
        self.accepted_count = 0

    def note(self, change: Change, outcome: Outcome) -> None:
        """Notes the outcome of one try to send an event."""
        with self._more:
            before = self._outcomes.get(change)
            if before is None or outcome > before:
                self._outcomes[change] = outcome
                self.accepted_count += outcome is Outcome.ACCEPTED
                self._more.notify_all()

    def wait_for(self, accepted_count: int, timeout_s: float) -> bool:
        """Waits until so many events have been accepted. Returns whether they have."""
        with self._more:
            return self._more.wait_for(lambda: self.accepted_count >= accepted_count, timeout_s)

    def outcomes(self) -> dict[Change, Outcome]:
        """Every event that was sent, in the order in which each agent sent its own."""
        with self._lock:
            return dict(self._outcomes)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the oracle found.

    Attributes:
        accepted: How many events were confirmed to their senders.
        lost: Accepted, and neither applied nor reported as gone.
        reported: Accepted, not applied, and reported as gone or refused (only a disk that destroys data, or a backend that
            refuses an event, may cause it).
        unexpected: Applied, and never sent, or refused to their sender, or altered on the way.
        duplicates: Effects that happened more than once.
        disordered: Events of a task that were applied after a later one.
        undecided: Sent, without a reply.
        examples: Some of what is wrong, for people.
    """

    accepted: int
    lost: int
    reported: int
    unexpected: int
    duplicates: int
    disordered: int
    undecided: int
    examples: tuple[str, ...] = field(default=(), compare=False)

    @property
    def holds(self) -> bool:
        """Whether the promise was kept."""
        return not (self.lost or self.unexpected or self.duplicates or self.disordered)


def judge(ledger: Ledger, applied: Iterable[Change], *, reported_gone: int = 0) -> Verdict:
    """Compares what was promised with what was done.

    Args:
        ledger: What agents sent.
        applied: The backend's effective history, in its order.
        reported_gone: How many accepted events the daemon itself says will not arrive.
    """
    outcomes = ledger.outcomes()
    history = [change for change in applied if change.kind in BY_AGENTS]
    counts = Counter(history)
    missing = [change for change, outcome in outcomes.items() if outcome is Outcome.ACCEPTED and change not in counts]
    unexpected = [change for change in counts if outcomes.get(change, Outcome.REFUSED) is Outcome.REFUSED]
    repeated = [change for change, count in counts.items() if count > 1]
    late = _late(outcomes, history)
    reported = min(len(missing), reported_gone)
    examples = [
        *(f"missing: {change}" for change in missing[:3]),
        *(f"unexpected: {change}" for change in unexpected[:3]),
        *(f"twice: {change}" for change in repeated[:3]),
        *(f"late: {change}" for change in late[:3]),
    ]
    return Verdict(
        accepted=sum(outcome is Outcome.ACCEPTED for outcome in outcomes.values()),
        lost=len(missing) - reported,
        reported=reported,
        unexpected=len(unexpected),
        duplicates=sum(counts[change] - 1 for change in repeated),
        disordered=len(late),
        undecided=sum(outcome is Outcome.UNDECIDED for outcome in outcomes.values()),
        examples=tuple(examples),
    )


def _late(outcomes: Iterable[Change], history: Iterable[Change]) -> list[Change]:
    """Events that were applied after one of the same task that was sent later."""
    places = {change: place for place, change in enumerate(outcomes)}
    furthest: dict[str, int] = {}
    late: list[Change] = []
    for change in history:
        place = places.get(change)
        if place is None:
            continue
        if place < furthest.get(change.task_id, -1):
            late.append(change)
        furthest[change.task_id] = max(place, furthest.get(change.task_id, -1))
    return late
