"""How a lane fills its batches, and finds the one event that a server will not take among those that it will."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import msgspec
import pytest
from aiohttp import web

from clawlogd.settings import Batch
from support.documents import STANDARD
from support.running_daemon import QUICK, RunningDaemon, until

Event = dict[str, Any]


class BatchServer:
    """A server with the batch profile, whose answer to each batch a test decides on.

    Attributes:
        batches: The batches that it took, as lists of events without beats.
        tried: The sizes of all that came, taken or not.
        answer: Called with a batch: a status to refuse it whole with, or what becomes of each event.
    """

    def __init__(self) -> None:
        self.batches: list[list[Event]] = []
        self.tried: list[int] = []
        self.answer: Callable[[list[Event]], int | list[Event]] = lambda events: [{"status": "ok"} for _ in events]
        self.largest_bytes = 0
        self.at_once = 0
        self.most_at_once = 0
        self.url = ""

    @property
    def taken(self) -> list[Event]:
        return [event for batch in self.batches for event in batch]

    async def take(self, request: web.Request) -> web.Response:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            body = await request.read()
            self.largest_bytes = max(self.largest_bytes, len(body))
            events = json.loads(body)["events"]
            self.tried.append(len(events))
            answer = self.answer(events)
            if isinstance(answer, int):
                return web.json_response({"title": "not so"}, status=answer)
            accepted = [
                event
                for event, result in zip(events, answer, strict=True)
                if result["status"] == "ok" and event["kind"] != "heartbeat"
            ]
            self.batches.append(accepted)
            return web.json_response({"results": answer})
        finally:
            self.at_once -= 1

    async def poll(self, request: web.Request) -> web.Response:
        return web.json_response({"cursor": "1", "controls": []})


@pytest.fixture
async def server() -> AsyncIterator[BatchServer]:
    server = BatchServer()
    app = web.Application(client_max_size=1 << 24)
    app.add_routes([STANDARD, web.post("/api/events", server.take), web.post("/api/control/poll", server.poll)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


async def tell(daemon: RunningDaemon, url: str, tasks: int = 8, updates: int = 4) -> None:
    """Tasks, and then updates of each in turn, as fast as they can be sent."""
    caller = await daemon.connect()
    for number in range(tasks):
        params = {"title": f"task {number}", "task_id": f"t{number}", "steps": ["one"], "base_url": url}
        await caller.send(msgspec.json.encode({"jsonrpc": "2.0", "method": "task.create", "params": params}))
    for update in range(updates):
        for number in range(tasks):
            params = {"task_id": f"t{number}", "step": 1, "status": "running", "summary": f"{number}/{update}"}
            await caller.send(msgspec.json.encode({"jsonrpc": "2.0", "method": "step.update", "params": params}))
    await caller.send(b'{"jsonrpc":"2.0","id":1,"method":"daemon.status"}')
    await caller.receive()


def told(server: BatchServer, task_id: str) -> list[str | None]:
    return [event.get("summary") for event in server.taken if event["task_id"] == task_id]


def bad(event: Event) -> bool:
    return event.get("summary") == "5/2"


@pytest.mark.parametrize("status", [400, 409, 413, 422])
async def test_a_batch_that_is_refused_whole_is_halved_until_the_one_to_blame_is_alone(
    daemon: RunningDaemon, server: BatchServer, status: int
) -> None:
    server.answer = lambda events: status if any(map(bad, events)) else [{"status": "ok"} for _ in events]
    await tell(daemon, server.url)
    flushed = await daemon.call("daemon.flush", timeout_s=20)
    assert flushed == {"flushed": False, "pending": 1}
    (letter,) = (await daemon.call("deadletter.list"))["dead_letters"]
    assert (letter["task_id"], letter["backend_status"]) == ("t5", status)
    assert "not so" in letter["backend_reply"]
    assert len(server.taken) == 8 * 5 - 1
    for number in range(8):
        expected = [None, *(f"{number}/{update}" for update in range(4) if (number, update) != (5, 2))]
        assert told(server, f"t{number}") == expected
    assert len(server.tried) < 40  # found by halving, not one by one


async def test_a_rejected_event_of_a_batch_is_a_dead_letter_with_its_code_and_its_neighbours_are_delivered(
    daemon: RunningDaemon, server: BatchServer
) -> None:
    rejected = {"status": "rejected", "code": "conflict", "detail": "not as things stand"}
    server.answer = lambda events: [rejected if bad(event) else {"status": "ok"} for event in events]
    await tell(daemon, server.url)
    await daemon.call("daemon.flush", timeout_s=20)
    (letter,) = (await daemon.call("deadletter.list"))["dead_letters"]
    assert letter["backend_reply"] == "conflict: not as things stand"
    assert told(server, "t5") == [None, "5/0", "5/1", "5/3"]
    assert len(server.taken) == 39


async def test_what_follows_a_rejected_creation_in_the_same_batch_waits_behind_it(
    daemon: RunningDaemon, server: BatchServer
) -> None:
    def only_other_tasks(events: list[Event]) -> list[Event]:
        return [{"status": "rejected", "code": "409"} if event["task_id"] == "t3" else {"status": "ok"} for event in events]

    server.answer = only_other_tasks
    await tell(daemon, server.url)
    await daemon.call("daemon.flush", timeout_s=20)
    (letter,) = (await daemon.call("deadletter.list"))["dead_letters"]
    assert (letter["kind"], letter["task_id"], letter["backend_status"], letter["waiting_behind"]) == (
        "task_created",
        "t3",
        409,
        4,
    )
    assert len(server.taken) == 35
    server.answer = lambda events: [{"status": "ok"} for _ in events]
    await daemon.call("deadletter.retry", all=True)
    await daemon.flush()
    assert told(server, "t3") == [None, "3/0", "3/1", "3/2", "3/3"]


async def test_what_the_server_has_already_counts_as_delivered(daemon: RunningDaemon, server: BatchServer) -> None:
    server.answer = lambda events: [{"status": "duplicate"} for _ in events]
    await tell(daemon, server.url)
    await daemon.flush()
    assert (await daemon.call("daemon.status"))["backends"][0]["delivered"] == 40


async def test_a_task_whose_event_makes_the_server_fail_is_set_aside_until_it_does_not(
    daemon: RunningDaemon, server: BatchServer
) -> None:
    server.answer = lambda events: 500 if any(map(bad, events)) else [{"status": "ok"} for _ in events]
    await tell(daemon, server.url)
    await until(lambda: len(server.taken) == 40 - 2, timeout_s=30)
    assert told(server, "t5") == [None, "5/0", "5/1"]
    (report,) = (await daemon.call("daemon.status"))["backends"]
    assert report["pending"] == 2
    server.answer = lambda events: [{"status": "ok"} for _ in events]
    await daemon.flush()
    assert told(server, "t5") == [None, "5/0", "5/1", "5/2", "5/3"]
    assert (await daemon.call("deadletter.list"))["dead_letters"] == []


async def test_batches_keep_their_bounds_and_one_is_on_its_way_at_a_time(
    new_daemon: Callable[..., RunningDaemon], server: BatchServer
) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, batch=Batch(min_interval_s=0.0, max_events=7, max_bytes=65_536)))
    await daemon.start()
    await tell(daemon, server.url, tasks=20, updates=5)
    await daemon.flush()
    assert max(server.tried) <= 7
    assert len(server.tried) < 40
    assert server.most_at_once == 1
    assert len(server.taken) == 120


async def test_a_batch_of_long_events_stays_below_its_bytes(
    new_daemon: Callable[..., RunningDaemon], server: BatchServer
) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, batch=Batch(min_interval_s=0.0, max_bytes=65_536)))
    await daemon.start()
    for number in range(12):
        await daemon.call("task.create", title=f"{number}", steps=["部" * 200] * 40, base_url=server.url)
    await daemon.flush()
    assert server.largest_bytes <= 65_536
    assert [event["title"] for event in server.taken] == [str(number) for number in range(12)]


@pytest.mark.parametrize("seed", range(3))
async def test_a_backlog_arrives_once_and_in_order_while_more_comes_and_the_server_has_its_moods(
    new_daemon: Callable[..., RunningDaemon], server: BatchServer, seed: int
) -> None:
    moods = Random(seed)
    rejected = {"status": "rejected", "code": "conflict", "detail": "not as things stand"}

    def answer(events: list[Event]) -> int | list[Event]:
        if moods.random() < 0.1:
            return moods.choice([429, 500, 503])
        return [rejected if bad(event) else {"status": "ok"} for event in events]

    server.answer = lambda _: 503
    daemon = new_daemon(msgspec.structs.replace(QUICK, batch=Batch(min_interval_s=0.0, max_events=16)))
    await daemon.start()
    await tell(daemon, server.url, tasks=10, updates=40)
    server.answer = answer
    await tell(daemon, server.url, tasks=12, updates=40)  # the first ten are there already
    assert not (await daemon.call("daemon.flush", timeout_s=30))["flushed"]
    (dead, again) = (await daemon.call("deadletter.list"))["dead_letters"]
    assert (dead["task_id"], again["task_id"]) == ("t5", "t5")
    sent = [event["event_id"] for event in server.taken]
    assert len(sent) == len(set(sent)) == 12 + 22 * 40 - 2
    for number in range(12):
        once = [f"{number}/{update}" for update in range(40) if (number, update) != (5, 2)]
        assert told(server, f"t{number}") == [None, *once, *(once if number < 10 else ())]
    (report,) = (await daemon.call("daemon.status"))["backends"]
    assert (report["pending"], report["delivered"]) == (0, len(sent))
