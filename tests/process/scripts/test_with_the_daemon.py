"""The scripts and the Python API with the real daemon, which they start themselves, and the real backend."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import clawlog
from process.scripts.conftest import SCRIPTS, Ran, Run, python_of_scripts
from support.backend_process import BackendProcess
from support.scripted_daemon import wait_until


@pytest.fixture
def env(env: dict[str, str], short_dir: Path) -> Iterator[dict[str, str]]:
    """Where a daemon is started when one is needed; it is ended with the test."""
    own_programs = Path(sys.executable).parent
    environment = env | {
        "CLAWLOG_AUTOSTART": "1",
        "PATH": f"{own_programs}:{env['PATH']}",
        "CLAWLOG_BASE_URL": "http://127.0.0.1:9",
    }
    yield environment
    for pid in daemons(short_dir):
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists() or is_zombie(pid))


def daemons(short_dir: Path) -> list[int]:
    """The ids of the daemons of this state folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            program = (entry / "cmdline").read_bytes()
            if b"clawlogd" in program and str(short_dir).encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except (OSError, ValueError):
            continue
    return found


def is_zombie(pid: int) -> bool:
    try:
        return " Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


def test_of_many_scripts_at_once_all_are_served_by_one_daemon(env: dict[str, str], short_dir: Path) -> None:
    command = [python_of_scripts(), str(SCRIPTS / "create_task.py"), "--step", "a", "--title"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    scripts = [subprocess.Popen([*command, f"task {n}"], env=env, text=True, **pipes) for n in range(12)]
    ended = [Ran(script.wait(30), *script.communicate()) for script in scripts]
    assert [(each.status, each.stderr) for each in ended] == [(0, "")] * 12
    assert len(daemons(short_dir)) == 1
    with clawlog.Client(env=env) as client:
        titles = {task["title"] for task in client.list_tasks()["tasks"]}
    assert titles == {f"task {n}" for n in range(12)}


def test_what_was_spooled_reaches_the_next_daemon_in_order(alone: Run, short_dir: Path) -> None:
    task = alone("create_task", "--title", "部署", "--step", "检查", CLAWLOG_AUTOSTART="0").json
    for status in ("running", "done"):
        ran = alone(
            "update_status", "--task-id", task["task_id"], "--step-id", "检查", "--step-status", status, CLAWLOG_AUTOSTART="0"
        )
        assert ran.json["step"]["spooled"] is True
    assert not daemons(short_dir)
    ran = alone("update_status", "--task-id", task["task_id"], "--heartbeat")
    assert (ran.status, ran.stderr) == (0, "")
    environment = {"CLAWLOG_STATE_DIR": str(short_dir / "state"), "CLAWLOG_AUTOSTART": "0"}
    with clawlog.Client(env=environment) as client:
        known = client.get_task(task["task_id"])
    assert [(step["step_id"], step["status"]) for step in known["steps"]] == [(task["steps"][0]["step_id"], "done")]
    assert not list((short_dir / "state" / "spool").glob("*.call"))


def test_a_zeromq_address_starts_a_daemon_that_speaks_it(alone: Run, short_dir: Path) -> None:
    address = f"zmq:ipc://{short_dir}/z"
    task = alone("create_task", "--title", "t", "--step", "a", CLAWLOG_SOCKET=address).json
    ran = alone(
        "update_status", "--task-id", task["task_id"], "--step-id", "1", "--step-status", "done", CLAWLOG_SOCKET=address
    )
    assert (ran.status, ran.stderr) == (0, "")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[BackendProcess]:
    process = BackendProcess(tmp_path)
    process.start()
    yield process
    process.stop()


def test_a_stop_at_the_backend_is_20_for_a_script_until_it_is_acknowledged(alone: Run, backend: BackendProcess) -> None:
    task_id = alone("create_task", "--title", "t", "--base-url", backend.url).json["task_id"]
    check = ("update_status", "--task-id", task_id, "--check-interrupt", "--max-age", "0")
    wait_until(lambda: alone(*check).status == 0)
    backend.call("POST", f"/api/tasks/{task_id}/interrupt", {"mode": "soft_stop", "reason": "wrong branch"})
    ran = alone("poll_interrupt", "--task-id", task_id, "--timeout", "20")
    assert (ran.status, ran.json["reason"]) == (20, "wrong branch")
    assert alone(*check).status == 20
    assert alone("update_status", "--task-id", task_id, "--ack-interrupt", "--wait", "10").status == 0
    assert alone(*check).status == 0
    assert backend.call("GET", f"/api/tasks/{task_id}")["status"] == "interrupted"


def test_a_stop_at_the_backend_ends_a_task_block_quietly(
    env: dict[str, str], backend: BackendProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with clawlog.Client() as client, clawlog.task("t", ["a"], base_url=backend.url, strict=True, client=client) as task:
        with task.step("a"):
            task.checkpoint()
            assert client.flush(timeout_s=10, task_id=task.task_id).flushed
            backend.call("POST", f"/api/tasks/{task.task_id}/interrupt", {"mode": "soft_stop", "reason": "wrong branch"})
            wait_until(lambda: task.checkpoint() is not None)
        raise AssertionError("the stop was not raised")
    assert task.stopped
    assert task.stop.reason == "wrong branch"
    with clawlog.Client() as client:
        assert client.flush(timeout_s=10, task_id=task.task_id).flushed
    shown = backend.call("GET", f"/api/tasks/{task.task_id}")
    assert (shown["status"], shown["steps"][0]["status"]) == ("interrupted", "skipped")
    assert shown["stop"]["acknowledged_at"] is not None
