"""Each of the protocol's own errors: when it comes, with what data, and that nothing was half-done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clawlog.protocol import errors
from clawlog.protocol.errors import RpcError
from clawlogd.rpc.routes import ROUTES, Route
from clawlogd.settings import OutboxBounds, Tasks
from clawlogd.verbs.fields import NoParams
from clawlogd.verbs.verb import Verb
from support.callers import Caller, call
from support.plain_server import PlainServer
from support.running_daemon import QUICK, RunningDaemon, until

NOBODY = "http://127.0.0.1:9"


async def refusal(caller: Caller, method: str, **params: Any) -> RpcError:
    with pytest.raises(RpcError) as refused:
        await call(caller, method, **params)
    return refused.value


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("task.get", {}),
        ("task.update", {"status": "done"}),
        ("task.heartbeat", {}),
        ("step.update", {"step": 1, "status": "done"}),
        ("interrupt.check", {}),
        ("interrupt.watch", {}),
        ("interrupt.ack", {}),
        ("daemon.flush", {}),
    ],
)
async def test_an_unknown_task_is_refused_by_every_verb_that_names_one(
    caller: Caller, method: str, params: dict[str, Any]
) -> None:
    error = await refusal(caller, method, task_id="nobody", **params)
    assert (error.code, error.data) == (errors.UNKNOWN_TASK, {"code": "unknown_task", "task_id": "nobody"})


async def test_an_unknown_step_lists_the_choices(caller: Caller) -> None:
    await call(caller, "task.create", title="T", task_id="t", steps=["检查", {"title": "编写", "step_id": "config"}])
    error = await refusal(caller, "step.update", task_id="t", step="启动", status="done")
    assert (error.code, error.name) == (errors.UNKNOWN_STEP, "unknown_step")
    assert error.data["steps"] == [
        {"step_id": "t-1", "position": 1, "title": "检查"},
        {"step_id": "config", "position": 2, "title": "编写"},
    ]
    assert error.message == "No step '启动' in task t; give an id, a position or a title of: 1 检查; 2 编写"


@pytest.mark.parametrize("end", ["done", "failed", "interrupted"])
async def test_a_finished_task_takes_nothing_until_it_runs_again(caller: Caller, end: str) -> None:
    await call(caller, "task.create", title="T", task_id="t", steps=["one"], base_url=NOBODY)
    await call(caller, "task.update", task_id="t", status=end)
    for method, params in (
        ("step.update", {"step": 1, "status": "done"}),
        ("task.update", {"status": "done"}),
        ("task.heartbeat", {}),
    ):
        error = await refusal(caller, method, task_id="t", **params)
        assert (error.code, error.data) == (errors.TASK_FINISHED, {"code": "task_finished", "status": end})
    assert (await call(caller, "task.get", task_id="t"))["pending"] == 2
    await call(caller, "task.update", task_id="t", status="running")
    await call(caller, "step.update", task_id="t", step=1, status="done")
    assert (await call(caller, "task.get", task_id="t"))["status"] == "running"


async def test_a_task_id_that_is_taken_is_refused(caller: Caller) -> None:
    await call(caller, "task.create", title="First", task_id="t")
    error = await refusal(caller, "task.create", title="Second", task_id="t")
    assert (error.code, error.data["field"]) == (errors.INVALID_PARAMS, "task_id")
    assert (await call(caller, "task.get", task_id="t"))["title"] == "First"


async def test_a_full_outbox_refuses_and_changes_nothing_until_there_is_room(
    new_daemon: Callable[..., RunningDaemon], plain: PlainServer
) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, outbox=OutboxBounds(max_events=2)))
    await daemon.start()
    await plain.stop()
    caller = await daemon.connect()
    await call(caller, "task.create", title="T", task_id="t", steps=["one"], base_url=plain.url)
    await call(caller, "step.update", task_id="t", step=1, status="running")
    before = await call(caller, "task.get", task_id="t")
    for method, params in (
        ("step.update", {"task_id": "t", "step": 1, "status": "done"}),
        ("task.update", {"task_id": "t", "status": "done"}),
        ("task.create", {"title": "Another", "task_id": "u"}),
    ):
        error = await refusal(caller, method, **params)
        assert (error.code, error.name) == (errors.OUTBOX_FULL, "outbox_full")
        assert "nothing was accepted" in error.message
    after = await call(caller, "task.get", task_id="t")
    assert {**after, "stop": None, "liveness": None} == {**before, "stop": None, "liveness": None}
    status = await call(caller, "daemon.status")
    assert (status["tasks"]["known"], status["outbox"]["pending"]) == (1, 2)
    assert any("outbox is full" in problem for problem in status["problems"])
    await plain.start()
    await daemon.flush()
    await call(caller, "step.update", task_id="t", step=1, status="done")
    await daemon.flush()
    assert plain.only_task.steps[0].status == "done"


async def test_an_outbox_full_of_bytes_refuses_too(new_daemon: Callable[..., RunningDaemon]) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, outbox=OutboxBounds(max_bytes=1024)))
    await daemon.start()
    caller = await daemon.connect()
    await call(caller, "task.create", title="x" * 200, task_id="t", base_url=NOBODY)
    error = await refusal(caller, "task.create", title="T", steps=["x" * 200] * 5, base_url=NOBODY)
    assert error.code == errors.OUTBOX_FULL
    assert "1024 bytes" in error.message


async def test_more_tasks_than_may_be_known_are_refused(new_daemon: Callable[..., RunningDaemon]) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, tasks=Tasks(max_known=1)))
    await daemon.start()
    caller = await daemon.connect()
    await call(caller, "task.create", title="T", base_url=NOBODY)
    error = await refusal(caller, "task.create", title="T", base_url=NOBODY)
    assert error.code == errors.OUTBOX_FULL
    assert "tasks.max_known" in error.message


async def test_a_daemon_that_ends_refuses_what_comes_and_cuts_short_what_waits(daemon: RunningDaemon) -> None:
    await daemon.call("task.create", title="T", task_id="t", base_url=NOBODY)
    waiting, other = await daemon.connect(), await daemon.connect()
    wait = asyncio.create_task(refusal(waiting, "interrupt.check", task_id="t", wait_s=300))
    flush = asyncio.create_task(refusal(other, "daemon.flush", timeout_s=300))
    await until(lambda: daemon.services.interrupts.awaited)
    daemon.request_shutdown()
    for task in (wait, flush):
        error = await task
        assert (error.code, error.name) == (errors.SHUTTING_DOWN, "shutting_down")
    await daemon.stopped()


async def test_a_commit_that_fails_refuses_and_puts_everything_back(daemon: RunningDaemon, folder: Path) -> None:
    await daemon.call("task.create", title="T", task_id="t", steps=["one"], base_url=NOBODY)
    before = await daemon.call("task.get", task_id="t")
    # SQLite itself refuses to grow the file, as on a full disk.
    await daemon.services.outbox.read(lambda store: store.connection.execute("PRAGMA max_page_count = 1").fetchone())
    callers = [await daemon.connect() for _ in range(3)]
    big: dict[str, Any] = {"title": "x" * 200, "steps": ["部" * 200] * 50, "base_url": NOBODY}
    refused = await asyncio.gather(
        refusal(callers[0], "task.create", **big, task_id="big"),
        refusal(callers[1], "task.create", **big, task_id="big-too"),
    )
    assert {(error.code, error.name) for error in refused} == {(errors.STORAGE_FAILED, "storage_failed")}
    assert all("Nothing was accepted" in error.message for error in refused)
    assert [task["task_id"] for task in (await daemon.call("task.list"))["tasks"]] == ["t"]
    assert (await daemon.call("task.get", task_id="t"))["pending"] == before["pending"]
    status = await daemon.call("daemon.status")
    assert status["outbox"]["storage_error"] is not None
    assert any("the last commit failed" in problem for problem in status["problems"])
    await daemon.services.outbox.read(lambda store: store.connection.execute("PRAGMA max_page_count = 1000000").fetchone())
    await until(lambda: daemon.services.outbox.storage_error is None)  # found out by itself
    await call(callers[2], "task.create", **big, task_id="big")


async def test_a_fault_of_the_daemon_itself_is_said_without_its_details_and_logged(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("the inside")

    monkeypatch.setitem(ROUTES, "test.broken", Route(Verb("test.broken", NoParams, NoParams, broken)))
    error = await refusal(caller, "test.broken")
    assert (error.code, error.name) == (errors.INTERNAL_ERROR, "internal_error")
    assert "inside" not in error.message
    (record,) = [record for record in caplog.records if record.getMessage() == "command_failed"]
    assert record.exc_info is not None
    assert (await call(caller, "deadletter.list")) == {"dead_letters": []}
