"""A task that is watched again over one connection is told of once: a caller cannot heap up watches."""

from __future__ import annotations

import json

from support.callers import call
from support.plain_server import PlainServer
from support.running_daemon import RunningDaemon


async def test_each_change_is_told_once_however_often_the_task_was_watched(daemon: RunningDaemon, plain: PlainServer) -> None:
    await daemon.call("task.create", title="T", task_id="t", base_url=plain.url)
    await daemon.flush()
    caller = await daemon.connect()
    for _ in range(3):
        await call(caller, "interrupt.watch", task_id="t")
    plain.ask_to_stop(plain.only_task.task_id)
    told = json.loads(await caller.receive())
    assert (told["method"], told["params"]["state"]) == ("interrupt.changed", "requested")
    assert "pid" in await call(caller, "daemon.status")  # the next message is its answer, and no second telling
