"""A fault of the daemon's own sets aside what it is about, is told, and keeps nothing else from going on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from clawlog.protocol.errors import INTERNAL_ERROR, RpcError
from clawlogd.interrupts.long_poll import LongPolls
from clawlogd.liveness.evidence import Liveness
from clawlogd.model import Task
from clawlogd.tasks.registry import ObserverOrder, Registry
from clawlogd.upstream.client import Upstream
from support.hostile_server import HostileServer
from support.running_daemon import RunningDaemon, until


async def tasks(daemon: RunningDaemon, server: HostileServer, *task_ids: str) -> None:
    for task_id in task_ids:
        await daemon.call("task.create", title="T", task_id=task_id, steps=["one"], base_url=server.url)
    await daemon.flush()


def step(server: HostileServer, task_id: str) -> str:
    return str(next(iter(server.tasks[task_id]["steps"].values())))


async def faults(daemon: RunningDaemon) -> list[dict[str, Any]]:
    return list((await daemon.call("daemon.status"))["faults"])


async def test_an_event_at_which_the_lane_fails_is_set_aside_and_the_others_go_on(
    daemon: RunningDaemon, hostile: HostileServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await tasks(daemon, hostile, "bad", "good")
    send = Upstream.send_batch

    async def send_batch(self: Upstream, records: Any) -> Any:
        if any(b"boom" in record for record in records):
            raise ZeroDivisionError("boom")
        return await send(self, records)

    monkeypatch.setattr(Upstream, "send_batch", send_batch)
    await daemon.call("step.update", task_id="bad", step=1, status="running", summary="boom")
    for number in range(5):
        await daemon.call("step.update", task_id="good", step=1, status="running", summary=f"number {number}")
        await hostile.until(
            lambda number=number: any(f"number {number}" in each.text for each in hostile.requests), timeout_s=5
        )
    (fault,) = await faults(daemon)
    assert fault["part"] == f"lane {hostile.url}"
    assert "ZeroDivisionError: boom" in fault["detail"]
    assert "test_walls.py" in fault["detail"], "it says where"
    status = await daemon.call("daemon.status")
    assert any("fault of the daemon's own" in problem for problem in status["problems"])
    assert len([each for each in caplog.records if each.getMessage() == "fault"]) == 1, "one line"
    monkeypatch.undo()
    await hostile.until(lambda: step(hostile, "bad") == "running")


async def test_a_lane_that_fails_whatever_it_does_holds_up_no_other_backend(
    daemon: RunningDaemon, new_hostile: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = await new_hostile(), await new_hostile()
    await tasks(daemon, bad, "b")
    await tasks(daemon, good, "g")
    send = Upstream.send_batch

    async def send_batch(self: Upstream, records: Any) -> Any:
        if self.base_url == bad.url:
            raise RuntimeError("broken")
        return await send(self, records)

    monkeypatch.setattr(Upstream, "send_batch", send_batch)
    for number in range(5):
        await daemon.call("step.update", task_id="b", step=1, status="running", summary=f"number {number}")
        await daemon.call("step.update", task_id="g", step=1, status="running", summary=f"number {number}")
    assert (await daemon.call("daemon.flush", task_id="g"))["flushed"] is True
    assert len(await faults(daemon)) == 1
    monkeypatch.undo()
    await daemon.flush()
    assert [each.get("summary") for each in bad.told("b", "step_status")] == [f"number {number}" for number in range(5)]


async def test_a_watcher_that_fails_begins_anew(
    daemon: RunningDaemon, hostile: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, failed = LongPolls.run, []

    async def fails_once(self: LongPolls) -> None:
        if not failed:
            failed.append(self)
            raise ZeroDivisionError
        await run(self)

    monkeypatch.setattr(LongPolls, "run", fails_once)
    await tasks(daemon, hostile, "t")
    hostile.ask_to_stop("t", interrupt_id="s")

    async def seen() -> bool:
        return bool((await daemon.call("task.get", task_id="t"))["stop"]["state"] == "requested")

    await until(seen)
    (fault,) = await faults(daemon)
    assert (fault["part"], fault["times"]) == (f"watcher {hostile.url}", 1)


@pytest.mark.parametrize("batch", [True, False], ids=["batch", "plain"])
async def test_a_task_at_whose_change_somebody_fails_keeps_no_other_from_its_stop(
    daemon: RunningDaemon, new_hostile: Any, batch: bool
) -> None:
    server = await new_hostile(batch=batch)
    await tasks(daemon, server, "a", "bad", "z")

    def fails(before: Task | None, after: Task | None) -> None:
        if after is not None and after.task_id == "bad":
            raise ZeroDivisionError

    daemon.services.registry.observe(ObserverOrder.LIVENESS, fails)
    for task_id in ("a", "bad", "z"):
        server.ask_to_stop(task_id, interrupt_id=f"s-{task_id}", reason="stop")

    async def all_seen() -> bool:
        found = (await daemon.call("task.list"))["tasks"]
        return {each["stop"]["state"] for each in found} == {"requested"}

    await until(all_seen)
    assert (daemon.state_dir / "run" / "stop" / "bad").read_text(encoding="utf-8") == "s-bad\nstop\n"


async def test_a_row_that_cannot_be_written_is_left_out_and_its_group_committed(
    daemon: RunningDaemon, hostile: HostileServer, caplog: pytest.LogCaptureFixture
) -> None:
    await tasks(daemon, hostile, "bad", "good")
    registry = daemon.services.registry
    registry.put(msgspec.structs.replace(registry.get("bad"), summary="\ud800"))
    await daemon.call("step.update", task_id="good", step=1, status="done")
    await daemon.flush()
    status = await daemon.call("daemon.status")
    assert status["outbox"]["rows_set_aside"] == 1
    assert status["outbox"]["storage_error"] is None
    assert any("cannot be written: 1" in problem for problem in status["problems"])
    await daemon.stop()
    await daemon.start()
    assert (await daemon.call("task.get", task_id="bad"))["summary"] is None
    assert (await daemon.call("task.get", task_id="good"))["steps"][0]["status"] == "done"


async def test_what_is_due_after_a_commit_and_fails_keeps_no_caller_waiting(
    daemon: RunningDaemon, hostile: HostileServer
) -> None:
    await tasks(daemon, hostile, "t")

    def fails() -> None:
        raise ZeroDivisionError

    daemon.services.outbox.after_commit(fails)
    await daemon.call("step.update", task_id="t", step=1, status="done")
    await daemon.flush()
    assert step(hostile, "t") == "done"


async def test_a_task_whose_life_cannot_be_judged_takes_no_other_tasks_beats(
    new_daemon: Callable[..., RunningDaemon], hostile: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Liveness.judge

    def judges(self: Liveness, task: Task) -> Any:
        if task.task_id == "bad":
            raise ZeroDivisionError
        return judge(self, task)

    monkeypatch.setattr(Liveness, "judge", judges)
    daemon = new_daemon()
    await daemon.start()
    await tasks(daemon, hostile, "bad", "good")
    await daemon.call("task.heartbeat", task_id="good", summary="alive")
    await hostile.until(lambda: any("alive" in each.text for each in hostile.requests))
    assert daemon.services.outbox.storage_error is None


async def test_a_listing_at_which_the_daemon_fails_is_answered_and_its_caller_goes_on(
    daemon: RunningDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("boom")

    with monkeypatch.context() as broken:
        broken.setattr(Registry, "newest_first", fail)
        with pytest.raises(RpcError) as refused:
            await daemon.call("task.list")
    assert refused.value.code == INTERNAL_ERROR
    assert (await daemon.call("task.list"))["tasks"] == []
