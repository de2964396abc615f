"""Quiet hours: whether it is one of them, and when they end. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from clawlog_backend.domain.times import UtcMs

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*-\s*([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A part of each day, which may go on over midnight.

    Attributes:
        begin: When they begin.
        end: When they end.
        zone: By whose clock; ``None`` for that of this machine.
    """

    begin: time
    end: time
    zone: tzinfo | None = None

    def end_after(self, now: UtcMs) -> UtcMs | None:
        """When the quiet hours end that it is now; ``None`` where it is none."""
        today = datetime.fromtimestamp(now / 1000, UTC).astimezone(self.zone)
        for day in (today - timedelta(days=1), today):
            ends_on = day + timedelta(days=1) if self.end <= self.begin else day
            begin, end = self._at(day, self.begin), self._at(ends_on, self.end)
            if begin <= now < end:
                return end
        return None

    def _at(self, day: datetime, hour: time) -> UtcMs:
        # Without a zone, a time without one is this machine's own, with its summer time on that day.
        return UtcMs(int(datetime.combine(day.date(), hour, self.zone).timestamp() * 1000))


def quiet_hours(text: str, zone: str | None) -> QuietHours:
    """Read ``22:00-07:00``.

    Raises:
        ValueError: It is not of that form, or there is no such zone.
    """
    match = _HOURS.fullmatch(text.strip())
    if match is None or match[1] + match[2] == match[3] + match[4]:
        raise ValueError("expected two different times of day, such as 22:00-07:00")
    numbers = [int(part) for part in match.groups()]
    try:
        named = None if zone is None else ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("no such time zone on this machine: expected one such as Europe/Berlin") from None
    return QuietHours(time(numbers[0], numbers[1]), time(numbers[2], numbers[3]), named)
