"""Databases of other schema versions, on both engines: an older one is migrated, a newer one is served where it may be."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, inspect

from clawlog_backend.backend import Backend
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.main import main
from clawlog_backend.settings import Settings
from clawlog_backend.storage import queries, task_list
from clawlog_backend.storage.engines.address import database_url
from clawlog_backend.storage.engines.engine import DatabaseError
from clawlog_backend.storage.migrations import SCHEMA_VERSION
from support.engines import POSTGRESQL
from support.postgres_cluster import PostgresCluster

DUMPS = Path(__file__).parents[2] / "unit" / "backend" / "storage"
LIMIT_S = 60

# The command, killed when all is done but the commit.
KILLED = """
import os, signal, sys
from clawlog_backend.main import main
from clawlog_backend.storage import migrations

def kill(connection):
    last(connection)
    os.kill(os.getpid(), signal.SIGKILL)

last = migrations.MIGRATIONS[-1]
migrations.MIGRATIONS = (*migrations.MIGRATIONS[:-1], kill)
main(["migrate", "--database", sys.argv[1]])
"""


@pytest.fixture
def old_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """One of version 3."""
    if request.param == "sqlite":
        path = tmp_path / "old.db"
        connection = sqlite3.connect(path)
        connection.executescript((DUMPS / "database-v3.sql").read_text(encoding="utf-8"))
        connection.close()
        return str(path)
    cluster: PostgresCluster = request.getfixturevalue("postgres")
    return cluster.loaded_database(DUMPS / "database-v3-postgresql.sql")


def run(database: str, work: Callable[[Connection], Any]) -> Any:
    """What a backend's work comes to."""

    async def within() -> Any:
        async with Backend(Settings(database=database)) as backend:
            return await backend.database.write(work)

    return asyncio.run(within())


def contents(database: str) -> dict[str, Any]:
    """Every table with its rows, as any program sees it."""
    engine = create_engine(database_url(database))
    with engine.connect() as connection:
        names = sorted(name for name in inspect(connection).get_table_names() if not name.startswith("trigrams"))
        found = {name: sorted(map(repr, connection.exec_driver_sql(f"SELECT * FROM {name}"))) for name in names}
    engine.dispose()
    return found


@pytest.mark.parametrize("old_database", ["sqlite", POSTGRESQL], indirect=True)
def test_a_migration_that_is_killed_leaves_the_old_database_as_it_was(old_database: str) -> None:
    before = contents(old_database)
    command = [sys.executable, "-c", KILLED, old_database]
    assert subprocess.run(command, timeout=LIMIT_S, check=False).returncode == -signal.SIGKILL
    assert contents(old_database) == before
    assert main(["migrate", "--check", "--database", old_database]) == 1
    assert main(["migrate", "--database", old_database]) == 0
    assert main(["migrate", "--check", "--database", old_database]) == 0


@pytest.mark.parametrize("old_database", [POSTGRESQL], indirect=True)
def test_a_database_of_version_3_on_postgresql_has_its_days_apart_afterwards(
    old_database: str, postgres: PostgresCluster
) -> None:
    assert main(["migrate", "--database", old_database]) == 0
    now = UtcMs.now()

    def look(connection: Connection) -> tuple[Any, Any, Any]:
        found = task_list.Query(text="部署"), task_list.Query(id_suffix="y-7")
        ids = [task_list.task_ids(connection, each, now=now, limit=9) for each in found]
        return queries.task_detail(connection, "deploy-7", now=now), queries.task_detail(connection, "backup", now=now), ids

    deploy, backup, found = run(old_database, look)
    assert [each["kind"] for each in deploy.events] == ["task_created", "step_status", "task_status"]
    assert [each["kind"] for each in backup.events] == ["task_created"]
    assert found == [["deploy-7"], ["deploy-7"]]
    assert shape(postgres, old_database) == shape(postgres, postgres.database())
    name = postgres.name(old_database)
    assert not postgres.execute("SELECT 1 FROM events_default", name)


def test_a_search_without_its_index_is_told_and_gets_it_with_the_next_migration(
    postgres: PostgresCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    database = postgres.database()
    assert main(["migrate", "--check", "--database", database]) == 0
    assert main(["migrate", "--database", database]) == 0
    assert "the search" not in capsys.readouterr().out
    postgres.execute("DROP EXTENSION pg_trgm CASCADE", postgres.name(database))  # as where it could not be made
    assert main(["migrate", "--check", "--database", database]) == 0
    assert "the search has no index, and looks at every task: `CREATE EXTENSION pg_trgm`" in capsys.readouterr().out
    assert main(["migrate", "--database", database]) == 0
    assert "the search" not in capsys.readouterr().out
    index = "SELECT 1 FROM pg_indexes WHERE indexname = 'documents_trigrams'"
    assert len(postgres.execute(index, postgres.name(database))) == 1


def shape(postgres: PostgresCluster, url: str) -> list[tuple[Any, ...]]:
    """Every column and every index of the tables that are not a day's."""
    name = postgres.name(url)
    columns = "table_name, column_name, data_type, character_maximum_length, collation_name, is_nullable, column_default"
    mine = "NOT LIKE 'events\\_%'"
    return postgres.execute(
        f"SELECT {columns} FROM information_schema.columns WHERE table_schema = 'public' AND table_name {mine} ORDER BY 1, 2",
        name,
    ) + postgres.execute(
        f"SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename {mine} ORDER BY 1", name
    )


@pytest.mark.parametrize("old_database", ["sqlite", POSTGRESQL], indirect=True)
def test_a_newer_database_is_served_where_it_says_so_and_refused_otherwise(
    old_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    database = old_database
    assert main(["migrate", "--database", database]) == 0

    def set_versions(newer: int, serves_from: int) -> None:
        statement = f"UPDATE database_info SET schema_version = {newer}, serves_from = {serves_from}"
        run(database, lambda connection: connection.exec_driver_sql(statement).rowcount)

    set_versions(SCHEMA_VERSION + 1, SCHEMA_VERSION)
    assert main(["migrate", "--check", "--database", database]) == 0
    assert f"schema version {SCHEMA_VERSION + 1} is newer than this program, which may use it" in capsys.readouterr().out
    set_versions(SCHEMA_VERSION + 1, SCHEMA_VERSION + 1)  # opens it once more, though it is newer
    with pytest.raises(DatabaseError, match=f"for programs from version {SCHEMA_VERSION + 1} on.*upgrade"):
        run(database, lambda _: None)
    assert main(["migrate", "--database", database]) == 69
    assert "upgrade clawlog-status-sync" in capsys.readouterr().err
