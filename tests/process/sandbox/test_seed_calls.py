"""The scripts in a sandbox, with the daemon outside of it: the calls arrive, and a stop comes back."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
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


async def test_a_watcher_inside_is_told_of_a_stop_within_a_second(outside: DaemonProcess, api: Api, inside: Inside) -> None:
    made = (await asyncio.to_thread(inside, "create_task", "--title", "t")).json
    task = ["--task-id", made["task_id"]]
    watching = asyncio.create_task(asyncio.to_thread(inside, "poll_interrupt", *task, "--timeout", "20"))
    follower = asyncio.create_task(asyncio.to_thread(inside, "poll_interrupt", *task, "--follow", "--timeout", "3"))
    view = outside.state_dir / "run" / "view" / made["task_id"]
    await until(lambda: view.exists() and '"none"' in view.read_text())
    await api("POST", f"/api/tasks/{made['task_id']}/interrupt", {"reason": "wrong branch"})
    began = time.monotonic()
    ran = await watching
    assert (ran.status, ran.stderr, ran.json["reason"]) == (20, "", "wrong branch")
    assert time.monotonic() - began < 1.5
    followed = await follower
    assert (followed.status, followed.stderr) == (20, "")
    assert [json.loads(line)["state"] for line in followed.stdout.splitlines()][-1] == "requested"

    async def is_delivered() -> bool:
        return bool((await api.get(made["task_id"]))["stop"]["delivered_at"])

    await until(is_delivered)


@pytest.mark.parametrize("sockets", list(Sockets))
async def test_without_a_daemon_it_is_kept_and_the_next_one_delivers_it(
    new_process: Any, backend: Any, api: Api, inside: Inside, tmp: Path, sockets: Sockets
) -> None:
    made = await asyncio.to_thread(inside, "create_task", "--title", "t", "--step", "a", sockets=sockets)
    task = ["--task-id", made.json["task_id"]]
    assert (made.status, made.json["spooled"], len(made.stderr.splitlines())) == (0, True, 1)
    assert f"kept in {tmp}" in made.stderr
    for flags, status in (
        (["--step-id", "1", "--step-status", "done"], 0),
        (["--check-interrupt"], 75),
        (["--heartbeat"], 69),
        (["--task-status", "done", "--wait", "1"], 75),
    ):
        ran = await asyncio.to_thread(inside, "update_status", *task, *flags, sockets=sockets)
        assert (ran.status, len(ran.stderr.splitlines())) == (status, 1), (flags, ran)
    await new_process(CLAWLOG_BASE_URL=backend.url, TMPDIR=str(tmp)).start()

    async def has_arrived() -> bool:
        status, seen = await api("GET", f"/api/tasks/{made.json['task_id']}")
        return status == 200 and [seen["status"], seen["steps"][0]["status"]] == ["done", "done"]

    await until(has_arrived)


async def test_where_nothing_can_be_written_checks_work_and_events_are_told_to_be_lost(
    outside: DaemonProcess, api: Api, inside: Inside
) -> None:
    made = (await asyncio.to_thread(inside, "create_task", "--title", "t")).json
    task = ["--task-id", made["task_id"]]
    view = outside.state_dir / "run" / "view" / made["task_id"]
    await until(lambda: view.exists() and '"none"' in view.read_text())
    for sockets in (Sockets.NO_CONNECT, Sockets.NONE):
        checked = await asyncio.to_thread(inside, "update_status", *task, "--check-interrupt", sockets=sockets, writable=[])
        assert (checked.status, checked.stderr, checked.json["interrupt"]["state"]) == (0, "", "none")
        flags = ["--step-id", "1", "--step-status", "done"]
        ran = await asyncio.to_thread(inside, "update_status", *task, *flags, sockets=sockets, writable=[])
        (line,) = ran.stderr.splitlines()
        assert ran.status == 69
        assert "sandbox" in line and "CLAWLOG_DROP" in line, line  # noqa: PT018 - one sentence


async def test_a_process_id_of_the_sandbox_is_no_evidence_and_that_is_said_once(
    outside: DaemonProcess, api: Api, inside: Inside
) -> None:
    made = (await asyncio.to_thread(inside, "create_task", "--title", "t", "--watch-pid", "1")).json
    second = (await asyncio.to_thread(inside, "create_task", "--title", "t", "--watch-pid", "1")).json

    async def is_known() -> bool:
        return {made["task_id"], second["task_id"]} <= {each["task_id"] for each in (await outside.call("task.list"))["tasks"]}

    await until(is_known)
    assert (await outside.call("task.get", task_id=made["task_id"]))["liveness"]["watch_pid"] is None
    assert outside.log.count("watch_pid_ignored") == 1
