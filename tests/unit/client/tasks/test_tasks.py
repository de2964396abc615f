"""``clawlog.task`` and ``clawlog.async_task``: the same stories, told once for each.

A story is a coroutine over a ``Face``, which hides whether the task underneath is blocking or asyncio.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import clawlog
from clawlog.protocol import spool as spool_format
from clawlog.protocol.errors import TASK_FINISHED, RpcError
from clawlog.tasks import base, failures
from support.scripted_daemon import NO_STOP, STOP, UNKNOWN, ScriptedDaemon, Trick
from support.task_forms import Context, settled, titles_of

Start = Callable[..., Context]


@pytest.fixture(params=["blocking", "asyncio"])
def start(
    request: pytest.FixtureRequest, daemon: ScriptedDaemon, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Start:
    monkeypatch.setenv("CLAWLOG_SOCKET", daemon.address)
    make = clawlog.task if request.param == "blocking" else clawlog.async_task
    return lambda *args, **kwargs: Context(make(*args, **kwargs))


async def stop_pushed(daemon: ScriptedDaemon, task: Any) -> None:
    """Lets the daemon push a stop, and waits until the task has it (its next checkpoint raises)."""
    await settled(task.checkpoint())
    daemon.push(**STOP)
    await stop_heard(task)


async def stop_heard(task: Any) -> None:
    """Comes to checkpoints until one raises."""
    for _ in range(500):
        await settled(task.checkpoint())
        await asyncio.sleep(0.01)


def steps(daemon: ScriptedDaemon) -> list[tuple[object, str, object]]:
    """Title, status and summary of each report on a step."""
    titles = titles_of(daemon)
    return [
        (titles.get(p["step"], p["step"]), p["status"], p.get("summary"))
        for p in (each.params for each in daemon.requests if each.method == "step.update")
    ]


async def test_a_task_goes_from_created_to_done(daemon: ScriptedDaemon, start: Start) -> None:
    async with start("Deploy", steps=["check", "write"], base_url="http://b", summary="go", metadata={"k": "v"}) as task:
        for name in ("check", "write"):
            await settled(task.checkpoint())
            async with Context(task.step(name)) as step:
                await settled(step.update("half"))
                step.summary = f"{name} is well"
        task.summary = "all is well"
    created = daemon.only("task.create")
    assert (created["title"], created["steps"], created["base_url"]) == ("Deploy", ["check", "write"], "http://b")
    assert created["watch_pid"] == os.getpid(), "this process stands for the task's life"
    assert steps(daemon) == [
        ("check", "running", None),
        ("check", "running", "half"),
        ("check", "done", "check is well"),
        ("write", "running", None),
        ("write", "running", "half"),
        ("write", "done", "write is well"),
    ]
    ended = daemon.only("task.update")
    assert (ended["task_id"], ended["status"], ended["summary"]) == (task.task_id, "done", "all is well")
    assert [step.title for step in task.steps] == ["check", "write"]
    assert not task.stopped


@pytest.mark.parametrize(("watch_pid", "sent"), [(None, None), (4242, 4242)])
async def test_another_process_or_none_can_stand_for_it(
    daemon: ScriptedDaemon, start: Start, watch_pid: int | None, sent: int | None
) -> None:
    async with start("t", watch_pid=watch_pid):
        pass
    assert daemon.only("task.create").get("watch_pid") == sent


async def test_a_failing_step_is_failed_in_one_line_and_so_is_the_task_and_the_error_goes_on(
    daemon: ScriptedDaemon, start: Start
) -> None:
    with pytest.raises(ValueError, match="bad config"):
        async with start("t", steps=["check"]) as task, Context(task.step("check")):
            raise ValueError("bad config\nline 2 with details")
    assert steps(daemon)[-1] == ("check", "failed", "ValueError: bad config")
    ended = daemon.only("task.update")
    assert (ended["status"], ended["summary"]) == ("failed", "ValueError: bad config")


@pytest.mark.parametrize(
    ("error", "status", "summary"),
    [
        (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt"),
        (asyncio.CancelledError(), "interrupted", "CancelledError"),
        (SystemExit(0), "done", None),
        (SystemExit(3), "failed", "SystemExit: 3"),
        (RuntimeError(), "failed", "RuntimeError"),
        (RuntimeError("\ud800"), "failed", "RuntimeError: ?"),
    ],
)
async def test_each_way_to_leave_has_its_status(
    daemon: ScriptedDaemon, start: Start, error: BaseException, status: str, summary: str | None
) -> None:
    with pytest.raises(type(error)):
        async with start("t"):
            raise error
    ended = daemon.only("task.update")
    assert (ended["status"], ended.get("summary")) == (status, summary)


async def test_a_stop_is_raised_acknowledged_and_ends_the_block_quietly(daemon: ScriptedDaemon, start: Start) -> None:
    async with start("t", steps=["check"]) as task:
        async with Context(task.step("check")):
            await stop_pushed(daemon, task)
        raise AssertionError("the stop was not raised")
    assert task.stopped
    assert steps(daemon)[-1] == ("check", "skipped", "stopped at a safe boundary")
    ack = daemon.only("interrupt.ack")
    assert (ack["interrupt_id"], ack["summary"]) == ("stop-1", "stopped at a safe boundary")
    assert "task.update" not in daemon.methods, "the acknowledgement says it all"
    assert daemon.methods[-2:] == ["interrupt.ack", "step.update"], "with all its steps ended it would be taken for done"


async def test_the_stop_tells_who_why_and_when(daemon: ScriptedDaemon, start: Start) -> None:
    async with start("t") as task:
        with pytest.raises(clawlog.SoftStop, match="wrong branch") as caught:
            await stop_pushed(daemon, task)
        stop = caught.value
        assert (stop.task_id, stop.interrupt_id, stop.reason) == (task.task_id, "stop-1", "wrong branch")
        assert (stop.mode, stop.requested_at) == ("soft_stop", "2026-01-02T03:04:05.678Z")
        task.summary = "cleaned up"
    assert daemon.only("interrupt.ack")["summary"] == "cleaned up", "caught inside, it is acknowledged at the end all the same"


async def test_a_stop_that_was_swallowed_is_raised_again(daemon: ScriptedDaemon, start: Start) -> None:
    async with start("t") as task:
        with pytest.raises(clawlog.SoftStop):
            await stop_pushed(daemon, task)
        with pytest.raises(clawlog.SoftStop):
            await settled(task.checkpoint())


async def test_another_tasks_stop_is_not_taken_for_ones_own(daemon: ScriptedDaemon, start: Start) -> None:
    with pytest.raises(clawlog.SoftStop):
        async with start("t"):
            raise clawlog.SoftStop("other", "i", "soft_stop", None, None)
    assert daemon.only("task.update")["status"] == "failed"


async def test_on_stop_is_called_once_per_request(daemon: ScriptedDaemon, start: Start) -> None:
    told: list[clawlog.StopState] = []
    async with start("t", on_stop=told.append) as task:
        await settled(task.checkpoint())
        for interrupt_id in ("stop-1", "stop-2"):
            daemon.push(**{**STOP, "interrupt_id": interrupt_id})
            for _ in range(500):
                with contextlib.suppress(clawlog.SoftStop):
                    await settled(task.checkpoint())
                if task.stop.interrupt_id == interrupt_id:
                    break
                await asyncio.sleep(0.01)
        for _ in range(2):
            with pytest.raises(clawlog.SoftStop):
                await settled(task.checkpoint())
    assert [stop.interrupt_id for stop in told] == ["stop-1", "stop-2"]


async def test_an_asyncio_task_is_told_without_a_checkpoint(
    daemon: ScriptedDaemon, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAWLOG_SOCKET", daemon.address)
    stopped = asyncio.Event()
    async with clawlog.async_task("t", on_stop=lambda stop: stopped.set()):
        await asyncio.to_thread(daemon.wait_for, "interrupt.watch")
        daemon.push(**STOP)
        async with asyncio.timeout(5):
            await stopped.wait()


async def test_a_checkpoint_takes_no_round_trip(daemon: ScriptedDaemon, start: Start) -> None:
    async with start("t") as task:
        await settled(task.checkpoint())
        await asyncio.to_thread(daemon.wait_for, "task.heartbeat")
        before = list(daemon.methods)
        for _ in range(100):
            await settled(task.checkpoint())
        assert daemon.methods == before
    assert "interrupt.check" not in daemon.methods


async def test_a_checkpoint_is_a_sign_of_life_that_the_daemon_is_told_of_now_and_then(
    daemon: ScriptedDaemon, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start("t", watch_pid=None) as task:
        for _ in range(20):
            await settled(task.checkpoint())
        await asyncio.to_thread(daemon.wait_for, "task.heartbeat")
        assert daemon.only("task.heartbeat") == {"task_id": task.task_id}
    monkeypatch.setattr(base, "HEARTBEAT_S", 0.0)
    async with start("t", watch_pid=None) as task:
        await settled(task.checkpoint())
        await settled(task.checkpoint())
        await asyncio.to_thread(daemon.wait_for, "task.heartbeat", 3)


async def test_what_is_unknown_is_not_raised(daemon: ScriptedDaemon, start: Start) -> None:
    daemon.answers["interrupt.watch"] = UNKNOWN
    async with start("t") as task:
        await settled(task.checkpoint())
        assert task.stop.state is clawlog.StopPhase.UNKNOWN


async def test_a_withdrawn_stop_is_not_raised(daemon: ScriptedDaemon, start: Start) -> None:
    async with start("t") as task:
        await settled(task.checkpoint())
        daemon.push(**STOP)
        daemon.push(**NO_STOP)
        for _ in range(20):
            try:
                await settled(task.checkpoint())
            except clawlog.SoftStop:
                continue
            await asyncio.sleep(0.005)
        await settled(task.checkpoint())


async def test_a_heartbeat_carries_its_line(daemon: ScriptedDaemon, start: Start) -> None:
    async with start("t") as task:
        await settled(task.heartbeat("412 of 900"))
    assert daemon.only("task.heartbeat")["summary"] == "412 of 900"


class TestFailures:
    @pytest.fixture
    def spooled(self, env: dict[str, str]) -> Callable[[], list[str]]:
        folder = Path(env["CLAWLOG_STATE_DIR"]) / "spool"

        def methods() -> list[str]:
            files = [spool_format.decode(path.read_bytes()) for path in sorted(folder.glob("*.call"))]
            return [method for each in files for method, _ in each.requests]

        return methods

    async def test_without_a_daemon_the_work_goes_on_and_the_events_wait_in_order(
        self, start: Start, monkeypatch: pytest.MonkeyPatch, spooled: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("CLAWLOG_SOCKET", "/nonexistent/socket")
        async with start("t", steps=["a"]) as task:
            await settled(task.checkpoint())
            async with Context(task.step("a")):
                await settled(task.heartbeat("lost, and no harm"))
        assert task.steps[0].step_id == f"{task.task_id}-1"
        assert spooled() == ["task.create", "step.update", "step.update", "task.update"]
        assert "waits in the spool" in caplog.text

    async def test_a_hung_daemon_costs_one_time_out(
        self, daemon: ScriptedDaemon, start: Start, monkeypatch: pytest.MonkeyPatch, spooled: Callable[[], list[str]]
    ) -> None:
        for make in (clawlog.Client, clawlog.AsyncClient):
            monkeypatch.setitem(make.__init__.__kwdefaults__, "timeout_s", 0.2)
        daemon.answers["task.create"] = Trick.SILENCE
        began = time.monotonic()
        async with start("t", steps=["a"] * 20) as task:
            for position in range(1, 21):
                async with Context(task.step(position)):
                    pass
        assert time.monotonic() - began < 5
        assert spooled().count("step.update") == 40

    async def test_what_one_task_finds_out_of_a_hung_daemon_holds_for_the_next(
        self,
        daemon: ScriptedDaemon,
        start: Start,
        monkeypatch: pytest.MonkeyPatch,
        spooled: Callable[[], list[str]],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        for make in (clawlog.Client, clawlog.AsyncClient):
            monkeypatch.setitem(make.__init__.__kwdefaults__, "timeout_s", 0.2)
        daemon.answers["task.create"] = Trick.SILENCE
        for _ in range(3):
            async with start("t"):
                pass
        assert daemon.methods.count("task.create") == 1
        assert spooled() == ["task.create", "task.update"] * 3
        assert caplog.text.count("task.create waits in the spool") == 3

    async def test_a_process_that_the_daemon_cannot_see_is_left_out_where_nobody_named_it(
        self, daemon: ScriptedDaemon, start: Start, caplog: pytest.LogCaptureFixture
    ) -> None:
        refusal = RpcError(-32602, "watch_pid: cannot be seen", field="watch_pid")
        made_as_usual = daemon.answers["task.create"]
        daemon.answers["task.create"] = lambda params: refusal if "watch_pid" in params else made_as_usual(params)
        async with start("t", steps=["a"]) as task:
            pass
        asked, made = [request.params for request in daemon.requests if request.method == "task.create"]
        assert made == {name: value for name, value in asked.items() if name != "watch_pid"}
        assert daemon.methods.count("task.update") == 1
        assert (caplog.text, len(task.steps)) == ("", 1)
        async with start("t", watch_pid=os.getpid()):
            pass
        assert daemon.methods.count("task.create") == 3
        assert "task.create was not accepted" in caplog.text

    async def test_after_a_while_the_daemon_is_tried_again(
        self, daemon: ScriptedDaemon, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(failures, "QUIET_S", 0.0)
        daemon.answers["task.create"] = Trick.HANG_UP
        async with start("t"):
            pass
        assert "task.update" in daemon.methods

    async def test_a_refusal_is_a_warning(
        self, daemon: ScriptedDaemon, start: Start, caplog: pytest.LogCaptureFixture, spooled: Callable[[], list[str]]
    ) -> None:
        daemon.answers["step.update"] = RpcError(TASK_FINISHED, "it has ended")
        async with start("t", steps=["a"]) as task, Context(task.step("a")):
            pass
        assert "step.update was not accepted: it has ended" in caplog.text
        assert spooled() == []

    async def test_of_a_task_that_was_refused_nothing_more_is_said(
        self, daemon: ScriptedDaemon, start: Start, caplog: pytest.LogCaptureFixture
    ) -> None:
        daemon.answers["task.create"] = RpcError(-32602, "title: too long")
        async with start("t") as task:
            await settled(task.checkpoint())
            await settled(task.heartbeat())
        assert daemon.methods == ["task.create"]
        assert len([each for each in caplog.records if each.levelno == logging.WARNING]) == 1

    @pytest.mark.parametrize("error", [clawlog.Refused, clawlog.DaemonUnreachable])
    async def test_strict_raises(
        self, daemon: ScriptedDaemon, start: Start, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
    ) -> None:
        daemon.answers["task.create"] = RpcError(-32602, "title: too long")
        if error is clawlog.DaemonUnreachable:
            monkeypatch.setenv("CLAWLOG_SOCKET", "/nonexistent/socket")
        with pytest.raises(error):
            async with start("t", strict=True):
                raise AssertionError("entered")

    async def test_no_daemon_and_no_spool_is_a_warning_and_no_more(
        self, start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("CLAWLOG_SOCKET", "/nonexistent/socket")
        monkeypatch.setenv("CLAWLOG_STATE_DIR", str(tmp_path / "file" / "state"))
        async with start("t"):
            pass
        assert "task.create is lost" in caplog.text

    async def test_a_lost_watch_is_unknown_and_opened_again(
        self, daemon: ScriptedDaemon, start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(base, "WATCH_RETRY_S", 0.05)
        async with start("t") as task:
            await settled(task.checkpoint())
            assert task.stop.state is clawlog.StopPhase.NONE
            daemon.answers["interrupt.watch"] = STOP
            await asyncio.to_thread(daemon.hang_up)
            with pytest.raises(clawlog.SoftStop):
                await stop_heard(task)
        assert "stops of" in caplog.text


async def test_a_client_of_ones_own_stays_open(daemon: ScriptedDaemon, env: dict[str, str]) -> None:
    with clawlog.Client(daemon.address, env=env) as client:
        for _ in range(2):
            with clawlog.task("t", client=client):
                pass
    async with clawlog.AsyncClient(daemon.address, env=env) as asyncio_client:
        for _ in range(2):
            async with clawlog.async_task("t", client=asyncio_client):
                pass
    assert daemon.methods.count("task.create") == 4
    assert sys.exc_info() == (None, None, None)
