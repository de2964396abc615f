"""The commands that the skill gives to agents, word for word, to servers of other shapes: found out, or told by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support.daemon_process import DaemonProcess, environment
from support.foreign.running import served
from support.foreign.written import WRITTEN, Server
from support.running_daemon import until
from support.seed_calls import ACK, CHECK, HEARTBEAT, STEP_DONE, STEP_RUNNING, Shell

STEPS = ["检查本地环境", "编写配置文件", "启动并测试"]
CONTRACTS = Path(__file__).parents[2] / "support" / "foreign" / "contracts"


async def walk(name: str, server: Server, url: str, shell: Shell, daemon: DaemonProcess) -> None:
    """All that the skill says an agent does, and what a person does meanwhile."""
    created = await shell.create(url)
    task_id = shell.env["TASK_ID"]
    assert [step["title"] for step in created["steps"]] == STEPS, name
    for command in (CHECK, STEP_RUNNING, HEARTBEAT, STEP_DONE):
        ran = await shell.run(command)
        assert (ran.status, ran.stderr) == (0, ""), (name, command)
    await until(lambda: any("writing config template" in each.summaries for each in server.held.tasks.values()))
    (task,) = server.held.tasks.values()
    for stop in (1, 2):
        server.held.press_stop(task.key)
        await until((daemon.state_dir / "run" / "stop" / task_id).exists)
        assert (await shell.run(CHECK)).status == 20, name
        assert (await shell.run(ACK)).status == 0, name
        await until(lambda stop=stop: len(task.acks) == stop)
        assert (await shell.run(CHECK)).status == 0, name
        # The task goes on, and is asked about again and again: a flag that stays set is no other stop.
        await daemon.call("task.update", task_id=task_id, status="running")
        assert (await daemon.call("daemon.flush", task_id=task_id))["flushed"] is True, name
        for _ in range(3):
            state = (await daemon.call("interrupt.check", task_id=task_id, max_age_s=0))["state"]
            assert state in {"acknowledged", "none"}, name
        assert (await shell.run(CHECK)).status == 0, name
        task.stop = False
        await until(lambda: is_over(daemon, task_id))
    assert (await shell.run(STEP_DONE)).status == 0
    assert (await daemon.call("daemon.flush", task_id=task_id))["flushed"] is True
    assert task.acks == ["stopped after current step"] * 2, name
    assert (task.title, [each.title for each in task.steps]) == (
        "部署 Nginx 服务",
        ["检查本地环境", "编写配置文件", "启动并测试"],
    ), name
    assert task.steps[1].told[:2] == [
        ("running", "starting config generation"),
        ("done", "nginx.conf generated and validated"),
    ], name
    assert [each.status for each in task.steps] == ["pending", "done", "pending"], name
    assert server.held.misused == [], name


async def is_over(daemon: DaemonProcess, task_id: str) -> bool:
    """Whether the daemon has seen that the flag fell: the next is another stop."""
    return (await daemon.call("interrupt.check", task_id=task_id, max_age_s=0))["state"] == "none"


@pytest.mark.parametrize("by_hand", [False, True], ids=["nothing set", "contract by hand"])
async def test_every_call_of_the_skill_is_right_on_servers_of_other_shapes(
    new_process: Callable[..., DaemonProcess], folder: Path, by_hand: bool
) -> None:
    servers = {name: kind() for name, kind in WRITTEN.items()}
    with contextlib.ExitStack() as stack:
        urls = {name: stack.enter_context(served(server.app)) for name, server in servers.items()}
        settings = folder / "clawlog.toml"
        tables = [
            f'[[backend]]\nbase_url = "{urls[name]}"\ncontract = {json.dumps(str(CONTRACTS / f"{name}.toml"))}\n'
            for name in servers
        ]
        settings.write_text("".join(tables) if by_hand else "", encoding="utf-8")
        daemon = await new_process(CLAWLOG_CONFIG=str(settings)).start()
        env = environment(folder, CLAWLOG_SOCKET=str(daemon.socket_path), CLAWLOG_AUTOSTART="0")
        shells = [Shell(folder, dict(env)) for _ in servers]
        async with asyncio.TaskGroup() as walks:
            for (name, server), shell in zip(servers.items(), shells, strict=True):
                walks.create_task(walk(name, server, urls[name], shell, daemon))
        status = await daemon.call("daemon.status")
        assert {each["contract"] for each in status["backends"]} == {"found"}
        assert {each["dead_lettered"] for each in status["backends"]} == {0}
        assert all((".toml" in each["contract_detail"]) is by_hand for each in status["backends"])
