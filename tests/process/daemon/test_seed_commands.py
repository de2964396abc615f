"""The commands that the skill gives to agents, word for word: by a Python with nothing installed, to a server with own ids."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.daemon_process import DaemonProcess, environment
from support.plain_server import PlainServer, Recorded
from support.running_daemon import until

ROOT = Path(__file__).parents[3]
SYSTEM_PYTHON = "/usr/bin/python3"

CREATE = """\
python scripts/create_task.py \\
  --base-url http://localhost:8000 \\
  --title "部署 Nginx 服务" \\
  --step "检查本地环境" \\
  --step "编写配置文件" \\
  --step "启动并测试"
"""
CHECK = 'python scripts/update_status.py --task-id "$TASK_ID" --check-interrupt'
STEP_RUNNING = """\
python scripts/update_status.py \\
  --task-id "$TASK_ID" \\
  --step-id "$STEP_ID" \\
  --step-status running \\
  --step-summary "starting config generation"
"""
STEP_DONE = """\
python scripts/update_status.py \\
  --task-id "$TASK_ID" \\
  --step-id "$STEP_ID" \\
  --step-status done \\
  --step-summary "nginx.conf generated and validated"
"""
HEARTBEAT = """\
python scripts/update_status.py \\
  --task-id "$TASK_ID" \\
  --heartbeat \\
  --heartbeat-summary "writing config template"
"""
ACK = """\
python scripts/update_status.py \\
  --task-id "$TASK_ID" \\
  --ack-interrupt \\
  --ack-summary "stopped after current step"
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


class Shell:
    """An agent's shell, where ``python`` is one that has no packages at all."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.env = env
        programs = folder / "bin"
        programs.mkdir(exist_ok=True)
        python = programs / "python"
        python.write_text(f'#!/bin/sh\nexec {_bare_python()} "$@"\n')
        python.chmod(0o755)
        # Where the daemon's program is installed comes last: it is found by name, and nothing else is taken from there.
        self.env["PATH"] = f"{programs}:/usr/bin:/bin:{Path(sys.executable).parent}"

    async def run(self, command: str, base_url: str = "") -> Ran:
        process = await asyncio.create_subprocess_shell(
            command.replace("http://localhost:8000", base_url),
            cwd=ROOT,
            env=self.env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            out, err = await process.communicate()
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())

    async def create(self, base_url: str) -> dict[str, Any]:
        """Creates the task, and keeps its ids as an agent's shell would."""
        ran = await self.run(CREATE, base_url)
        assert ran.status == 0, ran.stderr
        created: dict[str, Any] = json.loads(ran.stdout)
        self.env |= {"TASK_ID": created["task_id"], "STEP_ID": created["steps"][1]["step_id"]}
        return created


def _bare_python() -> str:
    """The system's Python where it is new enough, else this one without its packages."""
    probe = f"{SYSTEM_PYTHON} -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null"
    return SYSTEM_PYTHON if os.system(probe) == 0 else f"{shlex.quote(sys.executable)} -I -S"


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
