from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from clawlog.protocol.errors import UNKNOWN_TASK, RpcError
from process.scripts.conftest import SCRIPTS, Run, python_of_scripts
from support.scripted_daemon import NO_STOP, STOP, UNKNOWN, ScriptedDaemon, wait_until


def test_a_stop_is_20_with_its_reason(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.answers["interrupt.check"] = STOP
    ran = run("poll_interrupt", "--task-id", "t", "--timeout", "5")
    assert (ran.status, ran.stderr) == (20, "")
    assert ran.json == {"task_id": "t", **STOP}


def test_waits_until_a_stop_comes(daemon: ScriptedDaemon, run: Run) -> None:
    answers = [NO_STOP, NO_STOP, STOP]
    daemon.answers["interrupt.check"] = lambda params: answers.pop(0)
    assert run("poll_interrupt", "--task-id", "t").status == 20
    assert [each.params for each in daemon.requests] == [{"task_id": "t", "wait_s": 10.0}] * 3


def test_no_stop_by_the_timeout_is_0_and_the_daemon_is_asked_to_hold_its_answer(daemon: ScriptedDaemon, run: Run) -> None:
    released = threading.Event()

    def held(params: dict[str, float]) -> dict[str, object]:
        released.wait(params["wait_s"])
        return NO_STOP

    daemon.answers["interrupt.check"] = held
    ran = run("poll_interrupt", "--task-id", "t", "--timeout", "0.5", "--interval", "0.2")
    assert (ran.status, ran.json["state"]) == (0, "none")
    assert [each.params["wait_s"] for each in daemon.requests][:2] == [0.2, 0.2]


def test_what_is_unknown_at_the_timeout_is_75(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.answers["interrupt.check"] = UNKNOWN
    assert run("poll_interrupt", "--task-id", "t", "--timeout", "0").status == 75
    assert run("poll_interrupt", "--task-id", "t", "--timeout", "0", "--best-effort").status == 0


def test_without_a_daemon_it_is_75_after_one_warning(alone: Run) -> None:
    ran = alone("poll_interrupt", "--task-id", "t", "--timeout", "0.1")
    assert (ran.status, ran.json["state"]) == (75, "unknown")
    assert ran.stderr.count("\n") == 1


def test_an_unknown_task_is_65(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.answers["interrupt.check"] = RpcError(UNKNOWN_TASK, "No task 't'")
    assert run("poll_interrupt", "--task-id", "t").status == 65
    daemon.answers["interrupt.watch"] = RpcError(UNKNOWN_TASK, "No task 't'")
    ran = run("poll_interrupt", "--task-id", "t", "--follow")
    assert (ran.status, ran.stderr) == (65, "poll_interrupt.py: No task 't'\n")


def test_a_command_is_run_at_a_stop_and_told_which(daemon: ScriptedDaemon, run: Run, tmp_path: Path) -> None:
    daemon.answers["interrupt.check"] = STOP
    program = tmp_path / "act"
    program.write_text('#!/bin/sh\necho "$CLAWLOG_TASK_ID|$CLAWLOG_INTERRUPT_ID|$CLAWLOG_STOP_REASON|$1"\n')
    program.chmod(0o755)
    ran = run("poll_interrupt", "--task-id", "t", "--exec", f"'{program}' 'two words'")
    assert ran.status == 20
    assert ran.stderr == "t|stop-1|wrong branch|two words\n", "its output goes to stderr: stdout is for results"
    assert ran.json["state"] == "requested"


@pytest.mark.parametrize(("command", "complaint"), [("false", "ended with status 1"), ("/nonexistent", "cannot be run")])
def test_a_command_that_fails_is_told_and_the_stop_stands(
    daemon: ScriptedDaemon, run: Run, command: str, complaint: str
) -> None:
    daemon.answers["interrupt.check"] = STOP
    ran = run("poll_interrupt", "--task-id", "t", "--exec", command)
    assert ran.status == 20
    assert complaint in ran.stderr


@pytest.mark.parametrize(("flags", "expected"), [((), signal.SIGTERM), (("--signal", "usr1"), signal.SIGUSR1)])
def test_a_process_is_signalled_at_a_stop(
    daemon: ScriptedDaemon, run: Run, flags: tuple[str, ...], expected: signal.Signals
) -> None:
    daemon.answers["interrupt.check"] = STOP
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        assert run("poll_interrupt", "--task-id", "t", "--signal-pid", str(process.pid), *flags).status == 20
        assert process.wait(10) == -expected


def test_a_process_that_ended_meanwhile_is_not_signalled_and_neither_is_another(
    daemon: ScriptedDaemon, env: dict[str, str]
) -> None:
    """The process is pinned before the waiting begins: what later bears its number is another one."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    asked = threading.Event()
    ended = threading.Event()

    def stop_once_it_ended(params: object) -> dict[str, object]:
        asked.set()
        ended.wait(10)
        return STOP

    daemon.answers["interrupt.check"] = stop_once_it_ended
    command = [python_of_scripts(), str(SCRIPTS / "poll_interrupt.py"), "--task-id", "t", "--signal-pid", str(process.pid)]
    environment = env | {"CLAWLOG_SOCKET": daemon.address}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as script:
        assert asked.wait(10)
        process.communicate(b"\n", timeout=10)
        ended.set()
        _, stderr = script.communicate(timeout=10)
    assert script.returncode == 20
    assert f"process {process.pid} was not signalled: No such process" in stderr


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--signal-pid", "4194305"), "no process 4194305"),
        (("--signal", "TERM"), "--signal needs --signal-pid"),
        (("--signal-pid", "1", "--signal", "PLEASE"), "'PLEASE' is not a signal"),
        (("--exec", "'unbalanced"), "--exec: No closing quotation"),
        (("--exec", " "), "--exec: no command"),
        (("--timeout", "-1"), "not a number of seconds from 0 up"),
    ],
)
def test_what_cannot_be_acted_on_is_refused_before_the_waiting(
    daemon: ScriptedDaemon, run: Run, flags: tuple[str, ...], complaint: str
) -> None:
    ran = run("poll_interrupt", "--task-id", "t", *flags)
    assert (ran.status, daemon.requests) == (2, [])
    assert complaint in ran.stderr


class TestFollow:
    def test_prints_a_line_per_change_acts_on_each_stop_and_goes_on(
        self, daemon: ScriptedDaemon, env: dict[str, str], tmp_path: Path
    ) -> None:
        acted = tmp_path / "acted"
        program = tmp_path / "act"
        program.write_text(f'#!/bin/sh\necho "$CLAWLOG_INTERRUPT_ID" >> {acted}\n')
        program.chmod(0o755)
        command = [
            python_of_scripts(),
            "-u",
            str(SCRIPTS / "poll_interrupt.py"),
            "--task-id",
            "t",
            "--follow",
            "--exec",
            str(program),
        ]
        environment = env | {"CLAWLOG_SOCKET": daemon.address}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as script:
            assert script.stdout is not None
            seen = [json.loads(script.stdout.readline())]
            changes = [STOP, {**STOP, "age_s": 9.0}, {**STOP, "state": "acknowledged"}, {**STOP, "interrupt_id": "stop-2"}]
            for change in changes:
                daemon.push(**change)
            seen += [json.loads(script.stdout.readline()) for _ in range(3)]
            wait_until(lambda: acted.exists() and acted.read_text().count("\n") == 2)
            os.kill(script.pid, signal.SIGINT)
            _, stderr = script.communicate(timeout=10)
        assert [(each["state"], each["interrupt_id"]) for each in seen] == [
            ("none", None),
            ("requested", "stop-1"),
            ("acknowledged", "stop-1"),
            ("requested", "stop-2"),
        ]
        assert acted.read_text() == "stop-1\nstop-2\n"
        assert (script.returncode, stderr) == (130, "")

    @pytest.mark.parametrize(("state", "status"), [(NO_STOP, 0), (STOP, 20), (UNKNOWN, 75)])
    def test_ends_at_the_timeout(self, daemon: ScriptedDaemon, run: Run, state: dict[str, object], status: int) -> None:
        daemon.answers["interrupt.watch"] = daemon.answers["interrupt.check"] = state
        ran = run("poll_interrupt", "--task-id", "t", "--follow", "--timeout", "0.3")
        assert (ran.status, ran.json["state"]) == (status, state["state"])

    def test_outlives_the_daemon(self, daemon: ScriptedDaemon, env: dict[str, str]) -> None:
        command = [python_of_scripts(), "-u", str(SCRIPTS / "poll_interrupt.py"), "--task-id", "t", "--follow"]
        environment = env | {"CLAWLOG_SOCKET": daemon.address}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as script:
            assert script.stdout is not None
            states = [json.loads(script.stdout.readline())["state"]]
            daemon.answers["interrupt.watch"] = STOP
            daemon.hang_up()
            states += [json.loads(script.stdout.readline())["state"] for _ in range(2)]
            os.kill(script.pid, signal.SIGINT)
            _, stderr = script.communicate(timeout=10)
        assert states == ["none", "unknown", "requested"]
        assert "still trying" in stderr
