"""For operators and people: health, metrics, the dashboard's files, and what happens by itself as time passes."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

import clawlog_backend.live.maintenance
from clawlog_backend import __version__
from clawlog_backend.storage.engines.engine import DatabaseError
from support.running_backend import Api, RunningBackend, event

BEAT = {"agent_seen_at": "2026-02-28T09:00:00.000Z", "evidence": "process"}
DAY_MS = 86_400_000


async def test_it_says_that_it_is_there_and_works(api: Api) -> None:
    assert await api("GET", "/healthz") == (200, {"status": "ok", "version": __version__})
    assert (await api("GET", "/readyz"))[0] == 200


async def test_metrics_count_what_was_done(api: Api) -> None:
    await api.task("t1", steps=1)
    beat = event("heartbeat", "b1", **BEAT)
    await api.events(beat, beat, event("heartbeat", "b2", task_id="none", **BEAT))
    await api("GET", "/api/tasks/t1")
    await api("GET", "/api/tasks/some-other-id")
    status, text = await api("GET", "/metrics")
    assert status == 200
    families = {family.name: family for family in text_string_to_metric_families(text.decode())}
    samples = {(s.name, *s.labels.values()): s.value for family in families.values() for s in family.samples}
    assert samples["clawlog_backend_events_total", "ok"] == 2
    assert samples["clawlog_backend_events_total", "duplicate"] == 1
    assert samples["clawlog_backend_events_total", "rejected"] == 1
    assert samples["clawlog_backend_http_requests_total", "GET", "/api/tasks/{task_id}", "404"] == 1
    assert samples["clawlog_backend_http_request_duration_seconds_count", "/api/events"] == 1
    assert samples["clawlog_backend_tasks", "pending"] == 1
    assert samples["clawlog_backend_streams",] == 0
    assert families["clawlog_backend_build_info"].samples[0].labels == {"version": __version__}


async def test_the_dashboard_is_served_from_the_package(api: Api) -> None:
    for path, kind in (("/", "text/html"), ("/tasks/t1", "text/html"), ("/static/main.js", "text/javascript")):
        async with api.session.get(api.url + path) as response:
            assert (response.status, response.headers["content-type"].partition(";")[0]) == (200, kind)
            assert response.headers["Cache-Control"] == "no-cache"
            tag = response.headers["ETag"]
        async with api.session.get(api.url + path, headers={"If-None-Match": tag}) as response:
            assert response.status == (304 if path.startswith("/static") else 200)
    for path in ("/static/../settings.py", "/static/%2e%2e/settings.py", "/static/none.js", "/static/"):
        async with api.session.get(api.url + path) as response:
            assert response.status == 404


async def test_what_was_accepted_is_there_after_a_restart(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession
) -> None:
    first = start_backend()
    api = Api(session, first.url)
    await api.task("t1")
    _, stop = await api("POST", "/api/tasks/t1/interrupt", {})
    _, poll = await api("POST", "/api/control/poll", {"task_ids": ["t1"]})
    before = await api.get()
    first.stop()
    api = Api(session, start_backend().url)
    assert await api.get() == before
    again = {"task_ids": ["t1"], "cursor": poll["cursor"]}
    assert (await api("POST", "/api/control/poll", again))[1] == poll | {"controls": []}
    assert (await api("POST", "/api/tasks/t1/interrupt/ack", {"interrupt_id": stop["interrupt_id"]}))[0] == 200
    assert (await api("POST", "/api/control/poll", again))[1]["controls"][0]["interrupt_requested"] is False


@pytest.mark.parametrize("come_back", [shutil.copyfile, shutil.move])
async def test_cursors_of_before_are_not_believed_once_an_earlier_copy_was_brought_back(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession, come_back: Callable[[Path, Path], object]
) -> None:
    backend = start_backend()
    await Api(session, backend.url).task("t1")
    backend.stop()
    file = Path(backend.settings.database)
    copy = file.with_name("copy")
    shutil.copyfile(file, copy)
    backend = start_backend()
    api = Api(session, backend.url)
    for number in range(10):
        await api("PATCH", "/api/tasks/t1", {"status": "running", "summary": f"{number}"})
    _, poll = await api("POST", "/api/control/poll", {"task_ids": ["t1"]})
    seq = int(poll["cursor"].rpartition("-")[2])
    backend.stop()
    come_back(copy, file)
    api = Api(session, start_backend().url)
    await api("POST", "/api/tasks/t1/interrupt", {})
    for number in range(20):  # until the numbers of before have come again
        await api("PATCH", "/api/tasks/t1", {"status": "running", "summary": f"{number}"})
    again = {"task_ids": ["t1"], "cursor": poll["cursor"]}
    _, told = await api("POST", "/api/control/poll", again)
    assert [control["interrupt_requested"] for control in told["controls"]] == [True]
    for known in (seq, seq - 5, 1):
        async with api.session.get(f"{api.url}/api/stream", headers={"Last-Event-ID": str(known)}) as stream:
            assert b"event: hello" in await stream.content.readuntil(b"\n\n")
            assert b"event: reset" in await stream.content.readuntil(b"\n\n")


async def test_what_was_there_last_is_no_copy(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession
) -> None:
    cursors = []
    for _ in range(3):
        backend = start_backend()
        cursors.append((await Api(session, backend.url)("POST", "/api/control/poll", {"task_ids": []}))[1]["cursor"])
        backend.stop()
    assert len(set(cursors)) == 1


async def test_tasks_of_which_nothing_was_heard_for_long_are_removed(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawlog_backend.live.maintenance, "_SWEEP_EVERY_S", 0.05)
    backend = start_backend(keep_days=2)
    api = Api(session, backend.url)
    for n in range(120):
        await api.task(f"old{n}", steps=2)
    await api("POST", "/api/tasks/old1/interrupt", {})
    async with session.get(api.url + "/api/stream") as stream:
        hello = await stream.content.readuntil(b"\n\n")
        backend.clock.ahead_ms = int(1.5 * DAY_MS)
        await api.task("recent")
        backend.clock.ahead_ms = int(2.5 * DAY_MS)
        text = b""
        async with asyncio.timeout(10):
            while b"event: reset" not in text:
                text += await stream.content.readuntil(b"\n\n")
    _, page = await api("GET", "/api/tasks")
    assert [task["task_id"] for task in page["tasks"]] == ["recent"]
    assert (await api("GET", "/api/tasks/old1"))[0] == 404
    last = hello.partition(b"id: ")[2].partition(b"\n")[0].decode()
    async with session.get(api.url + "/api/stream", headers={"Last-Event-ID": last}) as stream:
        assert b"event: hello" in await stream.content.readuntil(b"\n\n")
        assert b"event: reset" in await stream.content.readuntil(b"\n\n")
    backend.stop()
    with sqlite3.connect(backend.settings.database) as database:
        left = [database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("steps", "events", "interrupts")]
    database.close()
    assert left == [3, 1, 0]


async def test_old_beats_leave_the_history_and_nothing_else_does(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawlog_backend.live.maintenance, "_SWEEP_EVERY_S", 0.05)
    backend = start_backend(keep_days=0)
    api = Api(session, backend.url)
    await api.task("t1")
    await api.events(*(event("heartbeat", f"b{n}", **BEAT, pid=n + 1) for n in range(10)))
    backend.clock.ahead_ms = int(1.5 * DAY_MS)
    await api.events(event("heartbeat", "fresh", **BEAT), event("step_status", "s", step_id="s1", status="running"))

    async def kinds() -> list[str]:
        return [e["kind"] for e in (await api.get())["events"]]

    async with asyncio.timeout(10):
        while len(await kinds()) == 13:  # noqa: ASYNC110 - what is waited for happens behind HTTP
            await asyncio.sleep(0.05)
    assert (await kinds()) == ["task_created", "heartbeat", "step_status"]
    assert (await api.get())["liveness"]["vouched_at"] is not None


async def test_a_database_of_a_later_version_is_left_alone(
    start_backend: Callable[..., RunningBackend], tmp_path: Path
) -> None:
    start_backend().stop()
    with sqlite3.connect(tmp_path / "backend.db") as database:
        database.execute("UPDATE database_info SET schema_version = 99, serves_from = 99")
    database.close()
    before = (tmp_path / "backend.db").read_bytes()
    with pytest.raises(DatabaseError, match=r"schema version 99.*upgrade"):
        start_backend()
    assert (tmp_path / "backend.db").read_bytes() == before


async def test_two_backends_never_share_a_database(start_backend: Callable[..., RunningBackend]) -> None:
    start_backend()
    with pytest.raises(DatabaseError, match="in use by process"):
        start_backend()


async def test_a_full_disk_is_said_and_survived(api: Api, backend: RunningBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    await api.task("t1")
    await api("GET", "/readyz")
    pages = await backend.pragma("max_page_count = 1")
    assert pages > 1
    big = {"title": "T", "summary": "x" * 1000, "steps": [{"title": "y" * 200}] * 200}
    status, problem = 201, None
    for _ in range(20):
        status, problem = await api("POST", "/api/tasks", big)
        if status != 201:
            break
    assert (status, problem["code"]) == (503, "unavailable")
    assert (await api("GET", "/api/tasks/t1"))[0] == 200
    await backend.pragma("max_page_count = 1000000")
    assert (await api("POST", "/api/tasks", big))[0] == 201
