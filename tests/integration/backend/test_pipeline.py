"""Statements that are sent to PostgreSQL without waiting: what fails in the middle, and what others see meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import psycopg
import pytest
from sqlalchemy import Connection, text

from clawlog_backend.backend import Backend
from clawlog_backend.domain.events import Event, batch_event
from clawlog_backend.settings import Settings
from clawlog_backend.storage.engines.engine import Database, DatabaseError
from clawlog_backend.storage.engines.opening import make_database
from clawlog_backend.storage.pipeline import pipelined, send
from clawlog_backend.storage.unit_of_work import EventStatus
from support.postgres_cluster import PostgresCluster

pytestmark = pytest.mark.xdist_group("postgres")

AT = "2026-02-28T09:00:00Z"
WAIT_S = 10
_ADD = "UPDATE database_info SET floor_seq = floor_seq + 1"


@pytest.fixture
async def database(postgres: PostgresCluster) -> AsyncIterator[Database]:
    database = make_database(postgres.database(), pool=2)
    await database.open()
    yield database
    await database.close()


@pytest.fixture(params=[True, False], ids=["pipeline", "without"])
def supported(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether libpq knows pipelines."""
    if not request.param:
        monkeypatch.setattr(psycopg.Pipeline, "is_supported", lambda: False)
    return bool(request.param)


async def added(database: Database) -> int:
    return await database.read(lambda c: int(c.execute(text("SELECT floor_seq FROM database_info")).scalar_one()))


def wait_for_state(postgres: PostgresCluster, pid: int, state: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while (found := postgres.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", parameters=[pid])) != [(state,)]:
        assert time.monotonic() < deadline, found


def failing(connection: Connection, state: str | None) -> None:
    with pipelined(connection):
        send(connection, _ADD, ())
        if state is not None:
            send(connection, f"DO $$ BEGIN RAISE EXCEPTION 'met' USING ERRCODE = '{state}'; END $$", ())
        send(connection, _ADD, ())


@pytest.mark.usefixtures("supported")
async def test_what_met_another_in_the_middle_is_run_again_as_a_whole(database: Database) -> None:
    states = ["40001", "40P01", "23505", "42P07", None]
    await database.write(lambda connection: failing(connection, states.pop(0)))
    assert (states, await added(database)) == ([], 2)


@pytest.mark.usefixtures("supported")
async def test_the_first_error_is_told_and_nothing_of_its_transaction_is_kept(database: Database) -> None:
    with pytest.raises(DatabaseError, match=r"^cannot write to the database: met"):
        await database.write(lambda connection: failing(connection, "22012"))

    def wrong_here(connection: Connection) -> None:
        with pipelined(connection):
            send(connection, _ADD, ())
            raise LookupError

    with pytest.raises(LookupError):
        await database.write(wrong_here)
    assert await added(database) == 0
    await database.write(lambda connection: failing(connection, None))
    assert await added(database) == 2


@pytest.mark.usefixtures("supported")
async def test_a_connection_that_is_lost_in_the_middle_is_replaced_and_the_work_run_again(
    database: Database, postgres: PostgresCluster
) -> None:
    runs = []

    def work(connection: Connection) -> None:
        runs.append(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
        with pipelined(connection):
            send(connection, _ADD, ())
            if len(runs) == 1:
                postgres.execute("SELECT pg_terminate_backend(%s, 10000)", parameters=runs)
            send(connection, _ADD, ())

    await database.write(work)
    assert (len(set(runs)), await added(database)) == (2, 2)


async def test_between_its_statements_the_server_sees_an_idle_transaction_which_it_would_end(
    database: Database, postgres: PostgresCluster
) -> None:
    def work(connection: Connection) -> None:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with pipelined(connection):
            sent = send(connection, "SELECT 1 FROM pg_sleep(0.01)", ())
            wait_for_state(postgres, pid, "idle in transaction")
        assert sent.rows() == [(1,)]

    await database.write(work)


async def test_an_event_that_another_takes_meanwhile_is_a_duplicate_and_its_neighbours_are_taken_once(
    postgres: PostgresCluster,
) -> None:
    def status(number: int) -> Event:
        return batch_event.validate_python(
            {"event_id": f"e{number}", "task_id": "t", "kind": "task_status", "status": "running", "at": AT}
        )

    url = postgres.database()
    name = postgres.name(url)
    created = {"event_id": "c", "task_id": "t", "kind": "task_created", "title": "T", "at": AT}
    async with Backend(Settings(database=url)) as backend, asyncio.timeout(WAIT_S):
        await backend.writer.submit([batch_event.validate_python(created)])
        with psycopg.connect(postgres.conninfo(name)) as other:
            other.execute("INSERT INTO events VALUES (99, 1, 'e450', 'task_status', 0, 0, 'running', '{}')")
            submitted = asyncio.create_task(backend.writer.submit([status(number) for number in range(500)]))
            waits = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
            while not postgres.execute(waits, parameters=[name]):  # noqa: ASYNC110 - it is the server that waits
                await asyncio.sleep(0)
        outcomes = await submitted
    assert [n for n, outcome in enumerate(outcomes) if outcome.status is not EventStatus.OK] == [450]
    assert (outcomes[450].status, outcomes[450].same) == (EventStatus.DUPLICATE, False)
    stored = postgres.execute("SELECT event_id, seq FROM events WHERE task_n <> 99 ORDER BY seq", name)
    assert stored == [(event_id, n) for n, event_id in enumerate(["c", *(f"e{n}" for n in range(500) if n != 450)], 1)]


async def test_what_a_read_has_prepared_is_there_for_the_next(database: Database) -> None:
    def count(connection: Connection) -> int:
        return int(connection.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one())

    assert [await database.read(count) for _ in range(7)] == [0, 0, 0, 0, 0, 1, 1]  # psycopg prepares what comes a sixth time
