"""Databases of other versions: an older one is carried forward, a later one is left alone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, inspect, text

from clawlog_backend.domain.events import batch_event
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.domain.views import AttentionFilter
from clawlog_backend.storage import followers, migrations, queries, schema, task_list
from clawlog_backend.storage.changes import find_position
from clawlog_backend.storage.engines.sqlite import make_engine
from clawlog_backend.storage.unit_of_work import TaskStore

VERSION_1 = Path(__file__).with_name("database-v1.sql")
VERSION_2 = Path(__file__).with_name("database-v2.sql")
VERSION_3 = Path(__file__).with_name("database-v3.sql")


def written(path: Path, dump: Path) -> None:
    old = sqlite3.connect(path)
    old.executescript(dump.read_text(encoding="utf-8"))
    old.close()


@pytest.fixture
def connection(tmp_path: Path):
    path = tmp_path / "old.db"
    written(path, VERSION_1)
    engine = make_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_a_database_of_the_first_version_is_still_read(connection: Connection) -> None:
    with connection.begin():
        migrations.migrate(connection)
    task = queries.task_detail(connection, "deploy-7", now=UtcMs.parse("2026-02-28T10:00:00Z"))
    assert (task.title, task.status, task.progress.done, task.progress.total) == ("部署 Nginx 服务", "interrupted", 1, 2)
    assert [event["kind"] for event in task.events] == [
        "task_created", "step_status", "step_status", "heartbeat", "interrupt_requested", "interrupt_seen", "interrupt_ack",
    ]  # fmt: skip
    assert task.stop is not None
    assert task.stop.reason == "wrong host"
    assert find_position(connection).seq == find_position(connection).floor_seq == 8


def test_each_step_from_an_older_version_is_taken_once_and_in_order(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connection.begin():
        migrations.migrate(connection)
    taken = []

    def second(connection: Connection) -> None:
        taken.append("colour")
        connection.execute(text("ALTER TABLE tasks ADD COLUMN colour TEXT"))

    def third(connection: Connection) -> None:
        taken.append("green")
        connection.execute(text("UPDATE tasks SET colour = 'green'"))

    steps = (*migrations.MIGRATIONS, second, third)
    monkeypatch.setattr(migrations, "MIGRATIONS", steps)
    monkeypatch.setattr(migrations, "SCHEMA_VERSION", 1 + len(steps))
    for _ in range(2):
        with connection.begin():
            migrations.migrate(connection)
    assert taken == ["colour", "green"]
    assert connection.execute(text("SELECT DISTINCT colour FROM tasks")).scalars().all() == ["green"]


def shape(connection: Connection) -> dict[str, object]:
    """Every table's columns and indexes."""
    found = inspect(connection)
    return {
        name: (
            sorted((c["name"], str(c["type"]), c["nullable"], c["default"]) for c in found.get_columns(name)),
            sorted(
                (i["name"], i["column_names"], i["unique"], str(i["dialect_options"].get("sqlite_where")))
                for i in found.get_indexes(name)
            ),
        )
        for name in found.get_table_names()
    }


def test_a_migrated_database_has_the_shape_of_a_new_one(connection: Connection) -> None:
    with connection.begin():
        migrations.migrate(connection)
    new = create_engine("sqlite://")
    with new.connect() as other:
        migrations.migrate(other)
        assert shape(connection) == shape(other)
    new.dispose()


def test_what_had_failed_or_was_lost_counts_as_acknowledged(connection: Connection) -> None:
    for n, (status, lost) in enumerate([("failed", 0), ("running", 1), ("failed", 1), ("running", 0), ("done", 1)], 2):
        connection.execute(
            text(
                "INSERT INTO tasks SELECT :n, 'old-' || :n, title, :status, NULL, summary, '{\"project\": \"Infra\"}', "
                "created_ms, received_ms, updated_ms, CASE :status WHEN 'running' THEN NULL ELSE 5 END, 0, 0, 0, 0, "
                "agent_seen_ms, vouched_ms, sign_ms, evidence, pid, "
                "stalled, :lost, NULL, NULL, 0, :n + 6, 0, search FROM tasks WHERE n = 1"
            ),
            {"n": n, "status": status, "lost": lost},
        )
    connection.commit()
    with connection.begin():
        migrations.migrate(connection)
    now = UtcMs.parse("2026-02-28T10:00:00Z")
    page = task_list.list_tasks(connection, now=now, limit=10)
    assert page.counts.attention == 0
    assert {task.task_id: task.attention and task.attention.reason for task in page.tasks} == {
        "deploy-7": None, "old-2": "failed", "old-3": "lost", "old-4": "failed", "old-5": None, "old-6": None,
    }  # fmt: skip
    needed = [task.attention for task in page.tasks if task.attention]
    assert all(attention.acknowledged_at == attention.since for attention in needed)
    for query, found in (
        (task_list.Query(attention=AttentionFilter.ACKNOWLEDGED), 3),
        (task_list.Query(project="Infra"), 5),
        (task_list.Query(host="build-7"), 1),
        (task_list.Query(id_suffix="oy-7"), 1),
        (task_list.Query(text="检查"), 1),
        (task_list.Query(text="LOOKING"), 1),
        (task_list.Query(text="infra"), 5),
    ):
        assert len(task_list.list_tasks(connection, query, now=now, limit=10).tasks) == found, query


def test_a_task_of_the_first_version_goes_on(connection: Connection) -> None:
    with connection.begin():
        migrations.migrate(connection)
    store = TaskStore()
    now = UtcMs.parse("2026-02-28T10:00:00Z")
    steps = [{"step_id": "start", "title": "启动", "status": "running"}, {"step_id": "new", "title": "新", "status": "pending"}]
    events = [
        batch_event.validate_python({"event_id": f"n{n}", "task_id": "deploy-7", "at": now.rfc3339()} | fields)
        for n, fields in enumerate(
            [
                {"kind": "task_status", "status": "running"},
                {"kind": "plan", "steps": steps},
                {"kind": "link", "url": "http://x"},
            ]
        )
    ]
    assert [outcome.error for outcome in store.apply(connection, events, now).outcomes] == [None] * 3
    task = queries.task_detail(connection, "deploy-7", now=now)
    assert [(step.step_id, step.position, step.title) for step in task.steps] == [("start", 1, "启动"), ("new", 2, "新")]
    assert (task.status, task.attention, [link.url for link in task.links]) == ("running", None, ["http://x"])


def test_a_step_that_fails_leaves_the_database_as_it_was(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE tasks ADD COLUMN colour TEXT"))
        connection.execute(text("UPDATE tasks SET title = 'lost'"))
        raise ZeroDivisionError

    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, failing))
    monkeypatch.setattr(migrations, "SCHEMA_VERSION", migrations.SCHEMA_VERSION + 1)
    with pytest.raises(ZeroDivisionError), connection.begin():
        migrations.migrate(connection)
    (task,) = connection.execute(text("SELECT * FROM tasks")).mappings()
    assert task["title"] == "部署 Nginx 服务"
    assert "colour" not in task


def test_a_database_of_a_later_version_is_refused(connection: Connection) -> None:
    with connection.begin():
        connection.execute(schema.database.update().values(schema_version=99))
    with pytest.raises(migrations.SchemaTooNewError, match="99"), connection.begin():
        migrations.migrate(connection)


def test_a_database_of_version_2_goes_on_where_it_was(tmp_path: Path) -> None:
    written(tmp_path / "old.db", VERSION_2)
    now = UtcMs.parse("2026-02-28T09:00:20Z")
    engine = make_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with engine.connect() as connection:
        with connection.begin():
            migrations.migrate(connection)
        position = find_position(connection)
        assert (position.seq, position.floor_seq) == (9, 9), "one more than the last event: who resumes from before reloads"
        deploy, other = (queries.task_detail(connection, name, now=now) for name in ("deploy-7", "other"))
        assert [(e["seq"], e["event_id"]) for e in deploy.events] == [(1, "e1"), (2, "e3"), (3, "e5"), (4, "e6"), (5, "e7")]
        assert [(e["seq"], e["event_id"]) for e in other.events] == [(1, "e2"), (2, "e4"), (3, "e8")]
        assert (deploy.liveness.state, deploy.liveness.pid, deploy.measure and deploy.measure.done) == ("alive", 4242, 3)
        assert (other.liveness.state, other.attention and other.attention.reason) == ("lost", "lost")
        store = TaskStore()
        beat = {"event_id": "e9", "task_id": "deploy-7", "kind": "heartbeat", "at": now.rfc3339(), "evidence": "process"}
        repeated = beat | {"event_id": "e6"}
        events = [
            batch_event.validate_python(each | {"agent_seen_at": now.rfc3339(), "pid": 4242}) for each in (beat, repeated)
        ]
        applied = store.apply(connection, events, now)
        assert [outcome.status for outcome in applied.outcomes] == ["ok", "duplicate"]
        assert applied.change is not None
        assert (applied.change.seq, dict(applied.change.events)) == (10, {1: (6, 6)})
        connection.rollback()
    engine.dispose()


def test_a_database_of_version_3_gets_tables_and_keeps_its_log(tmp_path: Path) -> None:
    written(tmp_path / "old.db", VERSION_3)
    engine = make_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with engine.connect() as connection:
        before = {name: connection.exec_driver_sql(f"SELECT * FROM {name}").all() for name in ("changes", "events", "tasks")}
        connection.rollback()
        with connection.begin():
            migrations.migrate(connection)
        assert {name: connection.exec_driver_sql(f"SELECT * FROM {name}").all() for name in before} == before
        assert (find_position(connection).seq, followers.position(connection, "any")) == (5, None)
        found = task_list.list_tasks(connection, task_list.Query(text="部署"), now=UtcMs.now(), limit=10)
        assert [task.task_id for task in found.tasks] == ["deploy-7"]
        new = create_engine("sqlite://")
        with new.connect() as other:
            migrations.migrate(other)
            assert shape(connection) == shape(other)
        new.dispose()
    engine.dispose()


@pytest.mark.parametrize("dump", [VERSION_1, VERSION_2], ids=["1", "2"])
def test_a_migration_that_fails_on_its_way_leaves_the_old_database_as_it_was(
    tmp_path: Path, dump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "old.db"
    written(path, dump)
    engine = make_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        before = list(connection.exec_driver_sql("SELECT sql FROM sqlite_master ORDER BY name"))
        events = connection.exec_driver_sql("SELECT * FROM events").all()
        connection.rollback()

        def fails(*_arguments: object) -> None:
            raise OSError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(migrations, "_start_counters", fails)  # nearly at the end of the last step
            with pytest.raises(OSError, match="full"), connection.begin():
                migrations.migrate(connection)
        assert list(connection.exec_driver_sql("SELECT sql FROM sqlite_master ORDER BY name")) == before
        assert connection.exec_driver_sql("SELECT * FROM events").all() == events
        connection.rollback()
        with connection.begin():
            migrations.migrate(connection)
    engine.dispose()
