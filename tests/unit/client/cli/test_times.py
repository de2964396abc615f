from __future__ import annotations

import pytest

from clawlog.cli.render import times


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0123, "12 ms"),
        (1.26, "1.3 s"),
        (59, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86_399, "23 h 59 min"),
        (4 * 86_400 + 3 * 3_600, "4 d 3 h"),
        (400 * 86_400, "400 d"),
    ],
)
def test_a_duration_is_shown_by_its_two_largest_units(seconds: float, shown: str) -> None:
    assert times.duration(seconds) == shown


def test_a_delay_is_the_difference_of_two_times() -> None:
    assert times.between("2026-01-02T03:04:05.678Z", "2026-01-02T03:04:06.178+00:00") == pytest.approx(0.5)


def test_an_age_is_never_negative() -> None:
    assert times.age_s("2999-01-01T00:00:00Z") == 0
    assert times.age_s("2020-01-01T00:00:00Z") > 86_400


def test_a_time_of_another_day_is_shown_with_its_date() -> None:
    assert len(times.clock("2020-06-15T12:00:00Z")) == len("2020-06-15 12:00:00")
