"""What the parts do while the database fails: nobody waits for ever, and nothing that was missed is passed over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import clawlog_backend.live.changes
from clawlog_backend.backend import Backend
from clawlog_backend.domain.errors import Busy, Unavailable
from clawlog_backend.domain.events import InterruptRequested, TaskCreated
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.live.control import Controls, controls_json
from clawlog_backend.settings import Settings
from clawlog_backend.storage.engines.engine import DatabaseError


async def fails(*_arguments: Any) -> Any:
    raise DatabaseError("cannot read the database: disk I/O error")


async def created(backend: Backend) -> None:
    await backend.writer.submit([TaskCreated(event_id="e1", task_id="t1", at=UtcMs.now(), title="T")])


def stop(event_id: str) -> InterruptRequested:
    return InterruptRequested(event_id=event_id, task_id="t1", at=UtcMs.now())


async def poll(backend: Backend, *, cursor: str | None, wait_s: float) -> Controls:
    return controls_json.validate_json(await backend.polls.poll(frozenset({"t1"}), cursor=cursor, wait_s=wait_s))


async def eventually(found: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not found():  # noqa: ASYNC110 - what is waited for is seen from outside only
            await asyncio.sleep(0)


async def test_a_poll_whose_change_cannot_be_read_is_answered_with_its_old_cursor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Backend(Settings(database=str(tmp_path / "b.db"))) as backend:
        await created(backend)
        first = await poll(backend, cursor=None, wait_s=0)
        waiting = asyncio.create_task(poll(backend, cursor=first.cursor, wait_s=30))
        await eventually(lambda: backend.polls.waiting == 1)
        with monkeypatch.context() as patch:
            patch.setattr(backend.database, "read", fails)
            await backend.writer.submit([stop("e2")])
            answer = await waiting
        assert (answer.cursor, answer.controls) == (first.cursor, [])
        again = await poll(backend, cursor=answer.cursor, wait_s=30)
        assert [control.interrupt_requested for control in again.controls] == [True]


async def test_changes_that_cannot_be_read_reach_a_stream_once_they_can_without_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawlog_backend.live.changes, "_RETRY_S", 0)
    async with Backend(Settings(database=str(tmp_path / "b.db"))) as backend:
        await created(backend)
        everything, alone = backend.feed.subscribe(None), backend.feed.subscribe(1)
        failed = asyncio.Event()

        async def fails_and_says_so(*_arguments: Any) -> Any:
            failed.set()
            await fails()

        async with asyncio.timeout(5):
            with monkeypatch.context() as patch:
                patch.setattr(backend.database, "read", fails_and_says_so)
                for event_id in ("e2", "e3"):
                    await backend.writer.submit([stop(event_id)])
                    failed.clear()
                    await failed.wait()
                assert not everything.woken.is_set()
            await everything.woken.wait()
        told, told_alone = backend.feed.read_unread(everything), backend.feed.read_unread(alone)
        assert (told.count(b"event: task"), b"event: reset" in told + told_alone) == (1, False)
        assert [b'"event_id":"%s"' % name in told_alone for name in (b"e2", b"e3")] == [True, True]


async def test_a_write_that_fails_is_undone_in_memory_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Backend(Settings(database=str(tmp_path / "b.db"))) as backend:
        await created(backend)
        before = backend.log.position
        write = backend.database.write

        async def fails_late(work: Callable[..., Any]) -> Any:
            def run(connection: Any) -> Any:
                work(connection)
                connection.exec_driver_sql("SELECT * FROM no_such_table")

            return await write(run)

        with monkeypatch.context() as patch:
            patch.setattr(backend.database, "write", fails_late)
            with pytest.raises(Unavailable) as error:
                await backend.writer.submit([stop("e2")])
            assert error.value.retry_after_s == 5
        assert backend.log.position == before
        (outcome,) = await backend.writer.submit([stop("e2")])
        assert outcome.status == "ok"
        assert backend.log.position == replace(before, seq=before.seq + 1)


async def test_a_flood_is_refused_rather_than_hoarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawlog_backend.storage.writer._WAITING_EVENTS", 10)
    async with Backend(Settings(database=str(tmp_path / "b.db"))) as backend:
        await created(backend)
        results = await asyncio.gather(*(backend.writer.submit([stop(f"s{n}")]) for n in range(20)), return_exceptions=True)
        assert [type(result) for result in results if isinstance(result, Exception)] == [Busy] * 10
        assert backend.writer.waiting_events == 0
        assert backend.log.position.seq == 2, "the task, then all ten together"
