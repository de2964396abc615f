from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from clawlog.protocol import spool as spool_format
from clawlog.protocol.errors import INVALID_PARAMS, RpcError
from process.scripts.conftest import Run
from support.scripted_daemon import ScriptedDaemon, Trick

SEED = (
    "--base-url",
    "http://localhost:8000",
    "--title",
    "部署 Nginx 服务",
    "--step",
    "检查本地环境",
    "--step",
    "编写配置文件",
    "--step",
    "启动并测试",
)


def test_creates_the_task_of_the_documentation(daemon: ScriptedDaemon, run: Run) -> None:
    ran = run("create_task", *SEED)
    sent = daemon.only("task.create")
    assert (ran.status, ran.stderr) == (0, "")
    assert (sent["title"], sent["base_url"]) == ("部署 Nginx 服务", "http://localhost:8000")
    assert sent["steps"] == ["检查本地环境", "编写配置文件", "启动并测试"]
    assert list(ran.json) == ["task_id", "title", "base_url", "steps"]
    assert ran.json["task_id"] == sent["task_id"]
    assert [list(step) for step in ran.json["steps"]] == [["step_id", "position", "title", "status"]] * 3


@pytest.mark.parametrize(
    ("flags", "variable", "parent"),
    [
        ((), None, None),
        ((), "outer", "outer"),
        (("--parent", "other"), "outer", "other"),
        (("--task-id", "outer"), "outer", None),
    ],
)
def test_is_a_part_of_the_task_of_its_environment(
    daemon: ScriptedDaemon, run: Run, flags: tuple[str, ...], variable: str | None, parent: str | None
) -> None:
    env = {} if variable is None else {"CLAWLOG_TASK_ID": variable}
    assert run("create_task", "--title", "t", *flags, **env).status == 0
    sent = daemon.only("task.create")
    assert sent.get("parent_task_id") == parent
    assert sent.get("parent_implied") == (True if parent == "outer" else None)  # so that the daemon may leave it out


def test_says_where_it_runs_and_under_which_agent(daemon: ScriptedDaemon, run: Run) -> None:
    assert run("create_task", "--title", "t", CLAUDECODE="1").status == 0
    sent = daemon.only("task.create")
    assert (sent["cwd"], sent["metadata"]) == (str(Path.cwd()), {"agent": "claude-code"})


def test_the_callers_own_metadata_come_first(daemon: ScriptedDaemon, run: Run) -> None:
    own = [f"--metadata=k{n}=v" for n in range(20)]
    for pairs, agent in ((["--metadata", "agent=mine"], "mine"), (own, None)):
        daemon.requests.clear()
        assert run("create_task", "--title", "t", *pairs, CLAUDECODE="1").status == 0
        assert daemon.only("task.create")["metadata"].get("agent") == agent


def test_passes_every_flag_on(daemon: ScriptedDaemon, run: Run) -> None:
    flags = (
        "--summary",
        "s",
        "--watch-pid",
        "42",
        "--lease",
        "30",
        "--metadata",
        "a=b=c",
        "--metadata",
        "k=",
        "--task-id",
        "mine",
    )
    assert run("create_task", "--title", "t", *flags).status == 0
    sent = daemon.only("task.create")
    assert (sent["summary"], sent["watch_pid"], sent["lease_s"], sent["task_id"]) == ("s", 42, 30.0, "mine")
    assert sent["metadata"] == {"a": "b=c", "k": ""}


def test_the_environment_names_the_backend_and_a_flag_goes_before_it(daemon: ScriptedDaemon, run: Run) -> None:
    run("create_task", "--title", "t", CLAWLOG_BASE_URL="http://from-env")
    run("create_task", "--title", "t", "--base-url", "http://from-flag", CLAWLOG_BASE_URL="http://from-env")
    run("create_task", "--title", "t")
    assert [each.params.get("base_url") for each in daemon.requests] == ["http://from-env", "http://from-flag", None]


def test_env_output_can_be_evaluated_by_a_shell_whatever_the_ids_are(daemon: ScriptedDaemon, run: Run) -> None:
    ran = run("create_task", "--title", "t", "--step", "a", "--step", "b", "--task-id", "it's $(touch x)", "--format", "env")
    shell = f'{ran.stdout}\nprintf "%s|" "$TASK_ID" "$STEP_ID" "$STEP_1_ID" "$STEP_2_ID"'
    evaluated = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
    assert evaluated.stdout == "it's $(touch x)|it's $(touch x)-1|it's $(touch x)-1|it's $(touch x)-2|"


def test_text_output_is_for_people(daemon: ScriptedDaemon, run: Run) -> None:
    ran = run("create_task", "--title", "部署", "--step", "检查", "--task-id", "t", "--format", "text")
    assert ran.stdout == "部署  t\n  1. 检查  t-1\n"


def test_the_state_file_holds_the_same_json_and_replaces_an_old_one(daemon: ScriptedDaemon, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "任务.json"
    path.write_text("old")
    path.chmod(0o640)
    ran = run("create_task", "--title", "t", "--state-file", str(path))
    assert json.loads(path.read_text()) == ran.json
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["任务.json"]


def test_a_state_file_that_cannot_be_written_is_told_and_the_task_is_printed(
    daemon: ScriptedDaemon, run: Run, tmp_path: Path
) -> None:
    ran = run("create_task", "--title", "t", "--state-file", str(tmp_path / "no" / "such" / "folder"))
    assert ran.status == 65
    assert "No such file or directory" in ran.stderr
    assert ran.json["title"] == "t"


def test_a_missing_title_is_a_usage_error(daemon: ScriptedDaemon, run: Run) -> None:
    ran = run("create_task", "--step", "a")
    assert (ran.status, ran.stdout, daemon.requests) == (2, "", [])
    assert "--title is missing" in ran.stderr
    assert "--help" in ran.stderr


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--watch-pid", "abc"), "'abc' is not a process id"),
        (("--watch-pid", "0"), "'0' is not a process id"),
        (("--lease", "soon"), "'soon' is not a number of seconds"),
        (("--lease", "nan"), "not a number of seconds from 0 up"),
        (("--metadata", "novalue"), "'novalue' is not KEY=VALUE"),
        (("--format", "yaml"), "invalid choice: 'yaml'"),
        (("--titel", "x"), "unrecognized arguments: --titel x"),
        (("--step",), "expected one argument"),
    ],
)
def test_a_wrong_flag_is_told_with_what_was_expected(
    daemon: ScriptedDaemon, run: Run, flags: tuple[str, ...], complaint: str
) -> None:
    ran = run("create_task", "--title", "t", *flags)
    assert (ran.status, daemon.requests) == (2, [])
    assert complaint in ran.stderr


def test_what_the_daemon_declines_is_65_with_its_words(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.answers["task.create"] = RpcError(INVALID_PARAMS, "steps: 300 of them; at most 200 are taken", field="steps")
    ran = run("create_task", "--title", "t")
    assert (ran.status, ran.stdout) == (65, "")
    assert ran.stderr == "create_task.py: steps: 300 of them; at most 200 are taken\n"
    assert run("create_task", "--title", "t", "--best-effort").status == 0


def test_without_a_daemon_the_task_is_spooled_and_its_ids_are_good(alone: Run, short_dir: Path) -> None:
    ran = alone("create_task", *SEED)
    assert ran.status == 0
    assert ran.json["spooled"] is True
    assert [step["step_id"] for step in ran.json["steps"]] == [f"{ran.json['task_id']}-{n}" for n in (1, 2, 3)]
    assert ran.stderr.count("\n") == 1
    assert "kept in the spool" in ran.stderr
    (path,) = (short_dir / "state" / "spool").glob("*.call")
    ((method, params),) = spool_format.decode(path.read_bytes()).requests
    assert (method, params["task_id"], params["title"]) == ("task.create", ran.json["task_id"], "部署 Nginx 服务")


def test_a_daemon_that_hangs_up_does_not_make_two_tasks(daemon: ScriptedDaemon, run: Run, short_dir: Path) -> None:
    daemon.answers["task.create"] = Trick.HANG_UP
    ran = run("create_task", "--title", "t")
    assert ran.json["spooled"] is True
    (path,) = (short_dir / "state" / "spool").glob("*.call")
    ((_, spooled),) = spool_format.decode(path.read_bytes()).requests
    ids = {(each.params["task_id"], each.params["event_id"]) for each in daemon.requests}
    assert ids == {(spooled["task_id"], spooled["event_id"])}, "every attempt is the same event, so that it takes effect once"


def test_neither_daemon_nor_spool_is_69(alone: Run, short_dir: Path) -> None:
    (short_dir / "file").touch()
    ran = alone("create_task", "--title", "t", CLAWLOG_STATE_DIR=f"{short_dir}/file/state")
    assert (ran.status, ran.stdout) == (69, "")
    assert "spool" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    "words", [("--title", "caf\udce9"), ("--title", "T", "--step", "\udcff"), ("--title", "T", "--summary", "\udc80")]
)
def test_words_that_are_no_utf_8_are_named_with_a_daemon_and_without(alone: Run, run: Run, words: tuple[str, ...]) -> None:
    for script in (alone, run):
        ran = script("create_task", *words)
        assert (ran.status, ran.stdout) == (2, "")
        assert "not valid UTF-8" in ran.stderr
        assert "Traceback" not in ran.stderr
