"""A whole daemon speaks to servers of other shapes by itself, over real HTTP."""

from __future__ import annotations

import pytest

from support.foreign.running import served
from support.foreign.written import WRITTEN
from support.running_daemon import RunningDaemon, until


@pytest.mark.parametrize("name", WRITTEN)
async def test_a_task_and_its_stop_arrive_whole(name: str, daemon: RunningDaemon) -> None:
    server = WRITTEN[name]()
    with served(server.app) as url:
        created = await daemon.call("task.create", title="部署", steps=["检查", "编写", "测试"], base_url=url)
        task_id = created["task_id"]
        await daemon.call("step.update", task_id=task_id, step=1, status="done", summary="ok")
        await daemon.call("step.update", task_id=task_id, step="编写", status="running", summary="starting")
        await daemon.call("task.heartbeat", task_id=task_id, summary="writing config template")
        await until(lambda: any("writing config template" in each.summaries for each in server.held.tasks.values()))
        (task,) = server.held.tasks.values()
        assert (await daemon.call("interrupt.check", task_id=task_id, max_age_s=0))["state"] == "none"
        server.held.press_stop(task.key)
        assert (await daemon.call("interrupt.check", task_id=task_id, wait_s=10))["state"] == "requested"
        await daemon.call("interrupt.ack", task_id=task_id, summary="stopped after current step")
        await until(lambda: task.acks == ["stopped after current step"])
        assert (await daemon.call("interrupt.check", task_id=task_id, max_age_s=0))["state"] == "acknowledged"
    assert [step.status for step in task.steps] == ["done", "running", "pending"]
    assert task.steps[0].told[-1] == ("done", "ok")
    assert server.held.misused == []
    status = await daemon.call("daemon.status")
    (lane,) = [each for each in status["backends"] if each["base_url"] == url]
    assert (lane["contract"], lane["dead_lettered"]) == ("found", 0)
