"""Removing what is old: in transactions that each do little, so that nobody who writes waits for long."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select

import clawlog_backend.live.maintenance
from clawlog_backend.backend import Backend
from clawlog_backend.domain.events import batch_event
from clawlog_backend.settings import Settings
from clawlog_backend.storage import schema
from support.engines import BOTH_ENGINES
from support.running_backend import SteerableClock

DAY_MS = 86_400_000
AT_ONCE = SETTLED_AT_ONCE = 100
TASKS, EVENTS = 60, 12_000
MOST_PAGES = 150  # in the write-ahead log at once; it grows to 1,000 where only commits move them into the file
MOST_OPERATIONS = 20_000  # of SQLite's virtual machine; a walk over the events takes three times as many


@pytest.fixture
async def backend(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Backend]:
    """One that removes nothing by itself."""
    monkeypatch.setattr(clawlog_backend.live.maintenance.Maintenance, "run", lambda _: asyncio.sleep(3_600))
    async with Backend(Settings(database=database, port=0, keep_days=2), clock=SteerableClock()) as backend:
        yield backend


def fill(connection: Connection, *, age_ms: int, tasks: int, events: int, first: int = 1) -> None:
    """Tasks of which nothing was heard for ``age_ms``; of the events, one in ten is a heartbeat."""
    at = SteerableClock()() - age_ms
    numbers = range(first, first + tasks)
    task = dict.fromkeys(("created_ms", "received_ms", "updated_ms"), at) | dict.fromkeys(
        ("steps_done", "steps_failed", "steps_started"), 0
    )
    task |= {
        "title": "T",
        "status": "done",
        "metadata": "{}",
        "steps_total": 2,
        "lost": False,
        "stop_open": False,
        "search": "",
    }
    signs = {"version": 1, "sign_ms": at, "stalled": False, "beats": 0, "last_seq": events // tasks}
    said = {"at_ms": at, "received_ms": at, "task_status": "done", "detail": "{}"}
    connection.execute(insert(schema.tasks), [task | {"n": n, "task_id": f"t{n}"} for n in numbers])
    connection.execute(insert(schema.liveness), [signs | {"task_n": n} for n in numbers])
    steps = [{"task_n": n, "position": p, "step_id": f"s{p}", "title": "S", "status": "done"} for n in numbers for p in (1, 2)]
    connection.execute(insert(schema.steps), steps)
    rows = [
        said | {"task_n": n, "seq": seq, "event_id": f"{n}-{seq}", "kind": "summary" if seq % 10 else "heartbeat"}
        for seq in range(1, events // tasks + 1) for n in numbers
    ]  # fmt: skip
    connection.execute(insert(schema.events), rows)


def numbers_of_rows(connection: Connection) -> dict[str, int]:
    tables = (schema.tasks, schema.liveness, schema.steps, schema.events)
    return {table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables}


def watch(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What each read and write from now on costs: rows changed, and operations of SQLite's machine in hundreds."""
    costs: list[tuple[int, int]] = []

    def watched(run: Callable[[Callable[[Connection], Any]], Any]) -> Callable[[Callable[[Connection], Any]], Any]:
        def within(work: Callable[[Connection], Any]) -> Any:
            def counted(connection: Connection) -> Any:
                driver: Any = connection.connection.driver_connection
                operations: list[None] = []
                driver.set_progress_handler(lambda: operations.append(None), 100)
                before = driver.total_changes
                try:
                    return work(connection)
                finally:
                    costs.append((driver.total_changes - before, len(operations)))
                    driver.set_progress_handler(None, 0)

            return run(counted)

        return within

    monkeypatch.setattr(backend.database, "read", watched(backend.database.read))
    monkeypatch.setattr(backend.database, "write", watched(backend.database.write))
    monkeypatch.setattr(backend.database, "discard", watched(backend.database.discard))
    return costs


async def test_tasks_that_fall_silent_together_are_noted_a_few_at_a_time(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, number = backend.clock().rfc3339(), 2 * SETTLED_AT_ONCE + 1
    created = ({"kind": "task_created", "event_id": f"e{n}", "task_id": f"t{n}", "at": at, "title": "T"} for n in range(number))
    await backend.writer.submit([batch_event.validate_python(event) for event in created])
    assert isinstance(backend.clock, SteerableClock)
    backend.clock.ahead_ms = 61_000
    costs = watch(backend, monkeypatch)
    await backend.maintenance.sweep()
    monkeypatch.undo()
    silent = select(func.count()).where(schema.tasks.c.no_signal_since.is_not(None))
    assert await backend.database.read(lambda c: c.execute(silent).scalar_one()) == number
    assert max(changed for changed, _ in costs) <= 2 * SETTLED_AT_ONCE + 2  # each one's two rows, and the change itself


def empty_the_log(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection  # at which no transaction was begun
    driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def bytes_of_the_log(database: str) -> int:
    return Path(f"{database}-wal").stat().st_size


async def test_no_transaction_that_removes_does_more_than_a_little(
    backend: Backend, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawlog_backend.live.maintenance, "_ROWS_AT_ONCE", (AT_ONCE, AT_ONCE))
    monkeypatch.setattr(clawlog_backend.live.maintenance, "_TASKS_WALKED_AT_ONCE", 50)
    monkeypatch.setattr(clawlog_backend.live.maintenance, "_STEPS_AT_ONCE", 40)
    await backend.database.write(lambda c: fill(c, age_ms=3 * DAY_MS, tasks=TASKS, events=EVENTS))
    await backend.database.write(lambda c: fill(c, age_ms=DAY_MS * 3 // 2, tasks=TASKS, events=EVENTS, first=TASKS + 1))
    await backend.database.read(empty_the_log)
    costs = watch(backend, monkeypatch)
    await backend.maintenance.remove_old_tasks()
    logged_bytes = bytes_of_the_log(database)
    await backend.maintenance.remove_old_heartbeats()
    await backend.maintenance.remove_old_tasks()
    monkeypatch.undo()
    left = await backend.database.read(numbers_of_rows)
    assert left == {"tasks": TASKS, "liveness": TASKS, "steps": 2 * TASKS, "events": EVENTS * 9 // 10}
    assert max(changed for changed, _ in costs) <= AT_ONCE
    assert max(operations * 100 for _, operations in costs) <= MOST_OPERATIONS
    assert logged_bytes <= MOST_PAGES * 4_120  # the most that any checkpoint had to bring to the disk at once


async def test_where_the_disk_is_slow_less_is_removed_at_once(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    async def on_a_slow_disk() -> float:
        return 9.0

    monkeypatch.setattr(clawlog_backend.live.maintenance, "_ROWS_AT_ONCE", (AT_ONCE, 2 * AT_ONCE))
    monkeypatch.setattr(clawlog_backend.live.maintenance, "_REMOVING_S", 0.05)
    monkeypatch.setattr(backend.database, "checkpoint", on_a_slow_disk)
    await backend.database.write(lambda c: fill(c, age_ms=3 * DAY_MS, tasks=TASKS, events=EVENTS // 20))
    costs = watch(backend, monkeypatch)
    await backend.maintenance.remove_old_tasks()
    assert max(changed for changed, _ in costs) <= AT_ONCE


async def test_a_checkpoint_finds_the_log_on_the_disk(backend: Backend, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[str, bool]] = []

    def sync(descriptor: int) -> None:
        synced.append(
            (str(Path(f"/proc/self/fd/{descriptor}").readlink()), threading.current_thread().name.startswith("database"))
        )

    monkeypatch.setattr(os, "fdatasync", sync)
    await backend.database.discard(lambda c: fill(c, age_ms=0, tasks=1, events=1))
    await backend.database.checkpoint()
    assert synced == [(f"{database}-wal", False)]  # while others may go on


@BOTH_ENGINES
async def test_what_is_old_is_removed_and_the_log_tells(backend: Backend) -> None:
    await backend.database.write(lambda c: fill(c, age_ms=3 * DAY_MS, tasks=3, events=300))
    await backend.database.write(lambda c: fill(c, age_ms=DAY_MS * 3 // 2, tasks=2, events=200, first=4))
    await backend.maintenance.remove_old_tasks()
    await backend.maintenance.remove_old_heartbeats()
    assert await backend.database.read(numbers_of_rows) == {"tasks": 2, "liveness": 2, "steps": 4, "events": 180}
    assert backend.log.position.seq == 1


async def test_a_task_that_was_heard_of_meanwhile_stays(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    await backend.database.write(lambda c: fill(c, age_ms=3 * DAY_MS, tasks=2, events=20))
    discard = backend.database.discard

    async def discarded_once_more(work: Callable[[Connection], Any]) -> Any:
        monkeypatch.undo()
        at = SteerableClock()().rfc3339()
        heard = {"kind": "step_status", "event_id": "heard", "task_id": "t2", "at": at, "step_id": "s1", "status": "running"}
        await backend.writer.submit([batch_event.validate_python(heard)])
        return await discard(work)

    monkeypatch.setattr(backend.database, "discard", discarded_once_more)
    await backend.maintenance.remove_old_tasks()
    left = await backend.database.read(numbers_of_rows)
    assert (left["tasks"], left["events"]) == (1, 11)
