"""The scripts' own modules, in this process; as programs they are tested in ``tests/process/scripts``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clawlog.protocol.errors import UNKNOWN_STEP, RpcError
from clawlog.scripting import create_task, fast, poll_interrupt, update_status
from support.scripted_daemon import NO_STOP, STOP, UNKNOWN, ScriptedDaemon


@pytest.fixture(autouse=True)
def _here(env: dict[str, str], daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAWLOG_SOCKET", daemon.address)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAWLOG_SOCKET", "/nonexistent/socket")


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


def test_create_task_in_every_format(daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    common = ["--title", "t", "--task-id", "id", "--step", "a", "--metadata", "k=v", "--state-file", str(tmp_path / "s")]
    assert create_task.main(common) == 0
    assert last_line(capsys) == json.loads((tmp_path / "s").read_text())
    assert create_task.main([*common, "--format", "env"]) == 0
    assert capsys.readouterr().out == "TASK_ID=id\nSTEP_ID=id-1\nSTEP_1_ID=id-1\n"
    assert create_task.main([*common, "--format", "text"]) == 0
    assert capsys.readouterr().out == "t  id\n  1. a  id-1\n"
    assert create_task.main([*common, "--state-file", str(tmp_path)]) == 65


def test_create_task_refused(daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answers["task.create"] = RpcError(-32602, "title: too long")
    assert create_task.main(["--title", "t"]) == 65
    assert create_task.main(["--title", "t", "--best-effort"]) == 0
    assert "title: too long" in capsys.readouterr().err


@pytest.mark.usefixtures("alone")
def test_create_task_without_a_daemon(capsys: pytest.CaptureFixture[str]) -> None:
    assert create_task.main(["--title", "t", "--step", "a"]) == 0
    assert last_line(capsys)["spooled"] is True
    assert create_task.main(["--title", "x" * 300]) == 65


def test_update_status_combined(daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.answers["step.update"] = RpcError(UNKNOWN_STEP, "no step", steps=["a"])
    arguments = ["--task-id", "t", "--step-id", "x", "--step-status", "done", "--heartbeat", "--wait", "1", "--check-interrupt"]
    assert update_status.main(arguments) == 65
    assert last_line(capsys)["step"] == {"error": {"code": "unknown_step", "message": "no step", "steps": ["a"]}}
    daemon.answers["daemon.flush"] = {"flushed": False, "pending": 2}
    assert update_status.main(["--task-id", "t", "--heartbeat", "--wait"]) == 75
    for state, status in ((STOP, 20), (NO_STOP, 0), (UNKNOWN, 75)):
        daemon.answers["interrupt.check"] = state
        assert update_status.main(["--task-id", "t", "--check-interrupt"]) == status


@pytest.mark.usefixtures("alone")
def test_update_status_without_a_daemon(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert update_status.main(["--task-id", "t", "--check-interrupt"]) == 75
    assert update_status.main(["--task-id", "t", "--heartbeat"]) == 69
    assert update_status.main(["--task-id", "t", "--task-status", "done", "--heartbeat"]) == 0
    monkeypatch.setenv("CLAWLOG_STATE_DIR", "/dev/null/state")
    assert update_status.main(["--task-id", "t", "--task-status", "done"]) == 69
    monkeypatch.setenv("CLAWLOG_SOCKET", "http://x")
    assert update_status.main(["--task-id", "t", "--heartbeat"]) == create_task.main(["--title", "t"]) == 2
    monkeypatch.setenv("CLAWLOG_TASK_ID", "\udcff")
    assert update_status.main(["--heartbeat"]) == 2


@pytest.mark.parametrize("arguments", [[], ["--heartbeat"], ["--task-id", "t"], ["--task-id", "t", "--step-id", "1"]])
def test_a_usage_error_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for main in (create_task.main, update_status.main):
        with pytest.raises(SystemExit, match="2"):
            main(arguments)


def test_poll_interrupt(daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    for state, status in ((STOP, 20), (NO_STOP, 0), (UNKNOWN, 75)):
        daemon.answers["interrupt.check"] = daemon.answers["interrupt.watch"] = state
        assert poll_interrupt.main(["--task-id", "t", "--timeout", "0", "--exec", "true"]) == status
        assert poll_interrupt.main(["--task-id", "t", "--timeout", "0.2", "--follow"]) == status
    daemon.answers["interrupt.check"] = RpcError(-32001, "no task")
    assert poll_interrupt.main(["--task-id", "t"]) == 65
    with pytest.raises(SystemExit, match="2"):
        poll_interrupt.main(["--task-id", "t", "--signal", "TERM"])


@pytest.mark.usefixtures("alone")
def test_poll_interrupt_without_a_daemon(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert poll_interrupt.main(["--task-id", "t", "--timeout", "0"]) == 75
    assert poll_interrupt.main(["--task-id", "t", "--timeout", "0.05", "--follow"]) == 75
    monkeypatch.setenv("CLAWLOG_SOCKET", "http://x")
    assert poll_interrupt.main(["--task-id", "t"]) == 2


class TestEntry:
    """``fast.main``, which every script calls. The fast path would end this process, so its exit is caught."""

    @pytest.fixture(autouse=True)
    def _exits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def leave(status: int) -> None:
            raise SystemExit(status)

        monkeypatch.setattr("os._exit", leave)

    def test_takes_the_fast_path(self, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
        monkeypatch.setattr("sys.argv", ["update_status.py", "--task-id", "t", "--heartbeat"])
        with pytest.raises(SystemExit, match="0"):
            fast.main("update_status")
        assert capsysbinary.readouterr().out.startswith(b'{"task_id":"t","heartbeat":')

    def test_takes_the_full_path_when_the_line_is_unusual(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("sys.argv", ["update_status.py", "--task-id=t", "--heartbeat"])
        assert fast.main("update_status") == 0

    def test_takes_over_with_the_same_events_when_the_answer_is_unusual(
        self, daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        daemon.answers["task.update"] = RpcError(-32003, "it has ended")
        monkeypatch.setattr("sys.argv", ["update_status.py", "--task-id", "t", "--task-status", "done"])
        assert fast.main("update_status") == 65
        first, second = daemon.requests
        assert first.params == second.params

    def test_ctrl_c_is_130(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(fast, "prepare", interrupted)
        assert fast.main("update_status") == 130
