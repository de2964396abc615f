"""What the mixed run reads from its backends' databases is judged rightly: each kind of wrong is found in it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from faults.mixed.world import history_of, rows_of
from faults.oracle import Change, Ledger, Outcome, Verdict, judge

TASK = "t1"
SENT = (
    Change("c1 says 1 at plain", TASK, "task_created", summary="c1 says 1 at plain"),
    Change("c1 says 2 at plain", TASK, "step_status", "t1-1", "running", "c1 says 2 at plain"),
    Change("c1 says 3 at plain", TASK, "step_status", "t1-1", "done", "c1 says 3 at plain"),
    Change("c1 says 4 at plain", TASK, "task_status", None, "done", "c1 says 4 at plain"),
)


def applied(path: Path, changes: list[Change]) -> None:
    """Writes a database as a backend leaves it, with a word of the daemon's own in it."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE tasks (n INTEGER, task_id TEXT)")
        connection.execute("CREATE TABLE events (seq INTEGER, task_n INTEGER, kind TEXT, detail TEXT)")
        connection.execute("INSERT INTO tasks VALUES (1, ?)", (TASK,))
        rows: list[tuple[str, dict[str, str | None]]] = [
            (each.kind, {"step_id": each.step_id, "status": each.status, "summary": each.summary}) for each in changes
        ]
        rows.insert(1, ("agent_lost", {"summary": "no command came"}))
        for number, (kind, detail) in enumerate(rows):
            kept = json.dumps({name: value for name, value in detail.items() if value is not None})
            connection.execute("INSERT INTO events VALUES (?, 1, ?, ?)", (number, kind, kept))


def verdict_on(path: Path, changes: list[Change], place: str = "plain") -> Verdict:
    applied(path, changes)
    ledger = Ledger()
    for each in SENT:
        ledger.note(each, Outcome.ACCEPTED)
    return judge(ledger, history_of(rows_of(path), place))


def test_what_arrived_once_and_in_order_holds(tmp_path: Path) -> None:
    verdict = verdict_on(tmp_path / "db", list(SENT))
    assert (verdict.holds, verdict.accepted) == (True, 4), verdict


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (lambda all_: all_[:2] + all_[3:], "lost"),
        (lambda all_: [*all_, all_[2]], "duplicates"),
        (lambda all_: [all_[0], all_[2], all_[1], all_[3]], "disordered"),
        (lambda all_: [*all_, Change("", TASK, "task_status", None, "failed", "c1 says 5 at plain")], "unexpected"),
    ],
    ids=["dropped", "twice", "overtaken", "never sent"],
)
def test_a_wrong_history_is_found_out(tmp_path: Path, wrong: Callable[[list[Change]], list[Change]], found: str) -> None:
    verdict = verdict_on(tmp_path / "db", wrong(list(SENT)))
    assert getattr(verdict, found) >= 1, verdict
    assert not verdict.holds


def test_what_came_to_the_other_backend_is_lost_and_unexpected(tmp_path: Path) -> None:
    verdict = verdict_on(tmp_path / "db", list(SENT), place="batch")
    assert (verdict.lost, verdict.unexpected) == (4, 4)
