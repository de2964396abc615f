"""Server-sent events: what changes is told, to everyone, and again after a break."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

import clawlog_backend.live.changes
import clawlog_backend.live.maintenance
import clawlog_backend.live.stream
from support.engines import BOTH_ENGINES
from support.running_backend import Api, RunningBackend, connected, event

pytestmark = BOTH_ENGINES

BEAT = {"agent_seen_at": "2026-02-28T09:00:00.000Z", "evidence": "process"}


@dataclass(frozen=True)
class Message:
    id: int
    event: str
    data: Any


class Stream:
    """One open stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.last_id = 0

    async def message(self, *, counts: bool = False) -> Message:
        """The next message; comments are passed over. Either only those that say how many tasks there are, or all but those."""
        async with asyncio.timeout(10):
            while True:
                block = (await self.response.content.readuntil(b"\n\n")).decode().strip().splitlines()
                if block[0].startswith(":"):
                    continue
                fields = dict(line.split(": ", 1) for line in block)
                if fields.keys() == {"id"}:  # how far everything is known
                    continue
                self.last_id = int(fields.get("id", self.last_id))  # an id holds until the next one (HTML standard, 9.2.6)
                message = Message(self.last_id, fields["event"], json.loads(fields["data"]))
                if (message.event == "counts") is counts:
                    return message


@asynccontextmanager
async def opened(api: Api, last_event_id: int | None = None, **query: str | list[str]) -> AsyncIterator[Stream]:
    headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
    async with api.session.get(api.url + "/api/stream", params=query, headers=headers) as response:
        assert (response.status, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        yield Stream(response)


async def test_a_change_is_told_as_the_list_shows_it(api: Api) -> None:
    async with opened(api) as stream:
        hello = await stream.message()
        assert hello.event == "hello"
        assert set(hello.data) == {"version", "server_time"}
        await api.task("t1", title="部署 \n </script>")
        created = await stream.message()
        assert created.event == "task"
        _, page = await api("GET", "/api/tasks?steps=false")
        assert created.data == page["tasks"][0]
        assert "steps" not in created.data
        await api("PATCH", "/api/tasks/t1/steps/s1", {"status": "running"})
        changed = await stream.message()
        assert (changed.data["status"], changed.id > created.id) == ("running", True)


async def test_every_reader_is_told(api: Api) -> None:
    async with opened(api) as one, opened(api) as two, opened(api) as three:
        for stream in (one, two, three):
            await stream.message()
        await api.task("t1")
        told = [await stream.message() for stream in (one, two, three)]
        assert told[0] == told[1] == told[2]


async def test_one_task_is_told_with_its_events_and_nothing_of_others(api: Api) -> None:
    await api.task("t1")
    await api.task("t2")
    async with opened(api, task_id="t1") as stream:
        assert (await stream.message()).event == "hello"
        await api("PATCH", "/api/tasks/t2/steps/s1", {"status": "running"})
        await api.events(
            event("step_status", "e1", step_id="s1", status="running"),
            event("heartbeat", "e2", **BEAT),
        )
        messages = [await stream.message() for _ in range(3)]
        assert [m.event for m in messages] == ["event", "event", "task"]
        assert [m.data["event_id"] for m in messages[:2]] == ["e1", "e2"]
        assert messages[0].data == (await api.get())["events"][1]
        assert messages[2].data["task_id"] == "t1"
        await api.events(event("heartbeat", "e3", **BEAT))
        assert (await stream.message()).event == "liveness", "the task is not sent again"
    status, problem = await api("GET", "/api/stream?task_id=none")
    assert (status, problem["code"]) == (404, "unknown_task")


async def test_signs_of_life_are_told_of_the_tasks_that_a_reader_watches_alone(api: Api) -> None:
    for name in ("seen", "unseen"):
        await api.task(name)
        await api.events(event("heartbeat", f"{name}-1", name, **BEAT))
    async with opened(api, task_ids=["seen", "no-such-task"]) as stream:
        assert (await stream.message()).event == "hello"
        now = await stream.message()
        assert (now.event, now.data["task_id"], now.data["liveness"]["state"]) == ("liveness", "seen", "alive")
        for name in ("unseen", "seen"):
            await api.events(event("heartbeat", f"{name}-2", name, summary=f"reading {name}.py", **BEAT))
        beat = await stream.message()
        assert (beat.event, beat.data["task_id"], beat.data["summary"]) == ("liveness", "seen", "reading seen.py")
        assert not beat.data.keys() & {"title", "status", "steps"}
        await api.events(event("heartbeat", "seen-3", "seen", summary="reading seen.py", **BEAT))
        beat = await stream.message()
        same = {"task_id": "seen", "liveness": {"vouched_at": beat.data["liveness"]["vouched_at"]}}
        assert beat.data == same, "what is the same is not said again, and that a heartbeat is one more goes without saying"
        await api.events(event("heartbeat", "seen-4", "seen", summary="writing", **BEAT))
        assert (await stream.message()).data.keys() == {"task_id", "summary", "liveness"}
        await api("PATCH", "/api/tasks/unseen/steps/s1", {"status": "running"})
        began = await stream.message()
        assert (began.event, began.data["task_id"]) == ("task", "unseen")
        await api("PATCH", "/api/tasks/unseen/steps/s1", {"status": "running", "summary": "more of the same"})
        await api.events(event("heartbeat", "unseen-3", "unseen", **{**BEAT, "evidence": "command"}))
        other = await stream.message()
        assert (other.event, other.data["current_step"]["summary"]) == ("task", "more of the same")


async def test_how_many_tasks_are_in_each_state_is_told_when_it_changes_and_seldom(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawlog_backend.live.changes, "_COUNTS_INTERVAL_S", 0.3)
    for name in ("works", "asks", "fails", "fails-too", "stops", "ends"):
        await api.task(name)
    await api("PATCH", "/api/tasks/asks", {"status": "waiting", "summary": "which?"})
    for name in ("fails", "fails-too"):
        await api("PATCH", f"/api/tasks/{name}", {"status": "failed"})
    await api("POST", "/api/tasks/fails/acknowledge", {})
    await api("POST", "/api/tasks/stops/interrupt", {})
    await api("PATCH", "/api/tasks/ends", {"status": "done"})
    nothing = dict.fromkeys(("lost", "stale", "interrupted"), 0)
    states = {"running": 1, "waiting": 1, "failed": 2, "stopping": 1, "done": 1, **nothing}
    async with opened(api) as stream, opened(api, task_id="works") as alone:
        first = await stream.message(counts=True)
        assert first.data == {**states, "all": 6, "active": 3, "attention": 2, "new": 1}
        await api.task("more")
        for n in range(20):
            await api("PATCH", "/api/tasks/works/steps/s1", {"status": "running", "summary": f"{n}"})
        await api.events(event("heartbeat", "b1", "more", **{**BEAT, "stalled": True}))
        told = [await stream.message(counts=True)]
        while told[-1].data["stale"] == 0:
            told.append(await stream.message(counts=True))
        assert len(told) <= 3
        assert told[-1].data == {**first.data, "stale": 1, "all": 7, "active": 4}
        for _ in range(5):
            assert b"counts" not in await alone.response.content.readuntil(b"\n\n")


async def test_counts_are_news_to_readers_who_were_told_otherwise(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clawlog_backend.live.changes, "_COUNTS_INTERVAL_S", 0.0)
    await api.task("t1")
    async with opened(api) as stream:
        await stream.message(counts=True)
        await api("PATCH", "/api/tasks/t1", {"status": "waiting", "summary": "which?"})
        while (await stream.message(counts=True)).data["waiting"] == 0:
            pass
    await api("PATCH", "/api/tasks/t1", {"status": "running"})  # nobody is told
    async with opened(api) as stream:
        assert (await stream.message(counts=True)).data["waiting"] == 0
        await api("PATCH", "/api/tasks/t1", {"status": "waiting", "summary": "which?"})
        while (await stream.message(counts=True)).data["waiting"] == 0:
            pass


async def test_what_a_reader_watches_is_bounded(api: Api) -> None:
    async with opened(api, task_ids=[f"t{n}" for n in range(200)]) as stream:
        assert (await stream.message()).event == "hello"
    too_many = "&".join(f"task_ids=t{n}" for n in range(201))
    assert (await api("GET", f"/api/stream?{too_many}"))[0] == 422


async def test_a_reader_that_comes_back_is_told_what_it_missed(api: Api) -> None:
    for n in range(4):
        await api.task(f"t{n}")
    async with opened(api) as stream:
        last = (await stream.message()).id
    await api("PATCH", "/api/tasks/t1/steps/s1", {"status": "running"})
    await api("PATCH", "/api/tasks/t3/steps/s1", {"status": "done"})
    async with opened(api, last) as stream:
        assert (await stream.message()).event == "hello"
        missed = [await stream.message() for _ in range(2)]
        assert [(m.event, m.data["task_id"], m.data["status"]) for m in missed] == [
            ("task", "t1", "running"),
            ("task", "t3", "running"),
        ]
    async with opened(api, last, task_id="t3") as stream:
        messages = [await stream.message() for _ in range(3)]
        assert [m.event for m in messages] == ["hello", "event", "task"]


async def test_a_reader_may_come_back_after_any_message_and_misses_nothing(api: Api) -> None:
    async with opened(api) as stream:
        ids = [(await stream.message()).id]
        await api.events(*(event("task_created", f"e{n}", f"t{n}", title="T") for n in range(5)))
        seen = []
        while len(seen) < 5:
            message = await stream.message()
            ids.append(message.id)
            seen.append(message.data["task_id"])
    for told, last in enumerate(ids):
        async with opened(api, last) as stream:
            await stream.message()
            await api.events(event("heartbeat", f"again-{told}", "t0", **BEAT))
            rest = set()
            while "t0" not in rest or len(rest) < 5 - told:
                rest.add((await stream.message()).data["task_id"])
            assert set(seen[told:]) <= rest | {"t0"}


async def test_ids_survive_a_restart(start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession) -> None:
    first = start_backend()
    api = Api(session, first.url)
    await api.task("t1")
    async with opened(api) as stream:
        last = (await stream.message()).id
    first.stop()
    api = Api(session, start_backend().url)
    await api.task("t2")
    async with opened(api, last) as stream:
        assert (await stream.message()).event == "hello"
        assert (await stream.message()).data["task_id"] == "t2"


@pytest.mark.parametrize("last", [10_000, 999_999_999_999])
async def test_a_place_that_cannot_be_resumed_from_is_a_reset(api: Api, last: int) -> None:
    await api.task("t1")
    async with opened(api, last) as stream:
        assert [(await stream.message()).event for _ in range(2)] == ["hello", "reset"]
        await api("PATCH", "/api/tasks/t1/steps/s1", {"status": "running"})
        assert (await stream.message()).event == "task"
    assert (await api("GET", "/api/stream", headers={"Last-Event-ID": "x"}))[0] == 422


async def test_too_much_missed_is_a_reset(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clawlog_backend.live.changes, "_RESUMABLE_TASKS", 3)
    for n in range(5):
        await api.task(f"t{n}", steps=0)
    async with opened(api, 1) as stream:
        assert [(await stream.message()).event for _ in range(2)] == ["hello", "reset"]
    async with opened(api, 2) as stream:
        assert [(await stream.message()).event for _ in range(4)] == ["hello", "task", "task", "task"]


async def test_a_silent_task_is_told_again_as_quiet_and_as_stale(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawlog_backend.live.maintenance, "_SWEEP_EVERY_S", 0.05)
    backend = start_backend()
    api = Api(session, backend.url)
    await api.task("t1")
    await api.events(event("heartbeat", "b1", **BEAT))
    async with opened(api) as stream:
        await stream.message()
        backend.clock.ahead_ms = 50_000
        quiet = await stream.message()
        assert (quiet.data["liveness"]["state"], quiet.data["status"]) == ("quiet", "pending")
        backend.clock.ahead_ms = 65_000
        assert (await stream.message()).data["status"] == "stale"


async def test_a_task_whose_last_command_grows_old_is_told_again_as_quiet(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawlog_backend.live.maintenance, "_SWEEP_EVERY_S", 0.05)
    backend = start_backend()
    api = Api(session, backend.url)
    await api.task("t1")
    spoke = {"agent_seen_at": backend.clock().rfc3339(), "evidence": "command"}
    async with opened(api) as stream:
        await stream.message()
        backend.clock.ahead_ms = 18_000
        await api.events(event("heartbeat", "b1", **spoke))
        assert (await stream.message()).data["liveness"]["state"] == "alive"
        backend.clock.ahead_ms = 22_000  # the beat is fresh, what it vouches with is not
        assert (await stream.message()).data["liveness"]["state"] == "quiet"


async def test_an_idle_stream_is_kept_alive(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clawlog_backend.live.stream, "_KEEP_ALIVE_S", 0.05)
    async with opened(api) as stream:
        await stream.message(counts=True)
        assert await stream.response.content.readuntil(b"\n\n") == b": still here\n\n"
        assert await stream.response.content.readuntil(b"\n\n") == b": still here\n\n"
        await api.task("t1")
        assert (await stream.message()).data["task_id"] == "t1"


async def test_a_flood_is_told_in_few_messages_and_ends_with_the_last_state(api: Api) -> None:
    await api.task("t1", steps=200)
    async with opened(api) as stream:
        await stream.message()
        for n in range(1, 201):
            await api.events(event("step_status", f"e{n}", step_id=f"s{n}", status="done"))
        messages = 1
        while (await stream.message()).data["progress"]["done"] < 200:
            messages += 1
        assert messages < 100


async def test_a_reader_that_fell_behind_is_told_to_reload(
    start_backend: Callable[..., RunningBackend], session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clawlog_backend.live.changes, "_FLUSH_INTERVAL_S", 0)
    monkeypatch.setattr(clawlog_backend.live.changes, "_RING_FLUSHES", 4)
    api = Api(session, start_backend().url)
    steps = [{"step_id": f"s{n}", "title": "x" * 200} for n in range(200)]
    await api("POST", "/api/tasks", {"task_id": "t1", "title": "T", "steps": steps})
    async with connected(api.url) as (reader, writer), opened(api, task_id="t1") as other:
        writer.write(b"GET /api/stream?task_id=t1 HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await reader.readuntil(b"event: hello")
        await other.message()
        for n in range(200):  # meanwhile nothing is read; this is more than the buffers between the two hold
            await api.events(event("step_status", f"e{n}", step_id="s1", status="running", summary=f"summary {n}"))
            await other.message()  # told by itself: those that change together are told together
        text = b""
        while b"event: reset" not in text:
            text += await reader.read(65_536)
        await api.events(event("step_status", "last", step_id="s1", status="done", summary="the last"))
        while b"the last" not in text:
            text += await reader.read(65_536)


async def test_open_streams_do_not_hold_up_the_end(api: Api, backend: RunningBackend) -> None:
    async with opened(api) as one, opened(api) as two:
        await one.message(counts=True)
        await two.message(counts=True)
        before = asyncio.get_running_loop().time()
        await asyncio.to_thread(backend.stop)
        assert asyncio.get_running_loop().time() - before < 2.5
        assert await one.response.content.read() == b""
