"""Upgrade and downgrade: an outbox that an old version left is taken over whole; one of a newer version is not touched."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clawlogd.outbox.schema import CURRENT_VERSION
from faults.load import connected
from faults.rig import Rig

VERSION_1 = Path(__file__).parent / "data" / "outbox-v1.db"
"""Written by the first version: never to be made anew. It holds a delivered task with one refused and one waiting event, a task
whose creation was refused with one event behind it, and a task that waits whole."""

BACKEND_THEN = "http://backend.example"


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig() as rig:
        rig.daemon.state_dir.mkdir(mode=0o700)
        yield rig


def place_version_1(rig: Rig) -> None:
    """Puts the old file in place, its backend's address replaced by that of this test's."""
    shutil.copyfile(VERSION_1, rig.daemon.outbox_path)
    with closing(sqlite3.connect(rig.daemon.outbox_path)) as old, old:
        assert old.execute("PRAGMA user_version").fetchone() == (1,)
        old.execute("UPDATE lanes SET base_url = ?", (rig.backend.base_url,))
        change = "UPDATE tasks SET body = CAST(replace(CAST(body AS TEXT), ?, ?) AS BLOB)"
        old.execute(change, (BACKEND_THEN, rig.backend.base_url))


def test_the_oldest_file_is_taken_over_whole(rig: Rig) -> None:
    place_version_1(rig)
    # What the backend was told before.
    rig.backend.accept_task("task-old", ["task-old-1", "task-old-2"])
    rig.daemon.start()
    status = rig.daemon.status()
    assert (status["outbox"]["lost"], status["outbox"]["damaged"], status["outbox"]["recovered_from"]) == (0, 0, None)
    rig.until(lambda: len(rig.backend.history) == 3, "what waited is delivered")
    assert [(change.task_id, change.kind, change.status) for change in rig.backend.history] == [
        ("task-old", "step_status", "running"),
        ("task-new", "task_created", None),
        ("task-new", "task_status", "done"),
    ]
    with connected(rig.daemon.socket_path) as connection:
        letters = connection.call("deadletter.list")["result"]["dead_letters"]
        assert [(each["task_id"], each["kind"], each["backend_status"], each["waiting_behind"]) for each in letters] == [
            ("task-old", "step_status", 422, 0),
            ("task-dead", "task_created", 422, 1),
        ]
        view = connection.call("task.get", task_id="task-old")["result"]
        assert (view["title"], view["metadata"], view["steps"][1]["title"]) == (
            "An old task – älter",
            {"team": "blue"},
            "two ✓",
        )
        # A call of then, repeated now, gets the reply of then.
        again = connection.call(
            "step.update",
            task_id="task-old",
            step=1,
            status="running",
            event_id="01900000-0000-7000-8000-000000000002",
        )
        assert again["result"] == {"accepted": True, "event_id": "01900000-0000-7000-8000-000000000002", "pending": 2}
        connection.call("deadletter.retry", all=True)
    rig.recover()
    assert [change.kind for change in rig.backend.history if change.task_id == "task-dead"] == ["task_created", "step_status"]


def test_a_damaged_old_file_is_recovered_too(rig: Rig) -> None:
    place_version_1(rig)
    with rig.daemon.outbox_path.open("r+b") as file:
        file.seek(-4096, 2)
        file.write(bytes(4096))
    rig.daemon.start()
    status = rig.daemon.status()
    assert status["outbox"]["recovered_from"] is not None
    assert not status["healthy"]


def test_a_file_of_a_newer_version_is_refused_and_not_touched(rig: Rig) -> None:
    place_version_1(rig)
    with closing(sqlite3.connect(rig.daemon.outbox_path)) as newer:
        newer.execute(f"PRAGMA user_version = {CURRENT_VERSION + 1}")
    before = rig.daemon.outbox_path.read_bytes()
    assert rig.daemon.spawn().wait(20) == 69
    assert f"schema version {CURRENT_VERSION + 1}" in rig.daemon.log_tail()
    assert "Traceback" not in rig.daemon.log_tail()
    assert rig.daemon.outbox_path.read_bytes() == before
    assert not list(rig.daemon.state_dir.glob("*.corrupt-*"))
