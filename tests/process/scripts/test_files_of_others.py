"""What the scripts write for others: a write that failed is an error, and a file keeps its kind, mode, owner and links."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clawlog.protocol.errors import INVALID_PARAMS, RpcError
from process.scripts.conftest import SCRIPTS, Run, python_of_scripts
from support.scripted_daemon import ScriptedDaemon

IO_ERROR = 74

Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(env: dict[str, str], daemon: ScriptedDaemon) -> Shell:
    """Runs a line of sh, in which ``create`` and ``update`` are the scripts."""

    def run(line: str, **more_env: str) -> subprocess.CompletedProcess[str]:
        python = f"'{python_of_scripts()}' -I -W error"
        names = (("create", "create_task"), ("update", "update_status"))
        head = "".join(f"{name}() {{ {python} '{SCRIPTS}/{script}.py' \"$@\"; }}\n" for name, script in names)
        command = ["sh", "-c", head + line]
        given = {**env, "CLAWLOG_SOCKET": daemon.address, **more_env}
        return subprocess.run(command, env=given, capture_output=True, text=True, encoding="utf-8", timeout=30, check=False)

    return run


# ── A write that failed ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "flags", ["--title t", "--title t --format env", "--title t --format text --step a", "--title t --best-effort"]
)
def test_a_task_whose_id_cannot_be_printed_is_an_error(shell: Shell, flags: str) -> None:
    ran = shell(f"create {flags} > /dev/full")
    assert ran.returncode == IO_ERROR
    assert ran.stderr.count("\n") == 1
    assert "No space left on device" in ran.stderr


@pytest.mark.parametrize(
    "flags",
    [
        "--task-id t --heartbeat",
        "--task-id t --task-status done",
        "--task-id t --check-interrupt",
        "--task-id t --wait 1 --check-interrupt",
    ],
)
def test_an_answer_that_cannot_be_printed_is_an_error(shell: Shell, flags: str) -> None:
    ran = shell(f"update {flags} > /dev/full")
    assert ran.returncode == IO_ERROR
    assert ran.stderr.count("\n") == 1
    assert "No space left on device" in ran.stderr


def test_a_stop_is_told_by_the_status_even_where_nothing_can_be_printed(shell: Shell, daemon: ScriptedDaemon) -> None:
    daemon.answers["interrupt.check"] = {
        **daemon.answers["interrupt.check"],
        "state": "requested",
        "interrupt_requested": True,
        "interrupt_id": "i",
    }
    assert shell("update --task-id t --check-interrupt > /dev/full").returncode == 20


def test_a_help_text_that_cannot_be_printed_is_an_error(shell: Shell) -> None:
    ran = shell("create --help > /dev/full")
    assert ran.returncode == IO_ERROR
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("stderr", ["2> /dev/full", "2>&-"])
def test_diagnostics_that_cannot_be_printed_change_nothing(shell: Shell, daemon: ScriptedDaemon, stderr: str) -> None:
    daemon.answers["task.create"] = RpcError(INVALID_PARAMS, "no", field="title")
    ran = shell(f"create --title t {stderr}")
    assert (ran.returncode, ran.stdout) == (65, "")
    ran = shell(f"create --titel t {stderr}")
    assert (ran.returncode, ran.stdout) == (2, "")


def test_a_reader_that_has_gone_is_no_error(shell: Shell) -> None:
    ran = shell("(create --title t; echo $? >&2) | true")
    assert ran.stderr in ("0\n", "")


# ── Ids in a shell ──────────────────────────────────────────────────────────────────────────────────────────────────────

SHOW = 'echo "[$TASK_ID$STEP_ID$STEP_1_ID$STEP_2_ID]"'
FORMER = "TASK_ID=former STEP_ID=former STEP_1_ID=former STEP_2_ID=former"


@pytest.mark.parametrize("form", ["--format env", "--format=env", "--form env"])
@pytest.mark.parametrize(
    "flags",
    [
        "--title t --step a --step b",
        "--step a --step b",
        "--title t --step a --step b --watch-pid none",
        "--title t --step a --step b --titel x",
    ],
)
def test_a_call_that_was_refused_leaves_no_former_id_in_force(
    shell: Shell, daemon: ScriptedDaemon, flags: str, form: str
) -> None:
    daemon.answers["task.create"] = RpcError(INVALID_PARAMS, "no", field="title")
    ran = shell(f'{FORMER}; eval "$(create {flags} {form})"; {SHOW}')
    assert ran.stdout == "[]\n"
    assert ran.stderr != ""


def test_a_call_that_was_refused_ends_a_script_that_wants_to_be_ended(shell: Shell, daemon: ScriptedDaemon) -> None:
    daemon.answers["task.create"] = RpcError(INVALID_PARAMS, "no", field="title")
    ran = shell('set -e; eval "$(create --title t --format env)"; echo on')
    assert (ran.returncode, ran.stdout) == (65, "")


def test_neither_daemon_nor_spool_leaves_no_former_id_in_force(shell: Shell, short_dir: Path) -> None:
    (short_dir / "file").touch()
    ran = shell(
        f'{FORMER}; eval "$(create --title t --step a --step b --format env)"; {SHOW}',
        CLAWLOG_SOCKET=f"{short_dir}/nobody",
        CLAWLOG_STATE_DIR=f"{short_dir}/file/state",
    )
    assert ran.stdout == "[]\n"


def test_a_task_with_fewer_steps_leaves_no_former_steps_in_force(shell: Shell) -> None:
    ran = shell(f'{FORMER}; export STEP_1_ID STEP_2_ID; eval "$(create --title t --task-id new --format env)"; {SHOW}')
    assert ran.stdout == "[new]\n"


def test_an_empty_task_id_is_an_error_and_not_another_task(shell: Shell, daemon: ScriptedDaemon) -> None:
    ran = shell('update --task-id "" --task-status done', CLAWLOG_TASK_ID="another")
    assert (ran.returncode, daemon.requests) == (2, [])
    assert "--task-id" in ran.stderr


# ── Files ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_state_file_keeps_its_mode(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o664)
    ran = shell(f"umask 077; create --title t --state-file '{path}'")
    assert json.loads(path.read_text(encoding="utf-8")) == json.loads(ran.stdout)
    assert stat.S_IMODE(path.stat().st_mode) == 0o664


def test_a_new_state_file_is_its_owners_alone(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    shell(f"umask 0; create --title t --state-file '{path}'")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_state_file_that_is_a_link_stays_one(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, dangling = tmp_path / "there" / "state.json", tmp_path / "dangling.json"
    target.write_text("old", encoding="utf-8")
    link = tmp_path / "link.json"
    link.symlink_to("there/state.json")
    dangling.symlink_to("there/new.json")
    for path in (link, dangling):
        ran = shell(f"create --title t --state-file '{path}'")
        assert path.is_symlink()
        assert json.loads(path.read_text(encoding="utf-8")) == json.loads(ran.stdout)
    assert sorted(each.name for each in (tmp_path / "there").iterdir()) == ["new.json", "state.json"]


def test_a_state_file_with_a_second_name_keeps_it(shell: Shell, tmp_path: Path) -> None:
    path, second = tmp_path / "state.json", tmp_path / "second.json"
    path.write_text("old", encoding="utf-8")
    second.hardlink_to(path)
    ran = shell(f"create --title t --state-file '{path}'")
    assert path.samefile(second)
    assert json.loads(second.read_text(encoding="utf-8")) == json.loads(ran.stdout)


@pytest.mark.skipif(os.geteuid() != 0, reason="wants root, to give a file away")
def test_a_state_file_keeps_its_owner(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("old", encoding="utf-8")
    os.chown(path, 1234, 2345)
    ran = shell(f"create --title t --state-file '{path}'")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)
    assert json.loads(path.read_text(encoding="utf-8")) == json.loads(ran.stdout)


def test_a_state_file_may_be_a_pipe_or_a_device(shell: Shell, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    ran = shell(f"cat '{fifo}' & create --title t --state-file '{fifo}' >/dev/null; wait")
    assert json.loads(ran.stdout)["title"] == "t"
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    ran = shell("create --title t --state-file /dev/stderr >/dev/null")
    assert json.loads(ran.stderr)["title"] == "t"
    ran = shell("create --title t --state-file /dev/null")
    assert ran.returncode == 0
    assert Path("/dev/null").is_char_device()
    ran = shell("create --title t --state-file /dev/full")
    assert ran.returncode == 65
    assert "No space left on device" in ran.stderr


def test_a_state_file_leaves_nothing_beside_it(shell: Shell, tmp_path: Path) -> None:
    ran = shell(f"for n in 1 2 3; do create --title t --state-file '{tmp_path}/state.json'; done")
    assert ran.returncode == 0
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


# ── Locales, sandboxes ──────────────────────────────────────────────────────────────────────────────────────────────────

LOCALES = (
    {"LC_ALL": "C"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LANG": "", "LC_ALL": "", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
)


@pytest.mark.parametrize("locale", LOCALES, ids=" ".join)
def test_titles_are_unicode_whatever_the_locale(env: dict[str, str], daemon: ScriptedDaemon, locale: dict[str, str]) -> None:
    for more in ([], ["--format", "text"]):  # the quick way, and the full one
        # Without -I, so that the environment's word on UTF-8 counts.
        command = [
            python_of_scripts(),
            str(SCRIPTS / "create_task.py"),
            "--title",
            "部署 Nginx",
            "--step",
            "检查",
            "--metadata",
            "键=值",
            *more,
        ]
        ran = subprocess.run(
            command, env={**env, "CLAWLOG_SOCKET": daemon.address, **locale}, capture_output=True, timeout=30, check=False
        )
        assert ran.returncode == 0, ran.stderr.decode()
        assert "部署 Nginx" in ran.stdout.decode()
    assert [(each.params["title"], each.params["steps"], each.params["metadata"]) for each in daemon.requests] == [
        ("部署 Nginx", ["检查"], {"键": "值"})
    ] * 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="wants seccomp")
@pytest.mark.parametrize(
    "arguments", [("create_task", "--title", "t"), ("update_status", "--task-id", "t", "--task-status", "done")]
)
def test_where_no_socket_may_be_made_the_spool_is_used_and_one_line_says_so(
    alone: Run, refusing_sockets: list[str], arguments: tuple[str, ...], env: dict[str, str]
) -> None:
    command = [*refusing_sockets, python_of_scripts(), "-I", str(SCRIPTS / f"{arguments[0]}.py"), *arguments[1:]]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 0
    assert json.loads(ran.stdout)
    assert ran.stderr.count("\n") == 1
    assert "Operation not permitted" in ran.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="wants seccomp")
def test_where_no_socket_may_be_made_a_check_is_unknown_and_one_line_says_so(
    refusing_sockets: list[str], env: dict[str, str]
) -> None:
    for script, *flags in (("update_status", "--check-interrupt"), ("poll_interrupt", "--timeout", "0")):
        command = [*refusing_sockets, python_of_scripts(), "-I", str(SCRIPTS / f"{script}.py"), "--task-id", "t", *flags]
        ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
        assert ran.returncode == 75
        assert json.loads(ran.stdout)
        assert "Traceback" not in ran.stderr
        assert ran.stderr.count("\n") == 1
