"""``clawlog run``: the command's input, output and end are its own; a soft stop reaches it and all that it has started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clawlog import trace_context
from clawlog.cli.render.backend_views import BackendTask
from support.installation import CLAWLOG, Installation, is_running, wait_until
from support.terminal import on_terminal

PRINT_TASK = "print(__import__('os').environ['CLAWLOG_TASK_ID'], flush=True)"


def task_of(fresh: Installation, task_id: str) -> BackendTask:
    """The task as the backend has it, once all of it is there."""
    with fresh.client() as client:
        assert client.flush().flushed
    return fresh.backend.task(task_id)


def started(fresh: Installation, *arguments: str, program: str) -> tuple[subprocess.Popen[bytes], str]:
    """A run of a Python program that first prints its task's id; returns it once the backend has the task."""
    process = fresh.start_clawlog(
        "run",
        *arguments,
        "--",
        sys.executable,
        "-c",
        f"{PRINT_TASK}; {program}",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,  # an orphaned group, as these tests' own may be, heeds no SIGTSTP
    )
    assert process.stdout is not None
    task_id = process.stdout.readline().decode().strip()
    wait_until(lambda: task_id in [task.task_id for task in fresh.backend.tasks(q=task_id)], "the backend has the task")
    wait_until(lambda: "task_status" in [event.kind for event in fresh.backend.task(task_id).events], "and that it runs")
    return process, task_id


# ── The end is the command's own ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("program", "status", "task_status", "summary"),
    [
        ("pass", 0, "done", None),
        ("raise SystemExit(3)", 3, "failed", "exit status 3"),
        ("import os; os.kill(os.getpid(), 11)", -11, "failed", "ended by SIGSEGV"),
        ("import os, signal; signal.signal(2, signal.SIG_DFL); os.kill(os.getpid(), 2)", -2, "interrupted", "ended by SIGINT"),
    ],
)
def test_the_exit_status_is_passed_on(
    running: Installation, program: str, status: int, task_status: str, summary: str | None
) -> None:
    ran = running.clawlog("run", "--title", "完成", "--", sys.executable, "-c", f"{PRINT_TASK}; {program}")
    assert (ran.status, ran.stderr) == (status, "")
    task = task_of(running, ran.stdout.strip())
    assert (task.title, task.status) == ("完成", task_status)
    assert [(event.kind, event.status, event.summary) for event in task.events if event.kind != "heartbeat"] == [
        ("task_created", None, None),
        ("task_status", "running", None),
        ("task_status", task_status, summary),
    ]


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [("/nonexistent/program", 127, "no such program"), ("/etc/passwd", 126, "Permission denied")],
)
def test_what_cannot_be_run_is_said_and_makes_no_task(fresh: Installation, command: str, status: int, said: str) -> None:
    ran = fresh.clawlog("run", "--", command)
    assert (ran.status, ran.stdout) == (status, "")
    assert ran.stderr.startswith(f"clawlog: {command}")
    assert said in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert list(fresh.folder.iterdir()) == []


def test_input_and_output_are_the_commands_own(running: Installation) -> None:
    data = bytes(range(256)) * 4096
    program = "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer); sys.stderr.write('aside')"
    for options in ([], ["--summary-from-output"]):
        ran = subprocess.run(
            [*CLAWLOG, "run", *options, "--", sys.executable, "-c", program],
            env=running.env,
            input=data,
            capture_output=True,
            check=True,
        )
        assert ran.stdout == data
        assert ran.stderr == b"aside"


def test_options_after_the_command_are_the_commands_own(running: Installation) -> None:
    ran = running.clawlog("run", sys.executable, "-c", "import sys; print(sys.argv[1:])", "--title", "--", "-x")
    assert (ran.status, ran.stdout) == (0, "['--title', '--', '-x']\n")


def test_without_any_daemon_the_command_runs_and_its_events_wait_in_the_spool(fresh: Installation) -> None:
    ran = fresh.clawlog("run", "--", sys.executable, "-c", "print('done'); raise SystemExit(4)")
    assert (ran.status, ran.stdout) == (4, "done\n")
    assert "clawlog: task.create waits in the spool" in ran.stderr
    assert len(list((fresh.folder / "spool").glob("*.call"))) == 3


def test_a_task_that_the_daemon_declines_is_a_warning(running: Installation) -> None:
    ran = running.clawlog("run", "--base-url", "ftp://nowhere", "--", sys.executable, "-c", "raise SystemExit(5)")
    assert ran.status == 5
    assert len(ran.stderr.splitlines()) == 1
    assert "clawlog: task.create was not accepted: base_url" in ran.stderr


# ── A stop ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

OBEDIENT = "import signal, sys, time; signal.signal({signal}, lambda *_: sys.exit(7)); time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


@pytest.mark.parametrize(("arguments", "number"), [([], signal.SIGTERM), (["--stop-signal", "usr1"], signal.SIGUSR1)])
def test_a_stop_sends_the_signal_and_acknowledges_when_the_command_has_ended(
    running: Installation, arguments: list[str], number: int
) -> None:
    process, task_id = started(running, *arguments, program=OBEDIENT.format(signal=int(number)))
    running.backend.request_stop(task_id, reason="enough")
    assert process.wait(20) == 7
    task = task_of(running, task_id)
    assert task.status == "interrupted"
    assert task.stop is not None
    assert task.stop.ack_summary is not None
    assert task.stop.ack_summary.startswith("exit status 7, ")
    assert all(stage.at is not None for stage in task.stop.stages)


def test_what_ignores_the_signal_is_killed_after_the_grace(running: Installation) -> None:
    process, task_id = started(running, "--grace", "0.3", program=DEAF)
    running.backend.request_stop(task_id)
    assert process.wait(20) == -signal.SIGKILL
    stop = task_of(running, task_id).stop
    assert stop is not None
    assert stop.ack_summary is not None
    assert stop.ack_summary.startswith("ignored SIGTERM and was killed, ")


def test_a_stop_reaches_what_the_command_has_started(running: Installation) -> None:
    deaf = f"{sys.executable!r}, '-c', {DEAF!r}"
    program = f"import subprocess; p = subprocess.Popen([{deaf}]); print(p.pid, flush=True); p.wait()"
    process, task_id = started(running, "--grace", "0.3", program=program)
    assert process.stdout is not None
    grandchild = int(process.stdout.readline())
    running.backend.request_stop(task_id)
    assert process.wait(20) == -signal.SIGTERM
    wait_until(lambda: not is_running(grandchild), "what the command had started has ended")
    assert task_of(running, task_id).status == "interrupted"


def test_a_stopped_command_is_woken_to_be_stopped(running: Installation) -> None:
    process, task_id = started(running, program="import os; os.kill(os.getpid(), 19)")
    running.backend.request_stop(task_id)
    assert process.wait(20) == -signal.SIGTERM


def test_killing_it_is_reported_as_what_it_was(running: Installation) -> None:
    process, task_id = started(running, program="import time; time.sleep(60)")
    process.kill()
    process.wait(20)
    wait_until(lambda: running.backend.task(task_id).status == "failed", "the companion has reported it")
    assert running.backend.task(task_id).events[-1].summary == "killed: SIGKILL ended clawlog run, and the command with it"


def test_a_stop_reaches_a_command_that_a_person_has_suspended(running: Installation) -> None:
    process, task_id = started(running, program="import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    assert process.stdout is not None
    os.kill(int(process.stdout.readline()), signal.SIGTSTP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    running.backend.request_stop(task_id)
    assert process.wait(20) == -signal.SIGTERM
    assert task_of(running, task_id).status == "interrupted"


def test_signals_are_passed_on(running: Installation) -> None:
    process, task_id = started(running, program=OBEDIENT.format(signal=int(signal.SIGHUP)))
    process.send_signal(signal.SIGHUP)
    assert process.wait(20) == 7
    assert task_of(running, task_id).status == "failed"


def test_the_last_line_of_output_is_the_heartbeats_summary(running: Installation) -> None:
    program = r"print('\x1b[1mfirst\x1b[0m', flush=True); print('10%\r20%\r', end='', flush=True); import time; time.sleep(60)"
    process, task_id = started(running, "--summary-from-output", program=program)

    def told() -> bool:
        return "20%" in [event.summary for event in running.backend.task(task_id).events if event.kind == "heartbeat"]

    wait_until(told, "a heartbeat with the last line")
    process.terminate()
    assert process.wait(20) == -signal.SIGTERM
    assert task_of(running, task_id).events[-1].summary == "ended by SIGTERM: 20%"


# ── A terminal ──────────────────────────────────────────────────────────────────────────────────────────────────────────


REPORT = (
    "import os, sys; print('terminal', sys.stdin.isatty(), sys.stdout.isatty(), os.tcgetpgrp(0) == os.getpgrp(), flush=True)"
)


TALKATIVE = 'import sys, time; print("begun", flush=True); print("heard", sys.stdin.readline(), flush=True); time.sleep(60)'


@pytest.mark.parametrize("options", [[], ["--summary-from-output"]])
def test_on_a_terminal_the_command_has_it_and_ctrl_c_reaches_it(running: Installation, options: list[str]) -> None:
    program = f"{REPORT}; import time; time.sleep(60)"
    with on_terminal(running, *CLAWLOG, "run", *options, "--", sys.executable, "-c", program) as screen:
        screen.shows("terminal True True True\r\n")
        screen.type("\x03")
        screen.shows("KeyboardInterrupt")
        _, status = os.waitpid(screen.pid, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGINT


def test_the_commands_output_keeps_the_terminals_size(running: Installation) -> None:
    program = "import os; print('size', *os.get_terminal_size(1), flush=True)"
    with on_terminal(running, *CLAWLOG, "run", "--summary-from-output", "--", sys.executable, "-c", program) as screen:
        screen.shows("size 80 24")


@pytest.mark.skipif(shutil.which("bash") is None, reason="wants bash, for its job control")
def test_ctrl_z_stops_both_and_fg_continues_both(running: Installation, tmp_path: Path) -> None:
    script = tmp_path / "run"
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{CLAWLOG[-1]}' run -- '{sys.executable}' -c '{TALKATIVE}'\n")
    script.chmod(0o755)
    with on_terminal(running, "bash", "--norc", "--noprofile", "-i") as screen:
        screen.type(f"PS1='ready> '\n{script}\n")
        screen.shows("begun")
        screen.type("\x1a")
        screen.shows("Stopped")
        screen.type("fg\n")
        screen.type("hello\n")
        screen.shows("heard hello")
        screen.type("\x1a")
        screen.shows("Stopped")
        screen.type("bg\n")
        screen.shows("&")
        screen.type("kill %1; wait %1; echo status $?\n")
        screen.shows("status 143")


def test_a_person_at_a_terminal_reads_which_task_it_is_and_who_stopped_it(running: Installation) -> None:
    with running.client() as client:
        client.create_task("first, so that the backend is known")
        assert client.flush().flushed
    program = f"{PRINT_TASK}; import time; time.sleep(60)"
    with on_terminal(running, *CLAWLOG, "run", "--", sys.executable, "-c", program) as screen:
        screen.until(lambda shown: "clawlog: task" in shown and shown.count("\n") == 2, "both lines")
        task_id = next(line.strip() for line in screen.shown.splitlines() if not line.startswith("clawlog"))
        assert f"clawlog: task {task_id[-4:]} · {running.env['CLAWLOG_BASE_URL']}/tasks/{task_id}" in screen.shown
        wait_until(lambda: running.backend.tasks(q=task_id), "the backend has the task")
        running.backend.request_stop(task_id, reason="wrong branch", requested_by="anna")
        screen.shows("clawlog: stopped by anna: wrong branch")
    with on_terminal(running, *CLAWLOG, "run", "--quiet", "--", "echo", "said") as screen:
        screen.until_it_ends()
        assert screen.shown == "said\r\n"


# ── Its trace ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_is_told_its_tasks_span_which_is_below_its_callers(running: Installation) -> None:
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    told = "import os; print(os.environ['CLAWLOG_TASK_ID'], os.environ['TRACEPARENT'])"
    ran = running.clawlog("run", "--", sys.executable, "-c", told, env={"TRACEPARENT": caller})
    task_id, span = ran.stdout.split()
    assert span == trace_context.below(task_id, caller)
    assert task_of(running, task_id).metadata["traceparent"] == caller
    ran = running.clawlog("run", "--", sys.executable, "-c", told, env={"TRACEPARENT": "00-not-one"})
    task_id, span = ran.stdout.split()
    assert span == trace_context.of_task(task_id)
    assert "traceparent" not in task_of(running, task_id).metadata
    ran = running.clawlog("run", "--", *CLAWLOG, "run", "--", sys.executable, "-c", told)
    task_id, span = ran.stdout.split()
    task = task_of(running, task_id)
    around = trace_context.of_task(str(task.parent_task_id))
    assert (task.metadata["traceparent"], span) == (around, trace_context.below(task_id, around))
