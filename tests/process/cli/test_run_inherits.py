"""What a command inherits under ``clawlog run`` is what it inherits without: the table of ``docs/command-line.md``."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.installation import Installation, temporary_installation
from support.side_by_side import both, ended, wrapped

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

PR_SET_NO_NEW_PRIVS = 38
PR_SET_TIMERSLACK = 29
ADDR_NO_RANDOMIZE = 0x0040000
FILES = (
    "status",
    "stat",
    "limits",
    "environ",
    "oom_score_adj",
    "coredump_filter",
    "personality",
    "cgroup",
    "timerslack_ns",
    "cmdline",
)
MARK = b"\n%%%%\n"


def unusual() -> None:
    """Sets all that a process hands on to something that it is not by default."""
    libc = ctypes.CDLL(None)
    os.umask(0o027)
    os.nice(3)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGTSTP, signal.SIGRTMIN + 3):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR2, signal.SIGTERM, signal.SIGRTMIN + 4})
    for limit, value in (
        (resource.RLIMIT_CORE, 4096),
        (resource.RLIMIT_NOFILE, 200),
        (resource.RLIMIT_CPU, 1000),
        (resource.RLIMIT_STACK, 8 << 20),
    ):
        resource.setrlimit(limit, (value, value))
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    Path("/proc/self/oom_score_adj").write_text("300", encoding="ascii")
    Path("/proc/self/coredump_filter").write_text("0x11", encoding="ascii")
    libc.prctl(PR_SET_TIMERSLACK, 123_456, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.personality(ADDR_NO_RANDOMIZE)


@pytest.fixture(scope="module")
def quiet() -> Iterator[Installation]:
    """An installation without any daemon: what is told goes to the spool."""
    with temporary_installation() as made:
        yield made


@pytest.fixture(scope="module")
def inherited(quiet: Installation, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], dict[str, str]]:
    """All that ``/proc`` tells of a process that was started with everything unusual: alone, and under ``clawlog run``."""
    folder = tmp_path_factory.mktemp("where")
    mark = folder / "mark"
    mark.write_bytes(MARK)
    names = [each for name in FILES for each in (f"/proc/self/{name}", str(mark))]
    found = both(quiet, ["cat", *names], setup=unusual, cwd=folder, start_new_session=True)
    assert [each.status for each in found] == [0, 0], [each.stderr for each in found]
    return read(found[0].stdout), read(found[1].stdout)


def read(printed: bytes) -> dict[str, str]:
    """What was found, by name."""
    parts = dict(zip(FILES, (part.decode("utf-8", "surrogateescape") for part in printed.split(MARK)), strict=False))
    found = {line.partition(":")[0]: line.partition(":")[2].strip() for line in parts["status"].splitlines()}
    fields = parts["stat"].rpartition(")")[2].split()
    found |= {"tty": fields[4], "foreground": fields[5], "priority": fields[15], "nice": fields[16]}
    found |= {"realtime priority": fields[37], "policy": fields[38], "is its group's leader": str(fields[2] == fields[3])}
    return found | {name: parts[name] for name in FILES[2:]}


ROWS = (
    ("signals blocked", "SigBlk"),
    ("signals pending", "ShdPnd"),
    ("signals ignored", "SigIgn"),
    ("signals handled", "SigCgt"),
    ("umask", "Umask"),
    ("user", "Uid"),
    ("group", "Gid"),
    ("groups", "Groups"),
    ("capabilities", "CapEff"),
    ("capabilities, inheritable", "CapInh"),
    ("capabilities, bounding", "CapBnd"),
    ("capabilities, ambient", "CapAmb"),
    ("no new privileges", "NoNewPrivs"),
    ("seccomp", "Seccomp"),
    ("processors", "Cpus_allowed"),
    ("memory nodes", "Mems_allowed"),
    ("terminal", "tty"),
    ("terminal's foreground group", "foreground"),
    ("process group", "is its group's leader"),
    ("priority", "priority"),
    ("niceness", "nice"),
    ("scheduling policy", "policy"),
    ("realtime priority", "realtime priority"),
    ("limits", "limits"),
    ("arguments", "cmdline"),
    ("out-of-memory score", "oom_score_adj"),
    ("core dump filter", "coredump_filter"),
    ("personality", "personality"),
    ("control group", "cgroup"),
    ("timer slack", "timerslack_ns"),
)


@pytest.mark.parametrize(("row", "name"), [row for row in ROWS if row[0] != "process group"], ids=str)
def test_it_is_inherited_as_it_is(inherited: tuple[dict[str, str], dict[str, str]], row: str, name: str) -> None:
    alone, under = inherited
    assert under[name] == alone[name]


def test_it_stays_in_the_callers_session_and_process_group(quiet: Installation) -> None:
    program = "import os; print(os.getsid(0), os.getpgid(0))"
    alone, under = both(quiet, [sys.executable, "-c", program])
    assert under.stdout == alone.stdout


# ── Environment and arguments ───────────────────────────────────────────────────────────────────────────────────────────


def environment(printed: bytes) -> list[bytes]:
    return sorted(each for each in printed.split(b"\0") if each and not each.startswith((b"CLAWLOG_TASK_ID=", b"TRACEPARENT=")))


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C"}, {"LANG": "C"}, {"LC_CTYPE": "POSIX"}], ids=str)
def test_the_environment_is_the_same_bytes_whatever_the_locale(quiet: Installation, locale: dict[str, str]) -> None:
    env = {name: value for name, value in quiet.env.items() if not name.startswith(("LC_", "LANG", "PYTHONUTF8"))} | locale
    raw = {name.encode(): value.encode() for name, value in env.items()} | {
        b"BYTES": b"a\xff\xfe\x80",
        b"CJK": "部署".encode(),
        b"EMPTY": b"",
    }
    alone, under = both(quiet, ["cat", "/proc/self/environ"], env=raw)
    assert environment(under.stdout) == environment(alone.stdout)


@pytest.mark.parametrize(
    "argument", [b"a\xff\n", "部署".encode(), b"", b"--", b"--title", b"-x y", b"\xed\xa0\x80", b"a\tb\x1b[2J"]
)
def test_arguments_are_the_same_bytes(quiet: Installation, argument: bytes) -> None:
    for env in ({**quiet.env, "LC_ALL": "C"}, {**quiet.env, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        alone, under = both(quiet, ["printf", b"<%s>", argument], env=env)
        assert (under.status, under.stdout) == (alone.status, alone.stdout), under.stderr
        assert b"Traceback" not in under.stderr


def test_the_numbers_by_which_a_service_manager_names_the_process_name_the_command(quiet: Installation) -> None:
    names = "('LISTEN_PID', 'WATCHDOG_PID', 'SYSTEMD_EXEC_PID')"
    program = f"import os; print([os.environ.get(name) == str(os.getpid()) for name in {names}])"
    inner = [sys.executable, "-c", program]
    for command in (inner, wrapped(inner)):
        shell = 'export LISTEN_PID=$$ WATCHDOG_PID=$$ SYSTEMD_EXEC_PID=$$; exec "$@"'
        assert ended(quiet, ["sh", "-c", shell, "sh", *command]).stdout == b"[True, True, True]\n"


# ── Descriptors ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_descriptors_are_handed_on_and_none_is_added(quiet: Installation) -> None:
    read_end, write_end = os.pipe()
    try:
        alone, under = both(quiet, ["ls", "/proc/self/fd"], pass_fds=(read_end, write_end))
        assert under.stdout == alone.stdout
        assert ended(quiet, wrapped(["sh", "-c", f"echo through > /dev/fd/{write_end}"]), pass_fds=(write_end,)).status == 0
        assert os.read(read_end, 100) == b"through\n"
    finally:
        os.close(read_end)
        os.close(write_end)


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_what_is_closed_stays_closed(quiet: Installation, redirection: str, tmp_path: Path) -> None:
    seen: list[str] = []
    for number in range(2):
        # What is listed goes to a file by a descriptor of its own, since stdout may be the one that is closed.
        listed = tmp_path / str(number)
        inner = ["sh", "-c", f'ls /proc/$$/fd > "{listed}"']
        command = inner if number == 0 else wrapped(inner)
        ran = ended(quiet, ["sh", "-c", f'exec "$@" {redirection}', "sh", *command])
        assert ran.status == 0, ran.stderr
        seen.append(listed.read_text(encoding="ascii"))
    assert seen[0] == seen[1]


def test_process_substitution_works(quiet: Installation) -> None:
    shell = 'exec "$@" <(echo one) <(echo two)'
    command = ["bash", "-c", shell, "bash", *wrapped(["cat"])]
    assert ended(quiet, command).stdout == b"one\ntwo\n"


def test_nobody_else_holds_its_output_open(quiet: Installation) -> None:
    """Alone, a reader sees the end as soon as the command closes its output, however long it runs on."""
    reading, writing = os.pipe()
    program = "import os, sys; os.close(1); sys.stdin.read()"
    import subprocess

    process = subprocess.Popen(wrapped([sys.executable, "-c", program]), env=quiet.env, stdin=subprocess.PIPE, stdout=writing)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as reader:
            assert reader.read() == b""  # else the test's time limit ends it
        assert process.poll() is None, "it ended before it was told to"
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)


def test_nobody_else_holds_its_input_open(quiet: Installation) -> None:
    """Alone, a writer is told by SIGPIPE or EPIPE as soon as the command closes its input."""
    import subprocess

    program = "import os, sys, time; os.close(0); print('closed', flush=True); time.sleep(20)"
    process = subprocess.Popen(
        wrapped([sys.executable, "-c", program]), env=quiet.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"closed\n"
        with pytest.raises(BrokenPipeError):
            os.write(process.stdin.fileno(), bytes(1 << 20))
    finally:
        process.terminate()
        process.wait(20)
        process.stdin.close()
        process.stdout.close()


# ── Signals that the caller ignores, a clock that it has set ────────────────────────────────────────────────────────────


def test_a_caller_that_ignores_sigchld_is_no_hindrance(quiet: Installation) -> None:
    def setup() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    alone, under = both(quiet, ["grep", "SigIgn", "/proc/self/status"], setup=setup, timeout=15)
    assert (under.status, under.stdout) == (alone.status, alone.stdout)
    assert ended(quiet, wrapped(["sh", "-c", "exit 7"]), setup=setup, timeout=15).status == 7


def test_sigpipe_is_as_the_shell_hands_it_on(quiet: Installation) -> None:
    for handed_on in ("", "trap '' PIPE; "):
        probe = ["grep", "SigIgn", "/proc/self/status"]
        shell = ["sh", "-c", f'{handed_on}"$@"; exit $?', "sh"]
        seen = [ended(quiet, [*shell, *command]).stdout for command in (probe, wrapped(probe))]
        assert seen[0] == seen[1], handed_on


def test_an_alarm_that_was_set_before_ends_it(quiet: Installation) -> None:
    """``perl -e 'alarm 5; exec @ARGV'`` is an old way to limit a command's time."""

    def setup() -> None:
        signal.setitimer(signal.ITIMER_REAL, 1.5)

    alone, under = both(quiet, ["sleep", "20"], setup=setup)
    assert (alone.status, under.status) == (-signal.SIGALRM, -signal.SIGALRM)


def test_a_working_folder_that_is_gone_is_no_hindrance(quiet: Installation, tmp_path: Path) -> None:
    gone = tmp_path / "gone"

    def enter() -> None:
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()

    alone, under = both(quiet, ["readlink", "/proc/self/cwd"], setup=enter)
    assert (under.status, under.stdout) == (alone.status, alone.stdout), under.stderr


def test_nothing_of_it_is_left_out_of_the_table() -> None:
    """Every row that is compared here stands in the documents."""
    text = (Path(__file__).parents[3] / "docs" / "command-line.md").read_text(encoding="utf-8")
    table = text.partition("## What a command inherits")[2].partition("\n## ")[0]
    assert [row for row, _ in ROWS if row.partition(",")[0] not in table] == []
