"""Times as the wire has them."""

from __future__ import annotations

import time

import pytest

from clawlogd.clock import SystemClock, parse_rfc3339, rfc3339


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_772_265_600_007, "2026-02-28T08:00:00.007Z"),
        (1_772_265_599_999, "2026-02-28T07:59:59.999Z"),
        (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
    ],
)
def test_a_time_is_written_in_utc_with_milliseconds_and_read_back(ms: int, text: str) -> None:
    assert rfc3339(ms) == text
    assert parse_rfc3339(text) == ms


def test_an_offset_is_understood_and_its_absence_is_refused() -> None:
    assert parse_rfc3339("2026-02-28T16:00:00+08:00") == parse_rfc3339("2026-02-28T08:00:00Z")
    with pytest.raises(ValueError, match="names no offset"):
        parse_rfc3339("2026-02-28T08:00:00")
    with pytest.raises(ValueError, match="yesterday"):
        parse_rfc3339("yesterday")


def test_the_systems_clock_is_the_systems() -> None:
    assert abs(SystemClock().wall_ms() - time.time() * 1000) < 5000
    assert SystemClock().monotonic() <= SystemClock().monotonic()
