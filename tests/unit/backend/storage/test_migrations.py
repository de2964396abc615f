"""Databases of other versions: an older one is carried forward, a later one is left alone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from clawlog_backend.domain.times import UtcMs
from clawlog_backend.storage import migrations, queries, schema
from clawlog_backend.storage.engines.sqlite import make_engine
from clawlog_backend.storage.unit_of_work import TaskStore

VERSION_1 = Path(__file__).with_name("database-v1.sql")


@pytest.fixture
def connection(tmp_path: Path):
    path = tmp_path / "old.db"
    old = sqlite3.connect(path)
    old.executescript(VERSION_1.read_text(encoding="utf-8"))
    old.close()
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
    assert TaskStore().find_position(connection).seq == 7


def test_each_step_from_an_older_version_is_taken_once_and_in_order(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []

    def second(connection: Connection) -> None:
        taken.append(2)
        connection.execute(text("ALTER TABLE tasks ADD COLUMN colour TEXT"))

    def third(connection: Connection) -> None:
        taken.append(3)
        connection.execute(text("UPDATE tasks SET colour = 'green'"))

    steps = (*migrations.MIGRATIONS, second, third)
    monkeypatch.setattr(migrations, "MIGRATIONS", steps)
    monkeypatch.setattr(migrations, "SCHEMA_VERSION", 1 + len(steps))
    for _ in range(2):
        with connection.begin():
            migrations.migrate(connection)
    assert taken == [2, 3]
    assert connection.execute(text("SELECT DISTINCT colour FROM tasks")).scalars().all() == ["green"]


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
