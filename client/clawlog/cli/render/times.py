"""Turns RFC 3339 times into what people read: ages, delays, the time of day."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def parse(text: str) -> datetime:
    """Reads an RFC 3339 time.

    Raises:
        ValueError: The text is not one.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def between(earlier: str, later: str) -> float:
    """Returns the seconds from one time to another; 0 where one of them is none."""
    try:
        return (parse(later) - parse(earlier)).total_seconds()
    except (ValueError, OverflowError):
        return 0.0


def age_s(text: str) -> float:
    """Returns the seconds since a time; never negative, whatever the clocks say, and 0 for what is no time."""
    try:
        return max(0.0, (datetime.now(UTC) - parse(text)).total_seconds())
    except (ValueError, OverflowError):
        return 0.0


def clock(text: str) -> str:
    """Returns a time in this machine's time zone: ``14:03:07``, with the date when it is not today's.

    What is no time, as servers may send it, is ``--:--:--``.
    """
    try:
        moment = parse(text).astimezone()
    except (ValueError, OverflowError):
        return "--:--:--"
    today = datetime.now().astimezone().date()
    return f"{moment:%H:%M:%S}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M:%S}"


def duration(seconds: float) -> str:
    """Returns a duration in its two largest units: ``850 ms``, ``1.3 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    index = next(index for index, (unit_s, _) in enumerate(_UNITS) if seconds >= unit_s)
    unit_s, unit = _UNITS[index]
    whole, rest_s = divmod(int(seconds), unit_s)
    if index + 1 == len(_UNITS) or rest_s < _UNITS[index + 1][0]:
        return f"{whole} {unit}"
    small_s, small = _UNITS[index + 1]
    return f"{whole} {unit} {rest_s // small_s} {small}"


def age(seconds: float) -> str:
    """Returns a duration in its largest unit alone, for narrow columns: ``0 s``, ``12 s``, ``3 min``."""
    return next((f"{int(seconds // unit_s)} {unit}" for unit_s, unit in _UNITS if seconds >= unit_s), "0 s")
