"""Numbers in sentences."""

from __future__ import annotations

import pytest

from clawlog.cli.render.counts import counted


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 events wait"), (1, "1 event waits"), (2, "2 events wait"), (12_345, "12,345 events wait")]
)
def test_one_is_told_otherwise_than_several(number: int, said: str) -> None:
    assert counted(number, "event", "wait") == said


def test_what_is_counted_may_do_nothing() -> None:
    assert [counted(number, "call") for number in (1, 2)] == ["1 call", "2 calls"]
