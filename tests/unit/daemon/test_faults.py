"""What is kept of the daemon's own faults, and for how long."""

from __future__ import annotations

import pytest

from clawlogd.faults import Faults
from support.hostile_texts import unclean
from support.sidecar import SteppedClock


def fault(text: str = "no") -> Exception:
    return ValueError(text)


def test_a_fault_is_kept_for_an_hour_and_counted(clock: SteppedClock, caplog: pytest.LogCaptureFixture) -> None:
    faults = Faults(clock)
    for _ in range(3):
        faults.note("lane", fault())
        clock.pass_(60)
    (kept,) = faults.report()
    assert (kept.part, kept.times) == ("lane", 3)
    assert kept.since < kept.last
    assert len(caplog.records) == 1
    clock.pass_(3600)
    assert faults.report() == ()


def test_another_fault_of_the_same_part_is_logged_too(clock: SteppedClock, caplog: pytest.LogCaptureFixture) -> None:
    faults = Faults(clock)
    faults.note("lane", fault())
    faults.note("lane", ZeroDivisionError())
    assert len(caplog.records) == 2


def test_whatever_an_exception_says_is_one_clean_line(clock: SteppedClock) -> None:
    faults = Faults(clock)
    detail = faults.note("lane", fault("a\nb\x1b[2J\ud800" + "x" * 10_000))
    assert unclean(detail) == []
    assert len(detail) <= 300


def test_no_more_than_a_hundred_parts_are_kept(clock: SteppedClock) -> None:
    faults = Faults(clock)
    for number in range(300):
        faults.note(f"lane {number}", fault())
    assert len(faults.report()) == 100
