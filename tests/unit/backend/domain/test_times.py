"""Instants: read strictly, written in one form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawlog_backend.domain.times import UtcMs

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31), timezones=ZONES))
def test_any_instant_is_read_to_the_millisecond_and_written_in_utc(at: datetime) -> None:
    read = UtcMs.parse(at.isoformat(timespec="microseconds"))
    expected = at.astimezone(UTC)
    assert read.rfc3339() == expected.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert UtcMs.parse(read.rfc3339()) == read


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-02-28T09:30:00Z", "2026-02-28T09:30:00.000Z"),
        ("2026-02-28t09:30:00.5z", "2026-02-28T09:30:00.500Z"),
        ("2026-02-28 09:30:00.123456789+08:00", "2026-02-28T01:30:00.123Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999Z"),
        ("1969-12-31T23:59:59.999-00:00", "1969-12-31T23:59:59.999Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
    ],
)
def test_the_forms_of_rfc_3339_are_read(text: str, written: str) -> None:
    assert UtcMs.parse(text).rfc3339() == written


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026-02-28", "2026-02-28T09:30Z", "2026-02-28T09:30:00", "2026-02-30T00:00:00Z", "2026-02-28T24:00:00Z",
        "2026-02-28T09:30:61Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2026-02-28T09:30:00+25:00",
        "２０２６-02-28T09:30:00Z", "2026-02-28T09:30:00Z\n", "2026-02-28T09:30:00." + "1" * 60 + "Z",
        1_700_000_000, None, True,
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"RFC 3339|exists"):
        UtcMs.parse(text)
