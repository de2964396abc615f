"""A damaged outbox costs what was damaged and nothing more, and is said to be damaged."""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from typing import Any

import pytest

from clawlogd.outbox.integrity import Seal
from clawlogd.outbox.schema import MIGRATIONS
from support.plain_server import PlainServer
from support.running_daemon import RunningDaemon, until


def change(daemon: RunningDaemon, statement: str) -> None:
    """Changes the file of a daemon that does not run, as a bad disk might."""
    connection = sqlite3.connect(daemon.state_dir / "outbox.db")
    connection.execute(statement)
    connection.commit()
    connection.close()


async def waiting_events(daemon: RunningDaemon, plain: PlainServer) -> None:
    """A task with three updates that its backend has not, and a daemon that has ended."""
    await plain.stop()
    await daemon.call("task.create", title="T", task_id="t", steps=["one"], base_url=plain.url)
    for number in range(3):
        await daemon.call("step.update", task_id="t", step=1, status="running", summary=f"number {number}")
    await daemon.stop()


async def test_a_sealed_file_of_which_the_medium_lost_something_is_recovered_at_the_start(
    daemon: RunningDaemon, plain: PlainServer
) -> None:
    await plain.stop()
    await daemon.call("task.create", title="T", task_id="t", steps=["one"], base_url=plain.url)
    caller = await daemon.connect()
    for number in range(1500):
        params = b'{"task_id":"t","step":1,"status":"running","summary":"%d"}' % number
        await caller.send(b'{"jsonrpc":"2.0","method":"step.update","params":%s}' % params)
    await until(lambda: daemon.services.outbox.counts.waiting == 1501)
    await daemon.stop()
    path = daemon.state_dir / "outbox.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'events_waiting'").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)  # a page that each start reads
        file.write(b"\xa5" * 4096)
    Seal(path).put()  # as if neither its size nor its times had changed
    await daemon.start()
    status = await daemon.call("daemon.status")
    assert status["outbox"]["recovered_from"]
    assert status["outbox"]["pending"] == 1501


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        ("body = CAST(replace(body, 'number 1', 'number 9') AS BLOB)", "step_status"),
        ("body = x'00'", "damaged"),
        ("body = NULL", "damaged"),
    ],
    ids=["a digit", "the body", "no body"],
)
async def test_one_damaged_record_becomes_a_dead_letter_and_its_neighbours_arrive(
    daemon: RunningDaemon, plain: PlainServer, damage: str, kind: str
) -> None:
    await waiting_events(daemon, plain)
    change(daemon, f"UPDATE events SET {damage} WHERE seq = 3")
    await plain.start()
    await daemon.start()
    assert (await daemon.call("daemon.flush", timeout_s=15)) == {"flushed": False, "pending": 1}
    assert [each.body.get("summary") for each in plain.events[1:]] == ["number 0", "number 2"]
    (letter,) = (await daemon.call("deadletter.list"))["dead_letters"]
    assert letter["kind"] == kind
    assert "checksum" in letter["backend_reply"]
    assert (await daemon.call("daemon.status"))["healthy"] is False

    await daemon.stop()
    await daemon.start()  # a damaged record is no reason not to start
    assert len((await daemon.call("deadletter.drop", all=True))["dead_letters"]) == 1
    await daemon.flush()
    assert [each.body.get("summary") for each in plain.events[1:]] == ["number 0", "number 2"]


async def test_a_file_that_is_no_database_any_more_is_kept_aside_and_the_daemon_works(
    daemon: RunningDaemon, plain: PlainServer
) -> None:
    await waiting_events(daemon, plain)
    file = daemon.state_dir / "outbox.db"
    garbage = b"garbage" * 1000
    file.write_bytes(garbage)
    await plain.start()
    await daemon.start()
    status = await daemon.call("daemon.status")
    assert status["healthy"] is False
    assert status["outbox"]["lost"] == 4
    (aside,) = daemon.state_dir.glob("outbox.db.corrupt-*")
    assert status["outbox"]["recovered_from"] == str(aside)
    assert aside.read_bytes() == garbage
    said = " ".join(status["problems"])
    assert str(aside) in said
    assert "the outbox's file was damaged: 4" in said
    await daemon.call("task.create", title="New", task_id="new", base_url=plain.url)
    await daemon.call("daemon.flush", task_id="new")
    assert plain.only_task.title == "New"


async def test_a_file_that_is_older_than_it_was_is_noticed(daemon: RunningDaemon, plain: PlainServer) -> None:
    await waiting_events(daemon, plain)
    change(daemon, "DELETE FROM events WHERE seq > 2")
    await plain.start()
    await daemon.start()
    await daemon.call("daemon.flush", timeout_s=15)
    status = await daemon.call("daemon.status")
    assert status["outbox"]["lost"] == 2
    assert any(problem.endswith("the outbox's file was damaged: 2") for problem in status["problems"])
    assert [each.body.get("summary") for each in plain.events[1:]] == ["number 0"]


async def test_a_file_of_the_first_version_is_taken_over(daemon: RunningDaemon, plain: PlainServer) -> None:
    await daemon.stop()
    await _write_first_version(daemon, plain)
    await daemon.start()
    task: dict[str, Any] = await daemon.call("task.get", task_id="t")
    assert (task["title"], task["pending"], task["steps"][0]["title"]) == ("T", 1, "one")
    await daemon.flush()
    assert plain.only_task.title == "T"
    assert (await daemon.call("daemon.status"))["healthy"] is True


async def _write_first_version(daemon: RunningDaemon, plain: PlainServer) -> None:
    for path in daemon.state_dir.glob("outbox.*"):
        path.unlink()
    event_id = bytes.fromhex("01900000000070008000000000000001")
    at = "2026-02-28T08:00:00.000Z"
    body = (
        '{"event_id":"01900000-0000-7000-8000-000000000001","task_id":"t","kind":"task_created",'
        f'"at":"{at}","title":"T","steps":[{{"step_id":"t-1","title":"one"}}]}}'
    ).encode()
    crc = zlib.crc32(body, zlib.crc32(b"%d %s %d %s %d" % (1, event_id, 1, b"t", 1_772_265_600_000)))
    task = f'{{"task_id":"t","title":"T","base_url":"{plain.url}","created_ms":1772265600000,"seen_ms":1772265600000}}'
    connection = sqlite3.connect(daemon.state_dir / "outbox.db")
    connection.executescript(f"BEGIN;{MIGRATIONS[0]}PRAGMA user_version = 1;COMMIT;")
    connection.execute("INSERT INTO lanes VALUES (1, ?)", (plain.url,))
    connection.execute(
        "INSERT INTO events (seq, event_id, lane, task_id, at_ms, size, crc, body) VALUES (1, ?, 1, 't', ?, ?, ?, ?)",
        (event_id, 1_772_265_600_000, len(body), crc, body),
    )
    connection.execute("INSERT INTO tasks VALUES ('t', ?)", (task.encode(),))
    connection.execute("INSERT INTO steps VALUES ('t', 1, ?)", (b'{"step_id":"t-1","position":1,"title":"one"}',))
    connection.commit()
    connection.close()
