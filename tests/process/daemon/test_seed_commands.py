"""The commands that the skill gives to agents, word for word: by a Python with nothing installed, to a server with own ids."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from support.daemon_process import DaemonProcess, environment
from support.plain_server import PlainServer, Recorded
from support.running_daemon import until
from support.seed_calls import ACK, CHECK, CREATE, HEARTBEAT, STEP_DONE, STEP_RUNNING, Shell


@pytest.fixture(params=["unix", "zmq"])
def address(request: pytest.FixtureRequest, folder: Path) -> str:
    """``CLAWLOG_SOCKET``, both ways."""
    return str(folder / "run" / "d.sock") if request.param == "unix" else f"zmq:ipc://{folder}/run/d.zmq"


@pytest.fixture
def shell(folder: Path, address: str) -> Shell:
    return Shell(folder, environment(folder, CLAWLOG_SOCKET=address, CLAWLOG_AUTOSTART="0"))


@pytest.fixture
async def process(new_process: Callable[..., DaemonProcess], address: str) -> DaemonProcess:
    flags = ["--zmq", address.removeprefix("zmq:")] if address.startswith("zmq:") else []
    return await new_process().start(*flags)


@pytest.fixture
async def started_daemons(folder: Path) -> AsyncIterator[None]:
    """Ends the daemon that a script has started: it is nobody's child, so it is found by the lock that it holds."""
    yield
    lock = folder / "state" / "clawlogd.lock"
    if not lock.exists() or _is_free(lock):
        return
    os.kill(int(lock.read_text()), signal.SIGTERM)
    await until(lambda: _is_free(lock))


def _is_free(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def summed_up(event: Recorded) -> tuple[str, str, str | None, str | None]:
    return event.method, event.path, event.body.get("status"), event.body.get("summary")


async def test_the_whole_workflow_of_the_skill(process: DaemonProcess, plain: PlainServer, shell: Shell) -> None:
    created = await shell.create(plain.url)
    assert [step["title"] for step in created["steps"]] == ["检查本地环境", "编写配置文件", "启动并测试"]
    assert (await shell.run(CHECK)).status == 0
    for command in (STEP_RUNNING, HEARTBEAT, STEP_DONE):
        ran = await shell.run(command)
        assert (ran.status, ran.stderr) == (0, "")
    await plain.until(lambda: any(beat.get("summary") for task in plain.tasks.values() for beat in task.beats))
    assert (await shell.run(CHECK)).status == 0
    plain.ask_to_stop(plain.only_task.task_id, "wrong server")
    await plain.until((process.state_dir / "run" / "stop" / shell.env["TASK_ID"]).exists)
    stopped = await shell.run(CHECK)
    assert stopped.status == 20
    assert json.loads(stopped.stdout)["interrupt"]["reason"] == "wrong server"
    assert (await shell.run(ACK)).status == 0
    assert (await shell.run(CHECK)).status == 0
    assert (await process.call("daemon.flush"))["flushed"] is True

    task = plain.only_task
    remote, config = f"/api/tasks/{task.task_id}", task.steps[1].step_id
    assert [summed_up(each) for each in plain.events] == [
        ("POST", "/api/tasks", None, None),
        ("PATCH", f"{remote}/steps/{config}", "running", "starting config generation"),
        ("PATCH", f"{remote}/steps/{config}", "done", "nginx.conf generated and validated"),
        ("POST", f"{remote}/interrupt/ack", None, "stopped after current step"),
    ]
    assert len({each.key for each in plain.events}) == 4
    assert (task.title, [step.title for step in task.steps]) == (
        "部署 Nginx 服务",
        ["检查本地环境", "编写配置文件", "启动并测试"],
    )
    assert (task.status, task.stop.acknowledged if task.stop else None) == ("interrupted", True)
    assert "writing config template" in [beat.get("summary") for beat in task.beats]


async def test_with_the_server_away_every_call_is_taken_and_arrives_later(
    process: DaemonProcess, plain: PlainServer, shell: Shell
) -> None:
    await plain.stop()
    await shell.create(plain.url)
    for command in (STEP_RUNNING, HEARTBEAT, STEP_DONE):
        ran = await shell.run(command)
        assert (ran.status, ran.stderr) == (0, "")
    assert (await shell.run(ACK)).status == 65  # nobody has asked for a stop, as far as can be known
    await plain.start()
    assert (await process.call("daemon.flush", timeout_s=20))["flushed"] is True
    assert [summed_up(each)[2:] for each in plain.events] == [
        (None, None),
        ("running", "starting config generation"),
        ("done", "nginx.conf generated and validated"),
    ]


@pytest.mark.usefixtures("started_daemons")
async def test_without_a_daemon_the_first_call_starts_one_and_the_next_use_it(plain: PlainServer, shell: Shell) -> None:
    shell.env["CLAWLOG_AUTOSTART"] = "1"
    await shell.create(plain.url)
    lock = Path(shell.env["CLAWLOG_STATE_DIR"]) / "clawlogd.lock"
    pid = lock.read_text()
    ran = await shell.run(STEP_RUNNING)
    assert (ran.status, ran.stderr) == (0, "")
    await plain.until_events(2)
    assert lock.read_text() == pid
    assert plain.only_task.steps[1].status == "running"


@pytest.mark.usefixtures("started_daemons")
async def test_where_none_can_be_started_the_calls_are_written_down_and_sent_later(
    new_process: Callable[..., DaemonProcess], plain: PlainServer, shell: Shell
) -> None:
    shell.env |= {"CLAWLOG_AUTOSTART": "1", "CLAWLOG_CONFIG": "/nowhere/clawlog.toml"}
    created = await shell.run(CREATE, plain.url)
    assert created.status == 0
    assert created.stderr.count("\n") == 1
    assert "spool" in created.stderr
    assert "status 2" in created.stderr
    ids = json.loads(created.stdout)
    shell.env |= {"TASK_ID": ids["task_id"], "STEP_ID": ids["steps"][1]["step_id"], "CLAWLOG_AUTOSTART": "0"}
    for command in (STEP_RUNNING, STEP_DONE, ACK):
        ran = await shell.run(command)
        assert ran.status == 0
        assert "spool" in ran.stderr
    assert plain.requests == []
    later = await new_process().start()
    assert (await later.call("daemon.flush", timeout_s=20))["flushed"] is True
    task = plain.only_task
    config = f"/api/tasks/{task.task_id}/steps/{task.steps[1].step_id}"
    assert [summed_up(each) for each in plain.events] == [
        ("POST", "/api/tasks", None, None),
        ("PATCH", config, "running", "starting config generation"),
        ("PATCH", config, "done", "nginx.conf generated and validated"),
    ]  # and no acknowledgement: it answers no stop, and is set aside
