"""Times between programs are RFC 3339; here they become what people read: ages, delays, the time of day."""

from __future__ import annotations

from datetime import UTC, datetime


def parse(text: str) -> datetime:
    """An RFC 3339 time.

    Raises:
        ValueError: It is none.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def between(earlier: str, later: str) -> float:
    """The seconds from one time to another."""
    return (parse(later) - parse(earlier)).total_seconds()


def age_s(text: str) -> float:
    """The seconds since a time; none are negative, whatever the clocks say."""
    return max(0.0, (datetime.now(UTC) - parse(text)).total_seconds())


def clock(text: str) -> str:
    """A time as the clock on this machine's wall shows it: ``14:03:07``, with the date when it is not today's."""
    moment = parse(text).astimezone()
    today = datetime.now().astimezone().date()
    return f"{moment:%H:%M:%S}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M:%S}"


def duration(seconds: float) -> str:
    """A duration with its two largest units: ``850 ms``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``, ``4 d 3 h``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    for small, large, small_name, large_name in ((1, 60, "s", "min"), (60, 3600, "min", "h"), (3600, 86400, "h", "d")):
        if seconds < large * (60 if large < 3600 else 24) or large == 86400:
            whole, rest = divmod(int(seconds), large)
            return f"{whole} {large_name} {rest // small} {small_name}" if rest // small else f"{whole} {large_name}"
    raise AssertionError("unreachable")
