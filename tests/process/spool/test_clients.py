"""A daemon that cannot take an event now (full, ending, its disk failed) costs no event: clients write it down."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import clawlog
from clawlog.protocol import spool
from clawlog.protocol.errors import OUTBOX_FULL, SHUTTING_DOWN, STORAGE_FAILED, RpcError
from support.scripted_daemon import ScriptedDaemon, on_unix_socket

ROOT = Path(__file__).parents[3]
NOT_NOW = {"full": OUTBOX_FULL, "ending": SHUTTING_DOWN, "disk": STORAGE_FAILED}


@pytest.fixture
def scripted(folder: Path) -> Iterator[ScriptedDaemon]:
    with on_unix_socket(str(folder / "d.sock")) as daemon:
        yield daemon


@pytest.fixture
def env(folder: Path, scripted: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What a client sees of the world."""
    own = {"CLAWLOG_SOCKET": scripted.address, "CLAWLOG_STATE_DIR": str(folder / "state"), "CLAWLOG_AUTOSTART": "0"}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    return {"PATH": os.environ["PATH"], "HOME": str(folder), **own}


def spooled(folder: Path) -> list[tuple[str, str | None]]:
    """Verb and status of what was written down, in order."""
    files = sorted((folder / "state" / "spool").glob(f"*{spool.SUFFIX}"))
    calls = [call for path in files for call in spool.decode(path.read_bytes()).requests]
    return [(method, params.get("status")) for method, params in calls]


def refuse(daemon: ScriptedDaemon, code: int, *methods: str) -> None:
    for method in methods:
        daemon.answers[method] = RpcError(code, "Nothing was accepted")


def run(env: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("code", NOT_NOW.values(), ids=NOT_NOW)
def test_a_script_spools_what_is_not_taken_now(folder: Path, scripted: ScriptedDaemon, env: dict[str, str], code: int) -> None:
    refuse(scripted, code, "task.update", "step.update", "task.create", "interrupt.ack")
    script = [sys.executable, str(ROOT / "scripts" / "update_status.py"), "--task-id", "t"]
    ended = run(env, *script, "--step-id", "1", "--step-status", "done", "--task-status", "done", "--ack-interrupt")
    assert (ended.returncode, spooled(folder)) == (
        0,
        [("step.update", "done"), ("task.update", "done"), ("interrupt.ack", None)],
    ), ended.stderr
    printed = json.loads(ended.stdout)
    assert [printed[name]["spooled"] for name in ("step", "task", "ack")] == [True] * 3
    assert ended.stderr.count("\n") == 1
    assert "Nothing was accepted" in ended.stderr
    assert "spool" in ended.stderr
    created = run(env, sys.executable, str(ROOT / "scripts" / "create_task.py"), "--title", "T")
    assert (created.returncode, json.loads(created.stdout)["spooled"]) == (0, True)
    assert spooled(folder)[3:] == [("task.create", None)]


def test_a_script_spools_only_what_was_refused(folder: Path, scripted: ScriptedDaemon, env: dict[str, str]) -> None:
    refuse(scripted, STORAGE_FAILED, "task.update")
    script = [sys.executable, str(ROOT / "scripts" / "update_status.py"), "--task-id", "t"]
    ended = run(env, *script, "--step-id", "1", "--step-status", "done", "--task-status", "done", "--heartbeat")
    assert (ended.returncode, spooled(folder)) == (0, [("task.update", "done")]), ended.stderr
    assert "spooled" not in json.loads(ended.stdout)["step"]


def test_a_heartbeat_or_a_question_is_not_spooled(folder: Path, scripted: ScriptedDaemon, env: dict[str, str]) -> None:
    refuse(scripted, SHUTTING_DOWN, "task.heartbeat")
    script = [sys.executable, str(ROOT / "scripts" / "update_status.py"), "--task-id", "t"]
    assert run(env, *script, "--heartbeat").returncode == 69
    assert spooled(folder) == []


def test_what_a_caller_got_wrong_is_not_spooled(folder: Path, scripted: ScriptedDaemon, env: dict[str, str]) -> None:
    scripted.answers["task.update"] = RpcError(-32003, "Task t is done")
    script = [sys.executable, str(ROOT / "scripts" / "update_status.py"), "--task-id", "t"]
    assert run(env, *script, "--task-status", "running").returncode == 65
    assert spooled(folder) == []


@pytest.mark.parametrize("code", NOT_NOW.values(), ids=NOT_NOW)
def test_the_python_api_spools_what_is_not_taken_now(
    folder: Path, scripted: ScriptedDaemon, env: dict[str, str], code: int, caplog: pytest.LogCaptureFixture
) -> None:
    del env
    with caplog.at_level(logging.WARNING, logger="clawlog"), clawlog.task("T", ["one"], watch_pid=None) as task:
        refuse(scripted, code, "step.update", "task.update")
        with task.step("one"):
            pass
    assert spooled(folder) == [("step.update", "running"), ("step.update", "done"), ("task.update", "done")]
    assert "spool" in caplog.text


def test_a_command_that_is_run_is_told_of_through_the_spool(
    folder: Path, scripted: ScriptedDaemon, env: dict[str, str]
) -> None:
    refuse(scripted, STORAGE_FAILED, "task.create", "task.update")
    ended = run(env, str(Path(sys.executable).with_name("clawlog")), "run", "--", "true")
    assert ended.returncode == 0
    assert spooled(folder) == [("task.create", None), ("task.update", "running"), ("task.update", "done")], ended.stderr
