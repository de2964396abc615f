"""A server without the batch routes is served by the plain ones, and asked again later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from clawlogd.settings import Poll
from support.backend_process import BackendProcess
from support.plain_server import PlainServer
from support.running_backend import Api
from support.running_daemon import QUICK, RunningDaemon, until


def batch_tries(plain: PlainServer) -> int:
    return sum(each.path == "/api/events" for each in plain.requests)


async def profile(daemon: RunningDaemon) -> Any:
    return (await daemon.call("daemon.status"))["backends"][0]["profile"]


async def test_the_batch_route_is_tried_once_and_then_left_alone(daemon: RunningDaemon, plain: PlainServer) -> None:
    await daemon.call("task.create", title="T", task_id="t", steps=["one"], base_url=plain.url)
    await plain.until_events(1)
    for status in ("running", "done", "running", "done"):
        await daemon.call("step.update", task_id="t", step=1, status=status)
    await plain.until_events(5)
    assert batch_tries(plain) == 1
    assert await profile(daemon) == "plain"
    assert [each.body.get("status") for each in plain.events[1:]] == ["running", "done", "running", "done"]


async def test_the_batch_routes_are_asked_for_again_later(new_daemon: Any, plain: PlainServer) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, poll=Poll(interval_s=0.1, recheck_batch_s=0.2)))
    await daemon.start()
    await daemon.call("task.create", title="T", task_id="t", steps=["one"], base_url=plain.url)
    await plain.until_events(1)
    before = batch_tries(plain)
    polls = sum(each.path == "/api/control/poll" for each in plain.requests)
    await plain.until(lambda: sum(each.path == "/api/control/poll" for each in plain.requests) >= polls + 2)
    await daemon.call("step.update", task_id="t", step=1, status="running")
    await plain.until_events(2)
    assert batch_tries(plain) == before + 1
    assert [each.method for each in plain.events] == ["POST", "PATCH"]


async def test_a_server_that_gains_the_batch_routes_is_served_by_them(
    new_daemon: Any, plain: PlainServer, start_backend: Any, session: Any, tmp_path: Path
) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, poll=Poll(interval_s=0.1, recheck_batch_s=0.2)))
    await daemon.start()
    await daemon.call("task.create", title="Before", task_id="before", base_url=plain.url)
    await plain.until_events(1)
    await until(lambda: profile(daemon))
    await plain.stop()
    upgraded = BackendProcess(tmp_path)
    upgraded.port = int(plain.url.rpartition(":")[2])
    try:
        upgraded.start()
        await daemon.call("task.create", title="After", task_id="after", steps=["one"], base_url=plain.url)
        await daemon.call("step.update", task_id="after", step=1, status="running")
        assert (await daemon.call("daemon.flush", task_id="after"))["flushed"] is True
        assert await profile(daemon) == "batch"
        assert [step["status"] for step in (await Api(session, upgraded.url).get("after"))["steps"]] == ["running"]
    finally:
        upgraded.stop()


async def test_everything_that_waits_goes_in_few_requests_where_the_batch_route_is(
    daemon: RunningDaemon, embedded: BackendProcess, api: Api
) -> None:
    caller = await daemon.connect()
    await daemon.call("task.create", title="Many", task_id="many", steps=["one"], base_url=embedded.url)
    update = {"task_id": "many", "step": 1, "status": "running"}
    for number in range(500):
        request = {"jsonrpc": "2.0", "method": "step.update", "params": {**update, "summary": f"number {number}"}}
        await caller.send(msgspec.json.encode(request))
    await caller.send(b'{"jsonrpc":"2.0","id":1,"method":"daemon.flush"}')
    assert b'"flushed":true' in await caller.receive()
    seen = await api.get("many")
    assert seen["steps"][0]["summary"] == "number 499"
    assert (await daemon.call("daemon.status"))["backends"][0]["delivered"] == 501
