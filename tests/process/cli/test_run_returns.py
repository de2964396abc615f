"""What a command does to its caller under ``clawlog run`` is what it does without: ends, stops, orphans, signals, terminals."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.installation import Installation, children, is_running, temporary_installation, wait_until
from support.side_by_side import both, ended, wrapped
from support.terminal import on_terminal

ENDING = ("TERM", "KILL", "INT", "HUP", "QUIT", "PIPE", "SEGV", "ABRT", "USR1", "ALRM")
COUNT = """
import os, signal, sys
heard = []
def hear(number, frame):
    heard.append(number)
    os.write(1, b"heard\\n")
for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGRTMIN + 2):
    signal.signal(number, hear)
print(os.getpid(), flush=True)
sys.stdin.read()
print(*heard, flush=True)
"""


@pytest.fixture(scope="module")
def quiet() -> Iterator[Installation]:
    """An installation without any daemon: what is told goes to the spool."""
    with temporary_installation() as made:
        yield made


def run_python(place: Installation, program: str, **options: object) -> subprocess.Popen[bytes]:
    """A Python program under ``clawlog run``, with pipes."""
    given = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, **options}
    return place.start(*[os.fsdecode(each) for each in wrapped([sys.executable, "-c", program])], **given)


def read_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


# ── Its end ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [0, 1, 2, 64, 126, 127, 130, 139, 255])
def test_its_exit_status_comes_back(quiet: Installation, status: int) -> None:
    alone, under = both(quiet, ["sh", "-c", f"exit {status}"])
    assert under.status == alone.status == status


@pytest.mark.parametrize("name", ENDING)
def test_it_ends_by_the_signal_that_ended_it(quiet: Installation, name: str) -> None:
    alone, under = both(quiet, ["sh", "-c", f"ulimit -c 0; kill -{name} $$"])
    assert under.status == alone.status == -signal.Signals[f"SIG{name}"]


def test_an_ending_signal_that_the_caller_ignores_or_blocks_ends_it_all_the_same(quiet: Installation) -> None:
    def setup() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    heeds = "signal.signal(15, signal.SIG_DFL); signal.pthread_sigmask(signal.SIG_UNBLOCK, {15})"
    program = f"import os, signal; {heeds}; os.kill(os.getpid(), 15)"
    alone, under = both(quiet, [sys.executable, "-c", program], setup=setup)
    assert under.status == alone.status == -signal.SIGTERM


def test_ctrl_c_before_the_command_has_begun_ends_it_by_that_signal(quiet: Installation) -> None:
    program = (
        "import os; from clawlog.cli.commands import run; run.title_of = lambda *_: os.kill(os.getpid(), 2); "
        "from clawlog.cli.entry import main; main()"
    )
    ran = ended(quiet, [sys.executable, "-c", program, "run", "--", "echo", "begun"])
    assert (ran.status, ran.stdout, ran.stderr.strip()) == (-signal.SIGINT, b"", b"")


def test_what_it_leaves_behind_lives_on_and_nobody_waits_for_it(quiet: Installation) -> None:
    begun = time.monotonic()
    ran = ended(quiet, wrapped(["sh", "-c", "sleep 30 >/dev/null 2>&1 & echo $!"]))
    took_s = time.monotonic() - begun
    orphan = int(ran.stdout)
    try:
        assert ran.status == 0
        assert is_running(orphan)
        assert took_s < 15
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(orphan, signal.SIGKILL)


def test_what_it_leaves_behind_can_still_write_where_output_is_read_along(quiet: Installation, tmp_path: Path) -> None:
    fifo = tmp_path / "go"
    os.mkfifo(fifo)
    command = wrapped(["sh", "-c", f"(cat {fifo}; echo later) & echo now"], "--summary-from-output")
    process = quiet.start(*[os.fsdecode(each) for each in command], stdout=subprocess.PIPE)
    assert read_line(process) == "now"
    assert process.wait(20) == 0
    fifo.write_text("go\n", encoding="ascii")
    assert process.stdout is not None
    assert process.stdout.read() == b"go\nlater\n"


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="wants root, for a pid namespace")
def test_as_the_first_process_of_a_container_it_leaves_no_zombies(quiet: Installation) -> None:
    # Each inner shell ends at once, and leaves a child to process 1.
    program = "for n in 1 2 3 4 5; do sh -c 'sleep 0.1 &'; done; sleep 0.6; grep -l 'State:.Z' /proc/[0-9]*/status; exit 5"
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    ran = ended(quiet, [*unshare, *wrapped(["sh", "-c", program])])
    assert (ran.status, ran.stdout) == (5, b"")
    ran = ended(quiet, [*unshare, *wrapped(["sh", "-c", "kill -TERM $$"])])
    assert ran.status == 128 + signal.SIGTERM, "the first process of a container cannot end by a signal of its own"


# ── What cannot be run, and what a shell runs all the same ──────────────────────────────────────────────────────────────


def script(folder: Path, content: bytes) -> str:
    path = folder / "script"
    path.write_bytes(content)
    path.chmod(0o755)
    return str(path)


def test_a_script_without_a_first_line_for_it_is_run_by_the_shell(quiet: Installation, tmp_path: Path) -> None:
    ran = ended(quiet, wrapped([script(tmp_path, b'echo "$0 $1"; exit 3\n'), "x"]))
    assert (ran.status, ran.stdout) == (3, f"{tmp_path}/script x\n".encode())


def test_a_program_for_another_machine_is_not_given_to_the_shell(quiet: Installation, tmp_path: Path) -> None:
    ran = ended(quiet, wrapped([script(tmp_path, b"\x7fELF\0\0nothing that runs here\n")]))
    assert (ran.status, ran.stdout) == (126, b"")
    assert ran.stderr.count(b"\n") == 1
    assert b"Exec format error" in ran.stderr


@pytest.mark.parametrize(
    ("content", "said"), [(b"#!/bin/sh\r\necho hello\r\n", "Windows line ends"), (b"#!/no/such/program\n", "/no/such/program")]
)
def test_an_interpreter_that_is_not_there_is_named(quiet: Installation, tmp_path: Path, content: bytes, said: str) -> None:
    ran = ended(quiet, wrapped([script(tmp_path, content)]))
    assert (ran.status, ran.stdout) == (126, b"")
    assert ran.stderr.count(b"\n") == 1
    assert said in ran.stderr.decode()
    assert b"\r" not in ran.stderr


@pytest.mark.parametrize(("command", "status"), [("/", 126), ("", 127), ("no-such-program-at-all", 127)])
def test_what_is_no_program_is_told_in_one_line(quiet: Installation, command: str, status: int) -> None:
    ran = ended(quiet, wrapped([command]))
    assert (ran.status, ran.stdout) == (status, b"")
    assert ran.stderr.count(b"\n") == 1


# ── Its output, read along ──────────────────────────────────────────────────────────────────────────────────────────────


def test_reading_along_where_stdout_is_closed_harms_nothing(quiet: Installation) -> None:
    shell = 'exec "$@" >&-'
    ran = ended(quiet, ["sh", "-c", shell, "sh", *wrapped(["sh", "-c", "echo progress >&2; exit 4"], "--summary-from-output")])
    assert ran.status == 4
    assert b"Traceback" not in ran.stderr
    assert b"progress\n" in ran.stderr


def test_output_and_errors_on_one_pipe_keep_their_order(quiet: Installation) -> None:
    program = "import os\nfor n in range(500): os.write(1 + n % 2, b'%d\\n' % n)"
    ran = ended(quiet, wrapped([sys.executable, "-c", program], "--summary-from-output"), stderr=subprocess.STDOUT)
    lines = [line for line in ran.stdout.splitlines() if line.isdigit()]
    assert lines == [b"%d" % n for n in range(500)]


def test_output_and_errors_are_kept_apart_where_they_go_to_two_places(quiet: Installation) -> None:
    program = "import os; os.write(1, b'out' * 50000); os.write(2, b'err' * 50000)"
    ran = ended(quiet, wrapped([sys.executable, "-c", program], "--summary-from-output"))
    assert ran.stdout == b"out" * 50000
    assert b"err" * 50000 in ran.stderr


# ── Signals ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGRTMIN + 2])
@pytest.mark.parametrize("whom", ["process", "group"])
def test_a_signal_reaches_it_once(quiet: Installation, number: int, whom: str) -> None:
    process = run_python(quiet, COUNT, start_new_session=True)
    inner = int(read_line(process))
    assert inner != process.pid
    (os.kill if whom == "process" else os.killpg)(process.pid, number)
    assert read_line(process) == "heard"
    time.sleep(0.2)  # a second one would come now, and nothing announces that none does
    assert process.stdin is not None
    process.stdin.close()
    assert read_line(process) == str(int(number))
    assert process.wait(20) == 0


def test_killing_it_kills_the_command(quiet: Installation) -> None:
    process = run_python(quiet, COUNT)
    inner = int(read_line(process))
    process.kill()
    process.wait(20)
    wait_until(lambda: not is_running(inner), "the command has ended, too")


def test_it_stops_and_goes_on_with_the_command(quiet: Installation) -> None:
    process = run_python(quiet, COUNT, process_group=0)  # an orphaned group, as these tests' own may be, heeds no SIGTSTP
    inner = int(read_line(process))
    for number in (signal.SIGSTOP, signal.SIGTSTP):
        os.kill(inner, number)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert os.WSTOPSIG(status) == number
        os.kill(process.pid, signal.SIGCONT)
        wait_until(lambda: state(inner) not in "Tt", "the command goes on")
        wait_until(lambda: state(process.pid) not in "Tt", "and so does its caller's child")
    process.kill()
    process.wait(20)


def test_stopping_it_stops_the_command(quiet: Installation) -> None:
    process = run_python(quiet, COUNT)
    inner = int(read_line(process))
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: state(inner) in "Tt", "the command is held, too")
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: state(inner) not in "Tt", "the command goes on")
    process.kill()
    process.wait(20)


# ── A terminal ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def run_script(tmp_path: Path) -> str:
    """``clawlog run`` as one word."""
    path = tmp_path / "run"
    prefix = " ".join(f"'{os.fsdecode(each)}'" for each in wrapped([])[:-1])
    path.write_text(f'#!/bin/sh\nexec {prefix} -- "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(shutil.which("bash") is None, reason="wants bash, for its job control")
@pytest.mark.parametrize("where", ["at the prompt", "in a script"])
def test_ctrl_c_ends_a_loop_around_it(quiet: Installation, run_script: str, where: str) -> None:
    loop = f'for n in 1 2 3; do {run_script} sh -c "echo began $n; exec sleep 20"; done; echo over'
    loop = loop.replace("began $n", "began $((n))")
    command = ["bash", "--norc", "--noprofile", "-i"] if where == "at the prompt" else ["bash", "-c", loop]
    with on_terminal(quiet, *command) as screen:
        if where == "at the prompt":
            screen.type(f"PS1='ready> '\n{loop}\n")
        screen.until(lambda shown: "began 1\r\n" in shown, "the first began")
        screen.shown = ""
        screen.type("\x03")
        if where == "at the prompt":
            screen.type("echo prompt $((40+2))\n")
            screen.until(lambda shown: "prompt 42\r\n" in shown, "the prompt is back")
        else:
            screen.until_it_ends()
        assert "began 2" not in screen.shown
        assert "over\r\n" not in screen.shown


@pytest.mark.skipif(shutil.which("bash") is None, reason="wants bash, for its job control")
def test_in_a_pipeline_ctrl_c_reaches_all_of_it(quiet: Installation, run_script: str) -> None:
    with on_terminal(quiet, "bash", "--norc", "--noprofile", "-i") as screen:
        neighbour = "sh -c 'trap \"echo neighbour heard >/dev/tty; exit\" INT; cat; sleep 20'"
        screen.type(f"PS1='ready> '\n{run_script} sh -c 'echo began >/dev/tty; exec sleep 20' | {neighbour}\n")
        screen.until(lambda shown: "began\r\n" in shown, "it began")
        screen.type("\x03")
        screen.until(lambda shown: "neighbour heard\r\n" in shown, "the neighbour heard")


def test_on_a_terminal_it_ends_by_ctrl_c_as_the_command_does(quiet: Installation) -> None:
    command = [os.fsdecode(each) for each in wrapped(["sh", "-c", "echo began; exec sleep 20"])]
    with on_terminal(quiet, *command) as screen:
        screen.shows("began")
        screen.type("\x03")
        _, status = os.waitpid(screen.pid, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGINT


def test_a_terminal_that_goes_away_ends_the_command(quiet: Installation) -> None:
    command = [os.fsdecode(each) for each in wrapped(["sh", "-c", "echo $$ began; exec sleep 20"])]
    with on_terminal(quiet, *command) as screen:
        screen.until(lambda shown: "began" in shown, "it began")
        inner = int(screen.shown.split()[0])
    wait_until(lambda: not is_running(inner), "the command has ended")


def test_a_command_that_reads_the_terminal_from_the_background_is_stopped(quiet: Installation, run_script: str) -> None:
    with on_terminal(quiet, "bash", "--norc", "--noprofile", "-i") as screen:
        screen.type(f"PS1='ready> '\nset -b\n{run_script} sh -c 'read line; echo got $line' &\n")
        screen.until(lambda shown: "Stopped" in shown, "the shell notices at once")
        screen.type("fg\n")
        screen.type("words\n")
        # Until the shell is back: before, the command still tells what it did, in a folder that is taken away.
        screen.until(lambda shown: "ready>" in shown.partition("got words\r\n")[2], "it has read, and ended")


# ── A daemon that hangs ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_daemon_that_hangs_costs_a_command_little() -> None:
    with temporary_installation() as place:
        place.env["CLAWLOG_BASE_URL"] = "http://127.0.0.1:9"
        daemon = place.start_daemon()
        daemon.send_signal(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            ran = ended(place, wrapped(["true"]))
            assert ran.status == 0
            assert time.monotonic() - begun < 6
            assert len(list((place.folder / "spool").glob("*.call"))) >= 1, "what it had to say waits in the spool"
        finally:
            daemon.send_signal(signal.SIGCONT)
            daemon.kill()


def test_a_hanging_daemon_does_not_hold_up_the_beginning_of_a_command() -> None:
    with temporary_installation() as place:
        place.env["CLAWLOG_BASE_URL"] = "http://127.0.0.1:9"
        daemon = place.start_daemon()
        daemon.send_signal(signal.SIGSTOP)
        process = run_python(place, "print('began', flush=True); import sys; sys.stdin.read()")
        try:
            assert read_line(process) == "began"
            assert children(process.pid) != []
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(20)
            daemon.send_signal(signal.SIGCONT)
            daemon.kill()
