"""One word for each state, and how many tasks are in each, on a line that fits."""

from __future__ import annotations

import pytest

from clawlog.cli.render import states


@pytest.mark.parametrize(
    ("status", "liveness", "stopping", "word"),
    [
        ("pending", "alive", False, "Working"),
        ("running", "quiet", False, "Working"),
        ("running", "stalled", False, "No signal"),
        ("stale", "unknown", False, "No signal"),
        ("running", "stalled", True, "Stopping"),
        ("running", "lost", True, "Dead"),
        ("waiting", "waiting", False, "Needs you"),
        ("interrupted", "ended", True, "Stopped"),
        ("failed", "ended", False, "Failed"),
        ("a word of later", None, False, "a word of later"),
    ],
)
def test_one_word_says_how_a_task_is(status: str, liveness: str | None, stopping: bool, word: str) -> None:
    assert states.word(states.shown_status(status, liveness, is_stopping=stopping)) == word


def test_what_needs_a_person_is_counted_first_and_what_is_not_there_not_at_all() -> None:
    line = states.tally({"Done": 1200, "Working": 3, "Dead": 1, "Needs you": 2, "Failed": 0})
    assert list(states.painted([line], colour=False)) == ["Needs you 2 · Dead 1 │ Working 3 │ Done 1,200"]
    (painted,) = states.painted([line], colour=True)
    assert painted.startswith("\x1b[1;33mNeeds you 2\x1b[0m\x1b[2m · \x1b[0m\x1b[1;31mDead 1\x1b[0m")


def test_a_line_is_broken_between_its_pieces_and_never_within_one() -> None:
    line = states.tally(dict.fromkeys(states.ORDER, 10))
    for columns in (24, 40, 80):
        lines = list(states.painted(states.folded(line, columns), colour=False))
        assert max(map(len, lines)) <= columns
        assert [piece for each in lines for piece in each.replace("│", "·").split(" · ")] == [
            f"{name} 10" for name in (*states.ATTENTION, "Working", "Stopping", "Done", "Stopped")
        ]
    assert states.folded(line, None) == [line]
