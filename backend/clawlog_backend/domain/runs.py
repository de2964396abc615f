"""A task's history cut into runs: from its creation, or from where it was reopened, to its end. Pure.

A task whose last step ended is done until its agent adds the next one: an end that is taken back at once is none. What is cut
depends on the history alone, so that it is cut in the same place whenever it is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from clawlog_backend.domain.events import EventKind
from clawlog_backend.domain.fields import ENDED_TASK_STATUSES

_ENDINGS = frozenset({EventKind.TASK_STATUS, EventKind.INTERRUPT_ACK, EventKind.TASK_CLOSED})

SETTLE_MS = 2_000
"""An end that lasted shorter, by the agent's clock and by the backend's, was none."""


@dataclass(frozen=True)
class Happening:
    """One event of a task's history.

    Attributes:
        seq: Its number within its task.
        event_id: Its id.
        kind: What happened.
        at_ms: When, by the agent's clock.
        received_ms: When it arrived.
        task_status: The task's status after it.
        detail: Its own fields, as JSON.
    """

    seq: int
    event_id: str
    kind: str
    at_ms: int
    received_ms: int
    task_status: str
    detail: str = "{}"

    @cached_property
    def own(self) -> dict[str, Any]:
        """Its own fields."""
        found: dict[str, Any] = json.loads(self.detail)
        return found

    @property
    def ended(self) -> bool:
        """Whether the task had ended after it."""
        return self.task_status in ENDED_TASK_STATUSES


@dataclass(frozen=True, slots=True)
class Run:
    """A part of a history.

    Attributes:
        number: 1 for the first.
        happenings: What happened in it, its end and what came after that included.
        ending: The event that ended it; ``None`` while it goes on.
    """

    number: int
    happenings: Sequence[Happening]
    ending: Happening | None

    @property
    def last_word(self) -> Happening | None:
        """The last of what ended it: a task that its last step ended is ended once more by its agent's word."""
        word = self.ending
        for each in self.happenings:
            if self.ending is None or each.seq <= self.ending.seq or is_settled(self.ending, each.at_ms, each.received_ms):
                continue
            if each.kind in _ENDINGS:
                word = each
        return word


def cut(history: Iterable[Happening]) -> list[Run]:
    """The runs of a history, which is in order; heartbeats may be left out of it."""
    runs: list[Run] = []
    current: list[Happening] = []
    ending: Happening | None = None
    for each in history:
        if ending is None:
            ending = each if each.ended else None
        elif not each.ended:
            if is_settled(ending, each.at_ms, each.received_ms):
                runs.append(Run(len(runs) + 1, current, ending))
                current = []
            ending = None
        current.append(each)
    if current:
        runs.append(Run(len(runs) + 1, current, ending))
    return runs


def is_settled(ending: Happening, at_ms: int, received_ms: int) -> bool:
    """Whether an end had lasted long enough to be one by the time something else happened, and that arrived."""
    return max(at_ms - ending.at_ms, received_ms - ending.received_ms) >= SETTLE_MS


def run_at(runs: Sequence[Run], at_ms: int) -> int:
    """The number of the run that went on at an instant, by the agent's clock: the first, where that is before all."""
    begun = [run.number for run in runs if run.happenings[0].at_ms <= at_ms]
    return max(begun, default=1)
