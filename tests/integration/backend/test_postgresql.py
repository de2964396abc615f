"""PostgreSQL as the database: what a server must be, how a password gets there, and what happens while it is away."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from clawlog_backend.main import main
from clawlog_backend.storage.engines.engine import DatabaseError
from clawlog_backend.storage.engines.opening import make_database
from clawlog_backend.storage.migrations import SCHEMA_VERSION
from support.postgres_cluster import PostgresCluster

pytestmark = pytest.mark.xdist_group("postgres")


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["--port", "0", *arguments]) == 69
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_a_server_that_may_lose_what_it_acknowledged_is_refused(
    postgres: PostgresCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres.empty_database()
    name = url.partition("@/")[2].partition("?")[0]
    postgres.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    assert "synchronous_commit off: it can lose what was acknowledged" in refusal(capsys, "--database", url)
    postgres.execute(f"CREATE DATABASE latin_{name} ENCODING 'LATIN1' TEMPLATE template0")
    assert "is in LATIN1" in refusal(capsys, "--database", postgres.url(f"latin_{name}"))
    assert "does not exist" in refusal(capsys, "--database", postgres.url("nosuch"))


def test_migrate_makes_the_tables_and_an_older_schema_is_refused_with_the_command(
    postgres: PostgresCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres.empty_database()
    name = url.partition("@/")[2].partition("?")[0]

    def said(status: int, *arguments: str) -> str:
        assert main(["migrate", *arguments, "--database", url]) == status
        return "".join(capsys.readouterr())

    assert "no tables yet" in said(0, "--check")
    assert said(0) == f"made the tables, of schema version {SCHEMA_VERSION}\n"
    assert "nothing to do" in said(0, "--check")
    postgres.execute(f"UPDATE database_info SET schema_version = {SCHEMA_VERSION - 1}", name)
    assert "run `clawlog backend migrate`" in said(1, "--check")
    assert "run `clawlog backend migrate --database URL` first" in refusal(capsys, "--database", url)
    postgres.execute("DROP TABLE followers, notifications", name)  # what version 4 added, and all that it changed
    assert said(0) == f"migrated from schema version {SCHEMA_VERSION - 1} to {SCHEMA_VERSION}\n"
    postgres.execute(f"UPDATE database_info SET schema_version = {SCHEMA_VERSION + 2}", name)
    assert "upgrade clawlog-status-sync" in refusal(capsys, "--database", url)
    assert "upgrade clawlog-status-sync" in said(69)


async def test_a_write_that_met_another_is_run_again_as_a_whole(postgres: PostgresCluster) -> None:
    database = make_database(postgres.database(), pool=2)
    await database.open()
    runs = []

    def fails_twice(connection: object) -> str:
        runs.append(1)
        connection.execute(text("UPDATE database_info SET floor_seq = floor_seq + 1"))  # type: ignore[attr-defined]
        if len(runs) < 3:
            state = ("40001", "40P01")[len(runs) - 1]
            connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'met' USING ERRCODE = '{state}'; END $$"))  # type: ignore[attr-defined]
        return "done"

    assert await database.write(fails_twice) == "done"
    assert await database.read(lambda c: c.execute(text("SELECT floor_seq FROM database_info")).scalar_one()) == 1
    with pytest.raises(DatabaseError, match="division by zero"):
        await database.write(lambda c: c.execute(text("SELECT 1 / 0")))
    with pytest.raises(DatabaseError, match="read-only transaction"):
        await database.read(lambda c: c.execute(text("UPDATE database_info SET floor_seq = 9")))
    await database.close()


async def test_connections_that_the_server_ended_are_replaced(postgres: PostgresCluster) -> None:
    url = postgres.database()
    database = make_database(url, pool=3)
    await database.open()
    name = url.partition("@/")[2].partition("?")[0]
    for work in (database.read, database.write):
        assert await work(lambda c: c.execute(text("SELECT 1")).scalar_one()) == 1
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", parameters=[name])
        assert await work(lambda c: c.execute(text("SELECT 2")).scalar_one()) == 2
    await database.close()
