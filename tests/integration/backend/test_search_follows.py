"""The search follows what is written: within one process, and what was written before it began."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text

from clawlog_backend.backend import Backend
from clawlog_backend.domain.events import batch_event
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.live import search
from clawlog_backend.settings import Settings
from clawlog_backend.storage import task_list
from clawlog_backend.storage.changes import searched
from support.postgres_cluster import PostgresCluster


def settings_of(folder: Path) -> Settings:
    return Settings(database=str(folder / "backend.db"))


async def report(backend: Backend, task_id: str, **facts: Any) -> None:
    common = {"event_id": uuid4().hex, "task_id": task_id, "at": UtcMs.now().rfc3339()}
    (outcome,) = await backend.writer.submit([batch_event.validate_python(common | facts)])
    assert outcome.error is None


async def found(backend: Backend, words: str) -> list[str]:
    await backend.search.catch_up()
    query = task_list.Query(text=words)
    return await backend.database.read(lambda connection: task_list.task_ids(connection, query, now=UtcMs.now(), limit=9))


async def test_what_was_accepted_is_found_at_once_and_what_is_gone_no_longer(tmp_path: Path) -> None:
    async with Backend(settings_of(tmp_path)) as backend:
        await report(backend, "t1", kind="task_created", title="Deploy", steps=[{"step_id": "s1", "title": "Lint"}])
        assert await found(backend, "deploy") == await found(backend, "lint") == ["t1"]
        await report(backend, "t1", kind="step_status", step_id="s1", status="running", summary="reading 部署.md")
        assert await found(backend, "部署") == ["t1"]
        await report(backend, "t1", kind="step_status", step_id="s1", status="running", summary="waiting for CI")
        assert (await found(backend, "部署"), await found(backend, "for ci")) == ([], ["t1"])


@pytest.mark.parametrize("remembered", [True, False], ids=["in the log of changes", "before the log of changes begins"])
async def test_what_was_written_and_not_followed_is_found_after_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remembered: bool
) -> None:
    async with Backend(settings_of(tmp_path)) as backend:
        await report(backend, "t1", kind="task_created", title="Deploy")
        await backend.search.catch_up()
        monkeypatch.setattr(backend.search, "heard", lambda _: None)
        for begun in [task for task in backend._running if task.get_name() == "search"]:  # noqa: SLF001 - as if it had been killed
            begun.cancel()
        for n in range(3):
            await report(backend, f"later-{n}", kind="task_created", title="Left behind")
        await report(backend, "t1", kind="task_status", status="done", summary="all is well")
        upto = await backend.database.read(searched)
        assert upto < backend.log.position.seq
        if not remembered:
            await backend.database.write(lambda connection: _forget_changes(connection, upto))
    monkeypatch.undo()
    monkeypatch.setattr(search, "_CHANGES_AT_ONCE", 2)
    async with Backend(settings_of(tmp_path)) as backend:
        assert await found(backend, "left behind") == ["later-2", "later-1", "later-0"]
        assert await found(backend, "is well") == ["t1"]
        assert await backend.database.read(searched) == backend.log.position.seq


async def test_a_report_that_changes_no_text_makes_no_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[list[int]] = []
    refresh = search.refresh
    monkeypatch.setattr(search, "_FOLLOW_EVERY_S", 3_600.0)
    monkeypatch.setattr(search, "refresh", lambda connection, numbers: (made.append(numbers), refresh(connection, numbers)))
    async with Backend(settings_of(tmp_path)) as backend:
        await report(backend, "t1", kind="task_created", title="Deploy", steps=[{"step_id": "s1", "title": "Lint"}])
        for status in ("running", "done"):
            await report(backend, "t1", kind="step_status", step_id="s1", status=status, summary="all files")
            assert await found(backend, "all files") == ["t1"]
        beat = {"agent_seen_at": UtcMs.now().rfc3339(), "evidence": "process"}
        await report(backend, "t1", kind="heartbeat", **beat)
        await report(backend, "t1", kind="heartbeat", summary="nearly there", **beat)
        assert await found(backend, "nearly") == ["t1"]
    assert made == [[1], [1]]


async def test_while_others_write_it_rests_and_a_search_has_the_rest_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_AT_ONCE", 1)
    monkeypatch.setattr(search, "_FOLLOW_EVERY_S", 3_600.0)
    monkeypatch.setattr(search, "_RESTS", 10**9)
    async with Backend(settings_of(tmp_path)) as backend:
        for n in range(3):
            await report(backend, f"t{n}", kind="task_created", title="Deploy")
        assert await backend.search._follow() == 3_600  # noqa: SLF001 - what it does in the background, after one document
        assert await backend.search._follow() == 0  # noqa: SLF001 - nobody wrote meanwhile
        assert await found(backend, "deploy") == ["t2", "t1", "t0"]


def _forget_changes(connection: Connection, upto: int) -> None:
    connection.execute(text("DELETE FROM changes WHERE seq <= :upto + 1"), {"upto": upto})
    connection.execute(text("UPDATE database_info SET floor_seq = :upto + 1"), {"upto": upto})


@pytest.mark.xdist_group("postgres")
async def test_each_of_two_replicas_finds_what_either_accepted(postgres: PostgresCluster) -> None:
    settings = Settings(database=postgres.database())
    async with Backend(settings) as one, Backend(settings) as other, asyncio.timeout(30):
        for n in range(6):
            await report((one, other)[n % 2], f"t{n}", kind="task_created", title=f"Deploy 部署 {n}")
        for backend in (one, other):
            while len(await found(backend, "部署")) < 6:  # noqa: ASYNC110 - until it has heard of the other's
                await asyncio.sleep(0.02)
            assert await found(backend, "deploy 部署 3") == ["t3"]
