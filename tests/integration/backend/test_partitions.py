"""The history in partitions by day, on PostgreSQL: each event is there once, and old days go as a whole."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text

import clawlog_backend.live.maintenance
from clawlog_backend.backend import Backend
from clawlog_backend.domain.events import batch_event
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.settings import Settings
from clawlog_backend.storage import partitions
from clawlog_backend.storage.partitions import Day
from support.engines import POSTGRESQL
from support.postgres_cluster import PostgresCluster
from support.running_backend import SteerableClock

pytestmark = pytest.mark.parametrize("database", [POSTGRESQL], indirect=True)

DAY_MS = 86_400_000
TODAY = UtcMs.now() // DAY_MS


def id_of(day: int, ms: int = 0) -> str:
    """The id of an event that was made on a day: a UUID of version 7."""
    digits = f"{day * DAY_MS + ms:012x}7{uuid4().hex[13:]}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def event(event_id: str, task_id: str = "t1", **facts: Any) -> Any:
    facts = {"kind": "task_status", "status": "running"} | facts
    return batch_event.validate_python({"event_id": event_id, "task_id": task_id, "at": UtcMs.now().rfc3339()} | facts)


async def where(backend: Backend) -> dict[str, str]:
    """In which partition each event is."""
    query = text("SELECT event_id, tableoid::regclass::text FROM events")
    return await backend.database.read(lambda connection: {row[0]: row[1] for row in connection.execute(query)})


async def days(backend: Backend) -> list[int]:
    far = UtcMs((TODAY + 1_000) * DAY_MS)
    return [each.number for each in await backend.database.read(lambda c: partitions.past_days(c, before=far))]


@pytest.fixture
async def backend(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Backend]:
    """One that does nothing by itself."""
    monkeypatch.setattr(clawlog_backend.live.maintenance.Maintenance, "run", lambda _: asyncio.sleep(3_600))
    async with Backend(Settings(database=database, keep_days=30), clock=SteerableClock()) as backend:
        yield backend


async def test_an_event_is_taken_once_whatever_the_time_in_its_id(backend: Backend, database: str) -> None:
    wanted = {
        id_of(TODAY): Day(TODAY).table,
        id_of(TODAY - 1, DAY_MS - 1): Day(TODAY - 1).table,
        id_of(TODAY + 3): Day(TODAY + 3).table,
        id_of(TODAY + 900): "events_default",  # a time that is made up
        id_of(TODAY - 900): f"events_before_{Day(TODAY - 1).table[7:]}",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479": "events_after",
        "(7)": f"events_before_{Day(TODAY - 1).table[7:]}",
        "重": "events_after",
    }
    create = event("00000000-create", kind="task_created", title="T")
    assert [each.status for each in await backend.writer.submit([create, *map(event, wanted)])] == ["ok"] * 9
    found = await where(backend)
    assert {name: found[name] for name in wanted} == wanted
    async with Backend(Settings(database=database)) as other:
        for each in (backend, other):
            again = await each.writer.submit([create, *map(event, wanted)])
            assert [(outcome.status, outcome.same) for outcome in again] == [("duplicate", True)] * 9


async def test_a_new_day_takes_what_lay_elsewhere_for_want_of_it(backend: Backend) -> None:
    early, late = id_of(TODAY + 5), id_of(TODAY + 6)
    await backend.writer.submit([event("c", kind="task_created", title="T"), event(early), event(late)])
    backend.clock.ahead_ms = 2 * DAY_MS  # type: ignore[attr-defined]
    assert await backend.maintenance.add_days()
    assert await days(backend) == list(range(TODAY - 1, TODAY + 6))
    found = await where(backend)
    assert (found[early], found[late]) == (Day(TODAY + 5).table, "events_default")
    assert [each.status for each in await backend.writer.submit([event(early), event(late)])] == ["duplicate"] * 2


async def test_a_day_is_dropped_when_nothing_of_it_is_to_stay(backend: Backend) -> None:
    """Today: a task that will be old and one that goes on. Yesterday: the old one's, and heartbeats of the other."""
    created = [event(id_of(TODAY), name, kind="task_created", title="T") for name in ("old", "young")]
    beat = {"kind": "heartbeat", "agent_seen_at": UtcMs.now().rfc3339(), "evidence": "command"}
    yesterday = [event(id_of(TODAY - 1), "old"), event(id_of(TODAY - 1), "young", **beat)]
    await backend.writer.submit([*created, *yesterday])
    backend.clock.ahead_ms = 31 * DAY_MS  # type: ignore[attr-defined]
    await backend.writer.submit([event(id_of(TODAY + 1), "young", at=backend.clock().rfc3339())])
    await backend.maintenance.remove_old_days()
    await backend.maintenance.remove_old_tasks()
    assert await days(backend) == [TODAY, TODAY + 1]
    assert len(await where(backend)) == 2
    page = await backend.database.read(lambda c: c.execute(text("SELECT task_id FROM tasks")).scalars().all())
    assert page == ["young"]


async def test_nobody_waits_for_a_day_that_cannot_be_dropped_at_once(
    backend: Backend, database: str, postgres: PostgresCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawlog_backend.live.maintenance, "_DROP_ATTEMPTS", 1)
    backend.clock.ahead_ms = 10 * DAY_MS  # type: ignore[attr-defined]
    reading, read = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def read_for_long(connection: Connection) -> None:
        connection.execute(text("SELECT count(*) FROM events"))
        loop.call_soon_threadsafe(reading.set)
        asyncio.run_coroutine_threadsafe(read.wait(), loop).result()

    reader = asyncio.create_task(backend.database.read(read_for_long))
    await reading.wait()
    before = await days(backend)
    await backend.maintenance.remove_old_days()
    assert await backend.maintenance.add_days() is False
    assert await days(backend) == before
    assert (await backend.writer.submit([event("c", kind="task_created", title="T")]))[0].status == "ok"
    read.set()
    await reader
    await backend.maintenance.remove_old_days()
    assert await backend.maintenance.add_days()
    assert await days(backend) == list(range(TODAY + 9, TODAY + 14))


async def test_an_engine_without_partitions_has_one_table(
    postgres: PostgresCluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, database: str
) -> None:
    monkeypatch.setattr(partitions, "_CREATE", "CREATE TABLE events (n INT) WITHOUT PARTITIONS")
    with caplog.at_level(logging.WARNING):
        async with Backend(Settings(database=postgres.empty_database())) as backend:
            assert "has no partitions" in caplog.text
            await backend.writer.submit([event("c", kind="task_created", title="T"), event(id_of(TODAY))])
            await backend.maintenance.remove_old_days()
            assert await backend.maintenance.add_days()
            assert set((await where(backend)).values()) == {"events"}
