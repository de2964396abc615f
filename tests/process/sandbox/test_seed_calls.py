"""The scripts in a sandbox, with the daemon outside of it: the calls arrive, and a stop comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from process.sandbox.conftest import Inside
from process.scripts.conftest import Ran
from support.daemon_process import DaemonProcess
from support.running_backend import Api
from support.running_daemon import until
from support.sandbox import Sockets


@pytest.mark.parametrize("sockets", [Sockets.NO_CONNECT, Sockets.NONE])
async def test_a_whole_task_is_reported_and_stopped_from_inside(
    outside: DaemonProcess, api: Api, inside: Inside, sockets: Sockets
) -> None:
    async def run(script: str, *arguments: str, status: int = 0) -> Ran:
        ran = await asyncio.to_thread(inside, script, *arguments, sockets=sockets)
        assert (ran.status, ran.stderr) == (status, "")
        return ran

    async def arrives(**wanted: Any) -> None:
        async def has_arrived() -> bool:
            status, seen = await api("GET", f"/api/tasks/{made['task_id']}")
            found = {"status": seen["status"], "step": seen["steps"][1]["status"]} if status == 200 else {}
            return all(found.get(name) == value for name, value in wanted.items())

        await until(has_arrived, timeout_s=1.0)

    made = (await run("create_task", "--title", "部署 Nginx 服务", "--step", "检查本地环境", "--step", "编写配置文件")).json
    assert made["spooled"] is True
    task = ["--task-id", made["task_id"]]
    await run("update_status", *task, "--check-interrupt")
    await run("update_status", *task, "--step-id", "2", "--step-status", "running", "--step-summary", "starting")
    await arrives(step="running")
    await run("update_status", *task, "--heartbeat", "--heartbeat-summary", "writing config template")
    await run("update_status", *task, "--step-id", "2", "--step-status", "done")
    await arrives(step="done")

    await api("POST", f"/api/tasks/{made['task_id']}/interrupt", {"reason": 'enough "now"'})
    view = outside.state_dir / "run" / "view" / made["task_id"]
    await until(lambda: '"requested"' in view.read_text(), timeout_s=1.0)
    checked = await run("update_status", *task, "--check-interrupt", status=20)
    assert checked.json["interrupt"]["reason"] == 'enough "now"'
    await run("update_status", *task, "--ack-interrupt", "--ack-summary", "stopped after current step")
    await arrives(status="interrupted")
    told = await api.get(made["task_id"])
    stop = told["stop"]
    assert all(stop[f"{stage}_at"] for stage in ("seen", "delivered", "acknowledged")), stop
