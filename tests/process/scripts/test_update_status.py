from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from clawlog.protocol import spool as spool_format
from clawlog.protocol.errors import INTERNAL_ERROR, UNKNOWN_STEP, UNKNOWN_TASK, RpcError
from process.scripts.conftest import SCRIPTS, Run, python_of_scripts
from support.scripted_daemon import NO_STOP, STOP, UNKNOWN, ScriptedDaemon, Trick, on_unix_socket, on_zeromq

STEP = ("--step-id", "编写配置文件", "--step-status", "done", "--step-summary", "nginx.conf 已生成")


def test_reports_a_step(daemon: ScriptedDaemon, run: Run) -> None:
    ran = run("update_status", "--task-id", "t", *STEP)
    sent = daemon.only("step.update")
    assert (ran.status, ran.stderr) == (0, "")
    assert (sent["step"], sent["status"], sent["summary"]) == ("编写配置文件", "done", "nginx.conf 已生成")
    assert ran.json == {"task_id": "t", "step": {"accepted": True, "event_id": sent["event_id"], "pending": 1}}


def test_gives_a_heartbeat(daemon: ScriptedDaemon, run: Run) -> None:
    ran = run("update_status", "--task-id", "t", "--heartbeat", "--heartbeat-summary", "412 of 900", "--lease", "60")
    assert daemon.only("task.heartbeat") == {"task_id": "t", "summary": "412 of 900", "lease_s": 60.0}
    assert ran.json["heartbeat"] == {"accepted": True, "next_in_s": 15.0}


def test_progress_belongs_to_the_step_of_the_same_call(daemon: ScriptedDaemon, run: Run) -> None:
    assert run("update_status", "--task-id", "t", *STEP, "--progress", "318/2480", "--heartbeat").status == 0
    assert daemon.only("step.update")["progress"] == {"done": 318, "total": 2480}
    assert "progress" not in daemon.only("task.heartbeat")


@pytest.mark.parametrize(
    ("text", "sent"), [("318", {"done": 318}), ("0.5/1", {"done": 0.5, "total": 1}), ("7/0", {"done": 7, "total": 0})]
)
def test_progress_without_a_step_is_a_heartbeat(daemon: ScriptedDaemon, run: Run, text: str, sent: dict[str, float]) -> None:
    ran = run("update_status", "--task-id", "t", "--progress", text, "--heartbeat-summary", "reading")
    assert daemon.only("task.heartbeat") == {"task_id": "t", "summary": "reading", "progress": sent}
    assert (ran.status, list(ran.json)) == (0, ["task_id", "heartbeat"])


@pytest.mark.parametrize("text", ["half", "1/", "/2", "nan", "-1", "1/inf", "1/2/3"])
def test_progress_that_is_no_number_is_wrong_usage(daemon: ScriptedDaemon, run: Run, text: str) -> None:
    ran = run("update_status", "--task-id", "t", f"--progress={text}")
    assert (ran.status, daemon.methods) == (2, [])
    assert "DONE/TOTAL" in ran.stderr


def test_new_steps_go_one_behind_the_other(daemon: ScriptedDaemon, run: Run) -> None:
    ran = run("update_status", "--task-id", "t", "--add-step", "a", "--add-step", "b", "--after", "2")
    first, second = (each.params for each in daemon.requests)
    assert (first["title"], first["after"], second["title"], second["after"]) == ("a", "2", "b", first["step_id"])
    assert [each["step"]["step_id"] for each in ran.json["new_steps"]] == [first["step_id"], second["step_id"]]


def test_waits_for_a_person_with_the_question_as_its_summary(daemon: ScriptedDaemon, run: Run) -> None:
    assert run("update_status", "--task-id", "t", "--waiting-for", "drop the column?").status == 0
    sent = daemon.only("task.update")
    assert (sent["status"], sent["summary"]) == ("waiting", "drop the column?")
    assert run("update_status", "--task-id", "t", "--task-status", "waiting").status == 0


@pytest.mark.parametrize(
    ("text", "url", "name"),
    [
        ("https://ci.example/run?id=7", "https://ci.example/run?id=7", None),
        ("pull request=https://git.example/pulls?q=a", "https://git.example/pulls?q=a", "pull request"),
        ("log=file:///tmp/x", "file:///tmp/x", "log"),  # the daemon says what is wrong with it
    ],
)
def test_links_what_there_is_to_look_at(daemon: ScriptedDaemon, run: Run, text: str, url: str, name: str | None) -> None:
    assert run("update_status", "--task-id", "t", "--link", text).status == 0
    assert (daemon.only("task.link")["url"], daemon.only("task.link").get("name")) == (url, name)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--after", "1"),
        ("--waiting-for", "x", "--task-status", "done"),
        ("--waiting-for", "x", "--task-summary", "y"),
    ],
)
def test_flags_that_do_not_fit_together_are_wrong_usage(daemon: ScriptedDaemon, run: Run, arguments: tuple[str, ...]) -> None:
    ran = run("update_status", "--task-id", "t", *arguments)
    assert (ran.status, daemon.methods) == (2, [])


def test_acknowledges_a_stop(daemon: ScriptedDaemon, run: Run) -> None:
    assert run("update_status", "--task-id", "t", "--ack-interrupt", "--ack-summary", "stopped after current step").status == 0
    assert daemon.only("interrupt.ack")["summary"] == "stopped after current step"


@pytest.mark.parametrize(("state", "status"), [(NO_STOP, 0), (STOP, 20), ({**STOP, "state": "acknowledged"}, 0), (UNKNOWN, 75)])
def test_a_check_says_by_its_exit_status_whether_to_stop(
    daemon: ScriptedDaemon, run: Run, state: dict[str, object], status: int
) -> None:
    daemon.answers["interrupt.check"] = state
    ran = run("update_status", "--task-id", "t", "--check-interrupt")
    assert (ran.status, ran.json) == (status, {"task_id": "t", "interrupt": state})
    assert ("unknown" in ran.stderr) == (status == 75)


def test_a_reason_that_looks_like_a_state_fools_nobody(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.answers["interrupt.check"] = {**NO_STOP, "reason": 'he said "state":"requested"'}
    assert run("update_status", "--task-id", "t", "--check-interrupt").status == 0


def test_actions_are_done_in_the_documented_order_over_one_connection(daemon: ScriptedDaemon, run: Run) -> None:
    everything = (
        "--check-interrupt",
        "--max-age",
        "1",
        "--ack-interrupt",
        "--task-status",
        "done",
        "--heartbeat",
        "--link",
        "https://ci.example",
        "--wait",
        "3",
        *STEP,
        "--add-step",
        "编写配置文件",
    )
    ran = run("update_status", "--task-id", "t", *everything)
    order = ["step.add", "step.update", "task.heartbeat", "task.link", "task.update", "interrupt.ack", "daemon.flush"]
    assert (ran.status, daemon.methods, daemon.connections) == (0, [*order, "interrupt.check"], 1)
    shown = ["task_id", "new_steps", "step", "heartbeat", "links", "task", "ack", "wait", "interrupt"]
    assert list(ran.json) == shown
    assert daemon.only("daemon.flush") == {"task_id": "t", "timeout_s": 3.0}
    assert daemon.only("interrupt.check") == {"task_id": "t", "max_age_s": 1.0}


def test_a_requested_stop_goes_before_everything_else(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.answers["interrupt.check"] = STOP
    daemon.answers["step.update"] = RpcError(UNKNOWN_STEP, "no such step")
    daemon.answers["daemon.flush"] = {"flushed": False, "pending": 3}
    for more in ((), ("--best-effort",)):
        ran = run("update_status", "--task-id", "t", *STEP, "--wait", "1", "--check-interrupt", *more)
        assert ran.status == 20
    assert "no such step" in ran.stderr


def test_an_unknown_step_is_65_with_the_choices(daemon: ScriptedDaemon, run: Run) -> None:
    choices = [{"step_id": "t-1", "position": 1, "title": "check"}]
    daemon.answers["step.update"] = RpcError(UNKNOWN_STEP, "No step 'chek'; give one of: 1 check", steps=choices)
    ran = run("update_status", "--task-id", "t", "--step-id", "chek", "--step-status", "done", "--heartbeat")
    assert ran.status == 65
    assert ran.json["step"]["error"] == {
        "code": "unknown_step",
        "message": "No step 'chek'; give one of: 1 check",
        "steps": choices,
    }
    assert ran.json["heartbeat"] == {"accepted": True, "next_in_s": 15.0}, "what was refused holds up nothing after it"
    assert ran.stderr == "update_status.py: No step 'chek'; give one of: 1 check\n"


def test_an_unknown_task_is_65_and_0_with_best_effort(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.answers["interrupt.check"] = RpcError(UNKNOWN_TASK, "No task 't'")
    assert run("update_status", "--task-id", "t", "--check-interrupt").status == 65
    for more_env, flag in (({}, ("--best-effort",)), ({"CLAWLOG_BEST_EFFORT": "1"}, ())):
        ran = run("update_status", "--task-id", "t", "--check-interrupt", *flag, **more_env)
        assert (ran.status, ran.stderr) == (0, "update_status.py: No task 't'\n")


def test_trouble_of_the_daemons_own_is_69_and_never_0_for_an_event(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.answers["step.update"] = RpcError(INTERNAL_ERROR, "nothing was accepted")
    ran = run("update_status", "--task-id", "t", *STEP, "--heartbeat")
    assert (ran.status, ran.stderr) == (69, "update_status.py: nothing was accepted\n")


@pytest.mark.parametrize(("given", "timeout_s"), [(("--wait",), 30.0), (("--wait", "0.5"), 0.5)])
def test_waiting_says_75_when_it_ran_out(daemon: ScriptedDaemon, run: Run, given: tuple[str, ...], timeout_s: float) -> None:
    assert run("update_status", "--task-id", "t", "--heartbeat", *given).status == 0
    daemon.answers["daemon.flush"] = {"flushed": False, "pending": 3}
    ran = run("update_status", "--task-id", "t", "--heartbeat", *given)
    assert ran.status == 75
    assert "waiting events: 3" in ran.stderr
    assert daemon.requests[-1].params == {"task_id": "t", "timeout_s": timeout_s}


def test_the_environment_names_the_task(daemon: ScriptedDaemon, run: Run) -> None:
    assert run("update_status", "--heartbeat", CLAWLOG_TASK_ID="from-env").json["task_id"] == "from-env"
    assert run("update_status", "--heartbeat", "--task-id", "flag", CLAWLOG_TASK_ID="from-env").json["task_id"] == "flag"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--heartbeat",), "--task-id is missing, and CLAWLOG_TASK_ID is not set"),
        (("--task-id", "t"), "nothing to do"),
        (("--task-id", "t", "--step-id", "1"), "--step-id needs --step-status"),
        (("--task-id", "t", "--step-status", "done"), "--step-status needs --step-id"),
        (("--task-id", "t", "--step-summary", "x", "--heartbeat"), "--step-summary needs --step-id"),
        (("--task-id", "t", "--heartbeat-summary", "x", "--check-interrupt"), "--heartbeat-summary needs --heartbeat"),
        (("--task-id", "t", "--lease", "9", "--check-interrupt"), "--lease needs --heartbeat"),
        (("--task-id", "t", "--ack-summary", "x", "--check-interrupt"), "--ack-summary needs --ack-interrupt"),
        (("--task-id", "t", "--task-summary", "x", "--check-interrupt"), "--task-summary needs --task-status"),
        (("--task-id", "t", "--max-age", "1", "--heartbeat"), "--max-age needs --check-interrupt"),
        (("--task-id", "t", "--step-id", "1", "--step-status", "finished"), "invalid choice: 'finished'"),
        (("--task-id", "t", "--task-status", "pending"), "invalid choice: 'pending'"),
        (("--task-id", "t", "--heart"), "unrecognized arguments: --heart"),
        (("--task-id", "t", "--wait", "-3"), "not a number of seconds from 0 up"),
        (("--task-id",), "expected one argument"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(
    daemon: ScriptedDaemon, run: Run, arguments: tuple[str, ...], complaint: str
) -> None:
    ran = run("update_status", *arguments)
    assert (ran.status, ran.stdout, daemon.requests) == (2, "", [])
    assert complaint in ran.stderr


@pytest.mark.parametrize("script", ["create_task", "update_status", "poll_interrupt"])
def test_help_has_examples_and_exit_statuses(alone: Run, script: str) -> None:
    ran = alone(script, "--help")
    assert (ran.status, ran.stderr) == (0, "")
    for part in (
        f"python3 scripts/{script}.py",
        "exit statuses:",
        "20  a stop is requested",
        "CLAWLOG_SOCKET",
        "--best-effort",
    ):
        assert part in ran.stdout


class TestWithoutDaemon:
    def test_events_wait_in_the_spool_and_a_heartbeat_does_not(self, alone: Run, short_dir: Path) -> None:
        ran = alone("update_status", "--task-id", "t", *STEP, "--heartbeat", "--task-status", "done")
        assert ran.status == 0
        assert ran.json["step"]["spooled"] is True
        assert ran.json["heartbeat"]["error"]["code"] == "unavailable"
        (path,) = (short_dir / "state" / "spool").glob("*.call")
        assert [method for method, _ in spool_format.decode(path.read_bytes()).requests] == ["step.update", "task.update"]
        assert ran.stderr.count("\n") == 1

    def test_a_heartbeat_alone_is_69(self, alone: Run) -> None:
        ran = alone("update_status", "--task-id", "t", "--heartbeat")
        assert (ran.status, ran.json["heartbeat"]["error"]["code"]) == (69, "unavailable")
        assert alone("update_status", "--task-id", "t", "--heartbeat", "--best-effort").status == 0

    def test_whether_to_stop_is_unknown(self, alone: Run) -> None:
        ran = alone("update_status", "--task-id", "t", "--check-interrupt")
        assert (ran.status, ran.json["interrupt"]["state"]) == (75, "unknown")
        assert "No daemon" in ran.stderr
        assert alone("update_status", "--task-id", "t", *STEP, "--check-interrupt").status == 75

    def test_no_spool_either_is_69(self, alone: Run, short_dir: Path) -> None:
        (short_dir / "file").touch()
        ran = alone("update_status", "--task-id", "t", *STEP, CLAWLOG_STATE_DIR=f"{short_dir}/file/state")
        assert ran.status == 69
        assert "Traceback" not in ran.stderr

    def test_a_dead_daemons_socket_is_no_daemon(self, alone: Run, short_dir: Path) -> None:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(f"{short_dir}/dead")
        ran = alone("update_status", "--task-id", "t", *STEP, CLAWLOG_SOCKET=f"{short_dir}/dead")
        assert (ran.status, ran.json["step"]["spooled"]) == (0, True)

    @pytest.mark.parametrize("trick", [Trick.HANG_UP, Trick.GARBAGE])
    def test_a_daemon_that_answers_nonsense_is_none(self, daemon: ScriptedDaemon, run: Run, trick: Trick) -> None:
        daemon.answers["step.update"] = trick
        ran = run("update_status", "--task-id", "t", *STEP)
        assert (ran.status, ran.json["step"]["spooled"]) == (0, True)
        assert len({each.params["event_id"] for each in daemon.requests}) == 1


def test_a_wrong_address_is_a_usage_error(alone: Run) -> None:
    ran = alone("update_status", "--task-id", "t", "--heartbeat", CLAWLOG_SOCKET="http://localhost")
    assert ran.status == 2
    assert "CLAWLOG_SOCKET" in ran.stderr


def test_speaks_zeromq(alone: Run, short_dir: Path) -> None:
    with on_zeromq(f"ipc://{short_dir}/z") as daemon:
        daemon.answers["interrupt.check"] = STOP
        ran = alone("update_status", "--task-id", "t", *STEP, "--check-interrupt", CLAWLOG_SOCKET=daemon.address)
        assert (ran.status, ran.stderr) == (20, "")
        assert daemon.only("step.update")["summary"] == "nginx.conf 已生成"


def test_text_that_is_not_utf_8_is_refused_clearly(daemon: ScriptedDaemon, env: dict[str, str]) -> None:
    command = [
        python_of_scripts(),
        str(SCRIPTS / "update_status.py"),
        "--task-id",
        "t",
        "--heartbeat",
        "--heartbeat-summary",
        b"\xff",
    ]
    ended = subprocess.run(command, env=env | {"CLAWLOG_SOCKET": daemon.address}, check=False, capture_output=True, text=True)
    assert (ended.returncode, daemon.requests) == (2, [])
    assert "not valid UTF-8" in ended.stderr


def test_a_task_id_in_the_environment_that_is_not_utf_8_is_refused_clearly(daemon: ScriptedDaemon, env: dict[str, str]) -> None:
    command = [python_of_scripts(), str(SCRIPTS / "update_status.py"), "--heartbeat"]
    environment = {name.encode(): value.encode() for name, value in env.items()}
    environment |= {b"CLAWLOG_SOCKET": daemon.address.encode(), b"CLAWLOG_TASK_ID": b"\xff"}
    ended = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("closed", ["1>&-", "1>/dev/full", "| true"])
def test_a_reader_that_has_gone_does_not_change_what_is_done(daemon: ScriptedDaemon, env: dict[str, str], closed: str) -> None:
    daemon.answers["interrupt.check"] = STOP
    script = f'"$0" "$1" --task-id t --check-interrupt --heartbeat {closed}; echo "status $?" >&2'
    ended = subprocess.run(
        ["sh", "-c", script, python_of_scripts(), str(SCRIPTS / "update_status.py")],
        env=env | {"CLAWLOG_SOCKET": daemon.address},
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.stderr == ("status 0\n" if closed == "| true" else "status 20\n")


def test_ctrl_c_is_130_and_quiet(daemon: ScriptedDaemon, env: dict[str, str]) -> None:
    daemon.answers["task.heartbeat"] = Trick.SILENCE
    command = [python_of_scripts(), str(SCRIPTS / "update_status.py"), "--task-id", "t", "--heartbeat"]
    script = subprocess.Popen(
        command, env=env | {"CLAWLOG_SOCKET": daemon.address}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    daemon.wait_for("task.heartbeat")
    os.kill(script.pid, signal.SIGINT)
    stdout, stderr = script.communicate(timeout=10)
    assert (script.returncode, stdout, stderr) == (130, b"", b"")


def test_runs_from_a_copy_without_init_files_in_a_read_only_folder(short_dir: Path, env: dict[str, str]) -> None:
    import shutil

    copy = short_dir / "skill"
    shutil.copytree(SCRIPTS, copy / "scripts")
    ignored = shutil.ignore_patterns("_*", "cli")
    shutil.copytree(SCRIPTS.parent / "client", copy / "client", ignore=ignored)
    assert not list(copy.rglob("_*"))
    for folder in (copy, *copy.rglob("*")):
        folder.chmod(0o555 if folder.is_dir() else 0o444)
    environment = {name: value for name, value in env.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [python_of_scripts(), "-W", "error", str(copy / "scripts" / "update_status.py"), "--task-id", "t"]
    try:
        with on_unix_socket(f"{short_dir}/s") as daemon:
            environment["CLAWLOG_SOCKET"] = daemon.address
            quick = subprocess.run([*command, "--heartbeat"], env=environment, check=False, capture_output=True, text=True)
            full = subprocess.run(
                [*command, "--heartbeat", "--wait"], env=environment, check=False, capture_output=True, text=True
            )
    finally:
        for folder in (copy, *copy.rglob("*")):
            folder.chmod(0o755)
    assert (quick.returncode, quick.stderr, full.returncode, full.stderr) == (0, "", 0, "")


def test_without_the_library_the_script_says_what_to_install(short_dir: Path, env: dict[str, str]) -> None:
    import shutil

    shutil.copytree(SCRIPTS, short_dir / "scripts")
    command = [python_of_scripts(), "-I", "-S", str(short_dir / "scripts" / "update_status.py"), "--heartbeat"]
    ended = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
    assert ended.returncode == 69
    assert "pip install ." in ended.stderr
    assert "Traceback" not in ended.stderr
