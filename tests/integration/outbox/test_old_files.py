"""An outbox of each earlier schema opens and goes on: its tasks have their steps, and those can be planned anew."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clawlogd.outbox.integrity import row_checksum
from clawlogd.outbox.schema import MIGRATIONS, migrate
from support.running_daemon import RunningDaemon

DATA = Path(__file__).resolve().parents[2] / "faults" / "data"
"""Files that the versions of then wrote: never to be made anew. A task with a step that is done, one that is pending and one
that runs and has an id of its own, and a task with twelve steps; nothing of both is delivered."""


def steps_of(task: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(each["step_id"], each["position"], each["title"], each["status"], each["summary"]) for each in task["steps"]]


@pytest.mark.parametrize("version", [2, 3])
async def test_an_outbox_of_an_earlier_schema_opens_and_goes_on(new_daemon: Callable[..., RunningDaemon], version: int) -> None:
    daemon = new_daemon()
    daemon.state_dir.mkdir(mode=0o700)
    shutil.copyfile(DATA / f"outbox-v{version}.db", daemon.state_dir / "outbox.db")
    await daemon.start()
    found = (await daemon.call("daemon.status"))["outbox"]
    assert (found["lost"], found["damaged"], found["recovered_from"], found["pending"]) == (0, 0, None, 4)
    old = await daemon.call("task.get", task_id="old")
    assert (old["title"], old["metadata"]) == ("An old task – älter", {"team": "blue"})
    assert steps_of(old) == [
        ("old-1", 1, "one", "done", "well"),
        ("old-2", 2, "two", "pending", None),
        ("mine", 3, "three ✓", "running", None),
    ]
    other = await daemon.call("task.get", task_id="other")
    assert [step["title"] for step in other["steps"]] == [str(number) for number in range(12)]

    again = {"task_id": "old", "step": 1, "status": "done", "event_id": "01900000-0000-7000-8000-000000000002"}
    assert (await daemon.call("step.update", **again))["pending"] == 2
    await daemon.call("task.plan", task_id="old", steps=["new", "two"])
    await daemon.call("step.update", task_id="old", step=2, status="running")
    changed = steps_of(await daemon.call("task.get", task_id="old"))
    assert [each[0] for each in changed][1:] == ["old-2", "old-1", "mine"]
    await daemon.stop()
    await daemon.start()
    assert steps_of(await daemon.call("task.get", task_id="old")) == changed


def test_a_step_that_was_damaged_stays_so_and_takes_no_other_ones_place() -> None:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, to=3)
        assert len(MIGRATIONS) > 3
        sound = b'{"step_id":"a","position":1,"title":"one"}'
        rows = [
            ("t", 1, sound, row_checksum("t/1", sound)),
            ("t", 2, b'{"step_id":"a","position":2,"title":"flipped"}', 1),
            ("t", 3, b"\xff\x00 no JSON", row_checksum("t/3", b"\xff\x00 no JSON")),
            ("t", 4, b"", 0),
        ]
        connection.executemany("INSERT INTO steps (task_id, position, body, crc) VALUES (?, ?, ?, ?)", rows)
        migrate(connection)
        migrated = connection.execute("SELECT task_id, step_id, body, crc FROM steps ORDER BY body = ? DESC, step_id", (sound,))
        (task_id, step_id, body, crc), *others = migrated.fetchall()
        assert (task_id, step_id, body, crc) == ("t", "a", sound, row_checksum("t/a", sound))
        assert [each[1] for each in others] == ["?2", "?3", "?4"]
        assert not any(crc == row_checksum(f"{task_id}/{step_id}", body) for task_id, step_id, body, crc in others)
