"""To a plain backend a few requests go at a time: of each task one after the other, whatever becomes of the others."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
from aiohttp import web

from clawlogd.model import Event
from clawlogd.settings import Http
from clawlogd.upstream.answers import Answer
from clawlogd.upstream.client import Upstream
from support.documents import STANDARD
from support.plain_server import PlainServer
from support.running_daemon import QUICK, RunningDaemon, until

TASKS = [f"task-{number}" for number in range(12)]
STEPS = 5


class Away:
    """A plain server that answers a while after it was asked.

    Attributes:
        told: The numbers of the steps that were reported, of each task, in order.
        most: The most requests at a time.
        doubled: Tasks of which there were two at a time.
    """

    def __init__(self) -> None:
        self.told: dict[str, list[str]] = defaultdict(list)
        self.most = 0
        self.doubled: set[str] = set()
        self._under_way: Counter[str] = Counter()
        app = web.Application()
        app.add_routes(
            [
                STANDARD,
                web.post("/api/tasks", self._create),
                web.patch("/api/tasks/{task}/steps/{step}", self._step),
                web.post("/api/tasks/{task}/heartbeat", self._beat),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=0.05)
        self.url = ""

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _take(self, task: str) -> None:
        self._under_way[task] += 1
        self.most = max(self.most, self._under_way.total())
        if self._under_way[task] > 1:
            self.doubled.add(task)
        await asyncio.sleep(0.1)  # long enough for a busy machine to send the others meanwhile
        self._under_way[task] -= 1

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        await self._take(body["task_id"])
        return web.json_response({"task_id": body["task_id"], "steps": body["steps"]}, status=201)

    async def _step(self, request: web.Request) -> web.Response:
        await self._take(request.match_info["task"])
        self.told[request.match_info["task"]].append(request.match_info["step"].rpartition("-")[2])
        return web.json_response({})

    async def _beat(self, request: web.Request) -> web.Response:
        await self._take(request.match_info["task"])
        return web.json_response({})


@pytest.fixture
async def away() -> AsyncIterator[Away]:
    server = Away()
    await server.start()
    yield server
    await server.stop()


@pytest.mark.parametrize("most", [8, 3])
async def test_several_tasks_are_told_of_at_a_time_and_each_in_order(
    new_daemon: Callable[..., RunningDaemon], away: Away, most: int
) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, http=Http(max_parallel=most)))
    await daemon.start()
    for task_id in TASKS:
        steps = [str(number) for number in range(STEPS)]
        await daemon.call("task.create", title="T", task_id=task_id, steps=steps, base_url=away.url)
        for number in range(1, STEPS + 1):
            await daemon.call("step.update", task_id=task_id, step=number, status="done")
    await daemon.flush()
    assert away.told == {task_id: [str(number) for number in range(1, STEPS + 1)] for task_id in TASKS}
    assert (away.most, away.doubled) == (most, set())


async def test_a_fault_of_the_daemons_own_at_one_task_neither_stops_nor_repeats_what_is_said_of_others(
    daemon: RunningDaemon, plain: PlainServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_it_was = Upstream.send_event
    await daemon.call("task.create", title="bad", task_id="bad", steps=["one"], base_url=plain.url)
    await daemon.flush()
    (bad,) = plain.tasks.values()

    async def failing(self: Upstream, event: Event, task_id: str, step_id: str | None) -> Answer:
        if task_id == str(bad.task_id):
            raise RuntimeError("a fault")
        return await as_it_was(self, event, task_id, step_id)

    monkeypatch.setattr(Upstream, "send_event", failing)
    await daemon.call("step.update", task_id="bad", step=1, status="done")
    for task_id in TASKS:
        await daemon.call("task.create", title=task_id, task_id=task_id, steps=["one"], base_url=plain.url)
        await daemon.call("step.update", task_id=task_id, step=1, status="done")
    await until(lambda: sum(task.steps[0].status == "done" for task in plain.tasks.values()) == len(TASKS))

    async def noted() -> bool:
        return bool((await daemon.call("daemon.status"))["faults"])

    await until(noted)
    assert bad.steps[0].status == "pending"
    monkeypatch.undo()
    await daemon.flush()
    keys = [each.key for each in plain.events]
    assert len(keys) == len(set(keys)) == 2 * (len(TASKS) + 1)
