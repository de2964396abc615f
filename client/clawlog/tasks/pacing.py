"""Reports that a loop makes at every turn, of which only some are sent: the newest, often at first and then more seldom."""

from __future__ import annotations

import math
import operator
import time
from typing import SupportsFloat, SupportsIndex

from clawlog.connection.values import Progress
from clawlog.protocol.vocabulary import MAX_UNIT_CHARS

MIN_INTERVAL_S = 1.0
MAX_INTERVAL_S = 10.0
_PART = 30
"""The interval grows with the time since the beginning, as its thirtieth part: who looks sees the newest thirtieth missing."""


class Paced:
    """The newest count and line of a step or a task, and whether it is time to send them.

    Attributes:
        progress: The newest count.
        summary: The newest line that was not sent yet.
        is_new: Whether there is something that was not sent yet.
    """

    def __init__(self) -> None:
        self.progress: Progress | None = None
        self.summary: str | None = None
        self.next_at = 0.0
        self._began = time.monotonic()
        self.is_new = False

    def note(self, progress: Progress | None, summary: str | None) -> None:
        """Takes a newer count or line."""
        if progress is not None and progress != self.progress:
            self.progress, self.is_new = progress, True
            if progress.total is not None and progress.done >= progress.total:
                self.next_at = 0.0  # nothing newer may come for long
        if summary is not None:
            self.summary, self.is_new = summary, True

    def is_due(self) -> bool:
        """Whether there is something new, and it is time to send it."""
        return self.is_new and time.monotonic() >= self.next_at

    def postpone(self) -> float:
        """Lets some time pass until the next report; returns its time, by ``time.monotonic``."""
        now = time.monotonic()
        self.next_at = now + min(max((now - self._began) / _PART, MIN_INTERVAL_S), MAX_INTERVAL_S)
        return self.next_at

    def take(self) -> tuple[Progress | None, str | None]:
        """Returns what is sent now: the count, and the line if there is a new one."""
        self.postpone()
        summary, self.summary, self.is_new = self.summary, None, False
        return self.progress, summary


def count(done: SupportsFloat, total: SupportsFloat | None, unit: str | None) -> Progress:
    """Returns a progress of numbers of any kind: whole ones stay whole, also those of numpy and the like.

    It is checked here, and not by the daemon: a report that was refused for its count would be lost.

    Raises:
        TypeError: One of them is no number.
        ValueError: One of them is below 0 or not finite, or the unit does not fit.
    """
    if unit is not None and not (isinstance(unit, str) and len(unit) <= MAX_UNIT_CHARS):
        raise ValueError(f"unit: {unit!r} does not fit; expected at most {MAX_UNIT_CHARS} characters")
    return Progress(_number(done), None if total is None else _number(total), unit)


def _number(value: SupportsFloat) -> float:
    if not isinstance(value, int | float):  # which is asked first: a loop comes here at every turn
        value = operator.index(value) if isinstance(value, SupportsIndex) else float(value)
    if not 0 <= value < math.inf:
        raise ValueError(f"progress: {value!r} does not fit; expected a finite number from 0")
    return value
