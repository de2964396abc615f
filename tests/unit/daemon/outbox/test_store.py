"""The outbox's file: what is committed is whole, damage is found, and numbers that are missing are counted once."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from clawlogd.errors import DuplicateEvent, StorageFailed
from clawlogd.model import Step, Task
from clawlogd.outbox.integrity import event_checksum
from clawlogd.outbox.records import CommitGroup, FirstCall, Refusal
from clawlogd.outbox.schema import CURRENT_VERSION, EventState, UnknownSchemaError
from clawlogd.outbox.store import Store
from support.events import raw_id


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "outbox.db")
    store.open()
    yield store
    store.close()


def group(*rows: tuple[int, str], lane: int = 1) -> CommitGroup:
    made = CommitGroup(cast("asyncio.Future[None]", None))  # nobody waits for it
    for seq, task_id in rows:
        body = b'{"n":%d}' % seq
        crc = event_checksum(seq, raw_id(seq), lane, task_id, seq * 1000, body)
        made.events.append((seq, raw_id(seq), lane, task_id, seq * 1000, len(body), crc, body, b"reply %d" % seq, seq))
    return made


def seqs(store: Store, *, limit: int = 100, max_bytes: int = 1 << 20) -> list[int]:
    return [each.seq for each in store.pending(1, limit, max_bytes)]


def step_rows(store: Store) -> list[bytes]:
    return sorted(body for (body,) in store.connection.execute("SELECT body FROM steps"))


def raw(tmp_path: Path, statement: str) -> None:
    connection = sqlite3.connect(tmp_path / "outbox.db")
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_group_is_there_whole_or_not_at_all(store: Store) -> None:
    store.commit(group((1, "a"), (2, "b")))
    with pytest.raises(DuplicateEvent):
        store.commit(group((3, "a"), (4, "a"), (2, "b")))
    assert seqs(store) == [1, 2]


def test_it_survives_being_closed_and_is_made_durable_at_each_commit(store: Store, tmp_path: Path) -> None:
    store.commit(group((1, "a")))
    connection = store.connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    store.close()
    again = Store(tmp_path / "outbox.db")
    again.open()
    assert seqs(again) == [1]
    again.close()


def test_a_lane_reads_its_oldest_first_without_the_tasks_it_leaves_out(store: Store) -> None:
    store.commit(group((1, "a"), (2, "b"), (3, "a"), (4, "c")))
    store.commit(group((5, "a"), lane=2))
    assert seqs(store) == [1, 2, 3, 4]
    assert seqs(store, limit=2) == [1, 2]
    assert seqs(store, max_bytes=20) == [1, 2]
    assert seqs(store, max_bytes=1) == [1]
    assert [each.seq for each in store.pending(1, 10, 1000, without={"a", "c"})] == [2]
    assert [each.seq for each in store.pending(2, 10, 1000)] == [5]
    assert [each.seq for each in store.newcomers(1, 2, {"a"}, (), 10)] == [4]
    assert store.backlog(1) == (5, frozenset({"a", "b", "c"}))
    assert (store.oldest_ms(1), store.oldest_ms(2), store.oldest_ms(3)) == (1000, 5000, None)
    assert [each.seq for each in store.pending(1, 10, 1000, only=["a", "c"])] == [1, 3, 4]
    assert store.pending(1, 10, 1000, only=["nobody"]) == store.pending(1, 10, 1000, only=[]) == []


def test_any_number_of_tasks_may_be_left_out(store: Store) -> None:
    store.commit(group((1, "t-1"), (2, "a"), (3, "t-99999")))
    assert [each.seq for each in store.pending(1, 10, 1000, without={f"t-{number}" for number in range(100_000)})] == [2]


def test_a_delivered_event_keeps_its_id_and_reply_and_loses_its_body(store: Store) -> None:
    store.commit(group((1, "a"), (2, "a")))
    moves = group()
    moves.moved[1] = EventState.SETTLED
    store.commit(moves)
    assert seqs(store) == [2]
    assert store.first_call(raw_id(1)) == FirstCall(b"reply 1", 1)
    assert store.first_call(raw_id(9)) is None
    assert store.connection.execute("SELECT body FROM events WHERE seq = 1").fetchone() == (None,)


def test_what_waits_is_counted_by_lane_state_and_task(store: Store) -> None:
    assert list(store.waiting()) == []
    store.commit(group((1, "a"), (2, "b"), (3, "a"), (4, "a"), lane=7))
    store.commit(group((5, "a"), (6, "c"), lane=-2))
    moves = group()
    moves.moved |= {3: EventState.SETTLED, 4: EventState.HELD}
    store.commit(moves)
    assert [(each.lane, each.state, each.task_id, each.count, each.size_bytes) for each in store.waiting()] == [
        (-2, EventState.PENDING, "a", 1, 7),
        (-2, EventState.PENDING, "c", 1, 7),
        (7, EventState.PENDING, "a", 1, 7),
        (7, EventState.PENDING, "b", 1, 7),
        (7, EventState.HELD, "a", 1, 7),
    ]


def test_dead_letters_bear_the_backends_answer_until_they_are_decided(store: Store) -> None:
    store.commit(group((1, "a"), (2, "a"), (3, "a")))
    moves = group()
    moves.moved |= {1: EventState.DEAD, 2: EventState.HELD}
    moves.refusals.append(Refusal(1, 422, "no such step", 5))
    store.commit(moves)
    (dead,) = store.dead()
    assert (dead.seq, dead.status, dead.reply, dead.at_ms, dead.lane) == (1, 422, "no such step", 5, 1)
    assert store.dead([raw_id(2)]) == []
    assert [each.seq for each in store.held(1, "a")] == [2]
    assert [(each.lane, each.state, each.task_id, each.count) for each in store.waiting()] == [
        (1, EventState.PENDING, "a", 1),
        (1, EventState.DEAD, "a", 1),
        (1, EventState.HELD, "a", 1),
    ]
    back = group()
    back.moved |= {1: EventState.PENDING, 2: EventState.PENDING}
    store.commit(back)
    assert (store.dead(), store.held(1, "a"), seqs(store)) == ([], [], [1, 2, 3])


@pytest.mark.parametrize(
    ("body", "creates"),
    [
        (b'{"kind":"task_created"}', True),
        (b'{"title": "T", "kind": "task_created"}', True),
        (b'{"kind":"task_status","metadata":{"kind":"task_created"}}', False),
        (b'{"kind":"agent_mood"}', False),  # of a newer version
        (b'{"kind":"task_created"', False),  # damaged
    ],
)
def test_events_are_held_behind_a_dead_letter_that_creates_their_task_alone(
    store: Store, body: bytes, *, creates: bool
) -> None:
    made = group((1, "a"))
    seq, event_id, lane, task_id, at_ms, _, crc, _, reply, identity = made.events[0]
    made.events[0] = (seq, event_id, lane, task_id, at_ms, len(body), crc, body, reply, identity)
    made.moved[1] = EventState.DEAD
    store.commit(made)
    assert store.tasks_with_dead_creation(1) == ({"a"} if creates else set())


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE events SET body = x'7b226e223a397d' WHERE seq = 2",
        "UPDATE events SET task_id = 'b' WHERE seq = 2",
        "UPDATE events SET at_ms = 1 WHERE seq = 2",
        "UPDATE events SET event_id = x'00000000000000000000000000000000' WHERE seq = 2",
        "UPDATE events SET crc = crc + 1 WHERE seq = 2",
    ],
)
def test_damage_that_sqlite_passes_over_is_found(store: Store, tmp_path: Path, damage: str) -> None:
    store.commit(group((1, "a"), (2, "a"), (3, "a")))
    store.close()
    raw(tmp_path, damage)
    store.open()
    assert store.check() is None
    assert [each.intact for each in store.pending(1, 10, 1000)] == [True, False, True]
    assert store.damaged(0, 2) == ([2], 2)
    assert store.damaged(2, 2) == ([], 3)
    assert store.damaged(3, 2) == ([], None)


def test_numbers_that_are_missing_are_counted_once(store: Store, tmp_path: Path) -> None:
    store.commit(group(*((seq, "a") for seq in range(1, 11))))
    assert (store.note_lost(10), store.lost()) == (0, 0)
    store.close()
    raw(tmp_path, "DELETE FROM events WHERE seq IN (3, 9, 10)")
    store.open()
    assert (store.note_lost(10), store.lost()) == (3, 3)
    assert (store.note_lost(10), store.lost()) == (0, 3)


def test_pruning_forgets_old_settled_events_alone_and_loses_no_count(store: Store) -> None:
    store.commit(group(*((seq, "a") for seq in range(1, 7))))
    moves = group()
    moves.moved |= dict.fromkeys((1, 2, 4, 5, 6), EventState.SETTLED)
    store.commit(moves)
    assert store.prune(before_ms=5000) == 3  # 1, 2 and 4 happened before; 3 waits
    assert store.prune(before_ms=5000) == 0
    assert store.prune(before_ms=99_000) == 1  # 5; the newest stays, it says how far the numbers have come
    assert store.last_seq() == 6
    assert store.note_lost(6) == 0
    assert store.first_call(raw_id(1)) is None
    assert store.first_call(raw_id(6)) == FirstCall(b"reply 6", 6)


def test_a_newer_schema_is_refused_and_left_alone(store: Store, tmp_path: Path) -> None:
    store.close()
    raw(tmp_path, f"PRAGMA user_version = {CURRENT_VERSION + 1}")
    with pytest.raises(UnknownSchemaError, match=f"schema version {CURRENT_VERSION + 1}"):
        Store(tmp_path / "outbox.db").open()


def test_a_write_that_fails_is_told_as_one_and_leaves_nothing(store: Store) -> None:
    store.commit(group((1, "a")))
    store.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StorageFailed, match="SQLITE_READONLY"):
        store.commit(group((2, "a")))
    store.connection.execute("PRAGMA query_only = OFF")
    store.commit(group((2, "b")))
    assert [(each.seq, each.task_id) for each in store.pending(1, 10, 1000)] == [(1, "a"), (2, "b")]


def test_task_and_step_rows_that_are_damaged_are_passed_over_and_named(store: Store, tmp_path: Path) -> None:
    rows = group()
    rows.tasks |= {task_id: Task(task_id, "T", "http://x", 0, steps=(Step("s", 1, "one"),)) for task_id in ("a", "b")}
    rows.steps |= {("a", f"s{position}"): Step(f"s{position}", position, "T") for position in (1, 2)}
    store.commit(rows)
    store.close()
    raw(tmp_path, "UPDATE tasks SET body = x'7b7d' WHERE task_id = 'a'")
    raw(tmp_path, "UPDATE steps SET step_id = 's3' WHERE step_id = 's2'")
    store.open()
    assert list(store.tasks()) == [("b", b'{"task_id":"b","title":"T","base_url":"http://x","created_ms":0}', [])]
    assert sorted(store.damaged_rows) == ["a", "a/s3"]


def test_a_task_of_which_a_step_is_damaged_is_passed_over_and_those_around_it_have_their_own_steps(
    store: Store, tmp_path: Path
) -> None:
    rows = group()
    rows.tasks |= {task_id: Task(task_id, "T", "http://x", 0) for task_id in ("a", "b", "c", "ä")}
    rows.steps |= {(task_id, "s"): Step("s", 1, task_id) for task_id in ("B", "a", "b", "ä", "zz")}  # two have no task
    store.commit(rows)
    store.close()
    raw(tmp_path, "UPDATE steps SET crc = 1 WHERE task_id IN ('b', 'zz')")
    store.open()
    titles = {task_id: [json.loads(step)["title"] for step in steps] for task_id, _, steps in store.tasks()}
    assert titles == {"a": ["a"], "c": [], "ä": ["ä"]}
    assert store.damaged_rows == ["b/s", "zz/s"]


def test_a_changed_plan_is_written_whole_or_not_at_all(store: Store) -> None:
    before = group((1, "a"))
    before.steps |= {("a", f"s{position}"): Step(f"s{position}", position, "T") for position in range(1, 201)}
    store.commit(before)
    rows = step_rows(store)
    plan = group((2, "a"), (1, "a"))  # the second is there already
    plan.steps |= {("a", f"s{position}"): Step(f"s{position}", 201 - position, "U") for position in range(1, 200)}
    plan.steps["a", "s200"] = None
    with pytest.raises(DuplicateEvent):
        store.commit(plan)
    assert (step_rows(store), store.damaged_rows) == (rows, [])
    plan.events.pop()
    store.commit(plan)
    assert (len(step_rows(store)), store.damaged_rows) == (199, [])


def test_many_rows_go_in_by_few_statements_and_none_is_left_out(store: Store) -> None:
    many = group(*((seq, f"task {seq % 7}") for seq in range(1, 1224)))
    many.steps |= {("a", f"s{position}"): Step(f"s{position}", position, "T") for position in range(1, 201)}
    statements: list[str] = []
    store.connection.set_trace_callback(statements.append)
    store.commit(many)
    store.connection.set_trace_callback(None)
    assert seqs(store, limit=2000) == list(range(1, 1224))
    assert len(step_rows(store)) == 200
    assert len(statements) < 60
