"""Faults of the daemon's own that set aside a part of it, for ``daemon.status`` and the log.

An exception that nobody expected is a fault. What it was about is set aside and tried again later; here is kept what it was, so
that an operator learns of it. It is logged in one line when it is new, and once an hour while it goes on.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path

from clawlogd.clock import Clock, rfc3339
from clawlogd.logs import Log
from clawlogd.text import clean_text

_MAX_PARTS = 100
_MAX_DETAIL_CHARS = 300
_KEPT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault.

    Attributes:
        part: What it set aside.
        detail: What went wrong, and where.
        times: How often.
        since: The first time, RFC 3339.
        last: The last time, RFC 3339.
    """

    part: str
    detail: str
    times: int
    since: str
    last: str


class Faults:
    """The faults of the last hour.

    Args:
        clock: Where the time is read.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._log = Log("faults")
        self._faults: dict[str, Fault] = {}
        self._at: dict[str, float] = {}  # when each was noted last, monotonic
        self._logged_at: dict[str, float] = {}
        self._kinds: dict[str, str] = {}

    def note(self, part: str, error: BaseException) -> str:
        """Notes a fault.

        Args:
            part: What it sets aside.
            error: What went wrong.

        Returns:
            What went wrong and where, in one line.
        """
        now = self._clock.monotonic()
        what = f"{type(error).__name__}: {clean_text(error, _MAX_DETAIL_CHARS)}"
        detail = clean_text(f"a fault of the daemon's own at {_place(error)}: {what}", _MAX_DETAIL_CHARS)
        at = rfc3339(self._clock.wall_ms())
        before = self._faults.pop(part, None)
        self._faults[part] = Fault(part, detail, before.times + 1 if before else 1, before.since if before else at, at)
        self._at[part] = now
        if len(self._faults) > _MAX_PARTS:
            self._drop(next(iter(self._faults)))
        kind = detail.partition(" < ")[0] + type(error).__name__  # the same fault, whoever ran into it
        news, self._kinds[part] = self._kinds.get(part) != kind, kind
        if news or now - self._logged_at.get(part, 0.0) > _KEPT_S:
            self._logged_at[part] = now
            self._log.error("fault", part=part, detail=detail)
        return detail

    def report(self) -> tuple[Fault, ...]:
        """The faults of the last hour, the oldest first."""
        now = self._clock.monotonic()
        for part in [part for part, at in self._at.items() if now - at > _KEPT_S]:
            self._drop(part)
        return tuple(self._faults.values())

    def _drop(self, part: str) -> None:
        self._faults.pop(part, None)
        self._at.pop(part, None)
        self._logged_at.pop(part, None)
        self._kinds.pop(part, None)


def _place(error: BaseException) -> str:
    """Where an exception was raised, and by whom it was called for: innermost first."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(each.filename).name}:{each.lineno}" for each in reversed(frames[-3:])) or "?"
