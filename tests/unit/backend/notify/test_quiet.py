"""Quiet hours: over midnight, by whose clock, and on the days when the clocks change."""

from __future__ import annotations

import pytest

from clawlog_backend.domain.times import UtcMs
from clawlog_backend.notify.quiet import quiet_hours


@pytest.mark.parametrize(
    ("hours", "zone", "now", "ends"),
    [
        ("22:00-07:00", "UTC", "2026-03-01T21:59:59Z", None),
        ("22:00-07:00", "UTC", "2026-03-01T22:00:00Z", "2026-03-02T07:00:00.000Z"),
        ("22:00-07:00", "UTC", "2026-03-02T06:59:59Z", "2026-03-02T07:00:00.000Z"),
        ("22:00-07:00", "UTC", "2026-03-02T07:00:00Z", None),
        ("12:30-13:00", "UTC", "2026-03-02T12:45:00Z", "2026-03-02T13:00:00.000Z"),
        ("12:30-13:00", "UTC", "2026-03-02T00:10:00Z", None),
        ("22:00-07:00", "Europe/Berlin", "2026-03-01T21:30:00Z", "2026-03-02T06:00:00.000Z"),
        # The night in which summer time begins: seven o'clock comes an hour sooner.
        ("22:00-07:00", "Europe/Berlin", "2026-03-28T21:30:00Z", "2026-03-29T05:00:00.000Z"),
        ("22:00-07:00", "Asia/Shanghai", "2026-03-01T14:00:00Z", "2026-03-01T23:00:00.000Z"),
    ],
)
def test_when_they_end(hours: str, zone: str, now: str, ends: str | None) -> None:
    found = quiet_hours(hours, zone).end_after(UtcMs.parse(now))
    assert (None if found is None else found.rfc3339()) == ends


def test_without_a_zone_they_are_by_this_machines_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        found = quiet_hours("22:00-07:00", None).end_after(UtcMs.parse("2026-03-28T21:30:00Z"))
        assert found is not None
        assert found.rfc3339() == "2026-03-29T05:00:00.000Z"
    finally:
        monkeypatch.undo()
        time.tzset()
