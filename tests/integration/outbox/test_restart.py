"""A daemon that ends and starts again goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from clawlogd.model import Interrupt
from clawlogd.settings import Shutdown
from support.hostile_texts import unclean
from support.plain_server import PlainServer
from support.running_daemon import QUICK, RunningDaemon

STEADY = ("task_id", "title", "status", "summary", "steps", "stop", "pending", "delivered", "metadata", "created_at")


async def view(daemon: RunningDaemon, task_id: str = "t") -> dict[str, Any]:
    task = await daemon.call("task.get", task_id=task_id)
    task["stop"].pop("age_s")
    return {key: task[key] for key in STEADY}


async def test_tasks_and_the_map_of_ids_are_kept(daemon: RunningDaemon, plain: PlainServer) -> None:
    made = await daemon.call(
        "task.create", title="T", task_id="t", steps=["one", "二"], base_url=plain.url, metadata={"分支": "main"}, lease_s=30
    )
    await daemon.call("step.update", task_id="t", step=made["steps"][0]["step_id"], status="done", summary="there")
    await daemon.flush()
    before = await view(daemon)
    await daemon.stop()
    await daemon.start()
    assert await view(daemon) == before
    assert (await daemon.call("task.get", task_id="t"))["liveness"]["lease_s"] == 30
    await daemon.call("step.update", task_id="t", step="二", status="running")
    await daemon.flush()
    task = plain.only_task
    assert plain.events[-1].path == f"/api/tasks/{task.task_id}/steps/{task.steps[1].step_id}"
    assert [step.status for step in task.steps] == ["done", "running"]
    assert len(plain.events) == 3


async def test_a_stop_is_kept_and_told_without_asking_the_backend(daemon: RunningDaemon, plain: PlainServer) -> None:
    await daemon.call("task.create", title="T", task_id="t", base_url=plain.url)
    await daemon.flush()
    stop = plain.ask_to_stop(plain.only_task.task_id, "why")
    assert (await daemon.call("interrupt.check", task_id="t", wait_s=10))["interrupt_requested"] is True
    await daemon.stop()
    file = daemon.state_dir / "run" / "stop" / "t"
    await plain.stop()
    file.unlink()
    (file.parent / "stale").touch()
    await daemon.start()
    known = await daemon.call("interrupt.check", task_id="t")
    assert (known["state"], known["interrupt_id"], known["reason"]) == ("requested", str(stop.interrupt_id), "why")
    assert [path.name for path in file.parent.iterdir()] == ["t"]


async def test_an_acknowledged_stop_is_not_taken_for_a_new_one(daemon: RunningDaemon, plain: PlainServer) -> None:
    await daemon.call("task.create", title="T", task_id="t", base_url=plain.url)
    await daemon.flush()
    plain.ask_to_stop(plain.only_task.task_id)
    await daemon.call("interrupt.check", task_id="t", wait_s=10)
    await daemon.call("interrupt.ack", task_id="t")
    await daemon.flush()
    await daemon.stop()
    await daemon.start()
    known = await daemon.call("interrupt.check", task_id="t", max_age_s=3600)
    assert known["interrupt_requested"] is False
    assert (await view(daemon))["status"] == "interrupted"


async def test_what_waited_at_the_end_is_delivered_after_the_start_in_order(daemon: RunningDaemon, plain: PlainServer) -> None:
    await plain.stop()
    await daemon.call("task.create", title="T", task_id="t", steps=["one"], base_url=plain.url)
    for number in range(20):
        await daemon.call("step.update", task_id="t", step=1, status="running", summary=f"number {number}")
    await daemon.stop()
    await daemon.start()
    assert (await daemon.call("task.get", task_id="t"))["pending"] == 21
    await daemon.call("step.update", task_id="t", step=1, status="done", summary="after the start")
    await plain.start()
    await daemon.flush()
    assert [each.body.get("summary") for each in plain.events[1:]] == [*(f"number {n}" for n in range(20)), "after the start"]


async def test_nothing_is_delivered_twice_when_the_end_was_in_order(
    new_daemon: Callable[..., RunningDaemon], plain: PlainServer
) -> None:
    # With the time to finish its last request, however busy the machine is: one that is cut short is sent again.
    daemon = new_daemon(msgspec.structs.replace(QUICK, shutdown=Shutdown(deliver_s=20.0, deadline_s=30.0)))
    await daemon.start()
    for number in range(3):
        await daemon.call("task.create", title=f"{number}", base_url=plain.url)
        await daemon.stop()
        await daemon.start()
    await daemon.flush()
    keys = [each.key for each in plain.events]
    assert len(keys) == len(set(keys)) == 3


async def test_what_was_kept_before_there_was_a_door_is_cleaned_as_it_is_read(daemon: RunningDaemon) -> None:
    await daemon.call("task.create", title="T", task_id="old")
    registry = daemon.services.registry
    words = Interrupt("a\nb", "soft\x1b[2Jstop", "why\x00 \u202e", "2026\x9b")
    registry.put(msgspec.structs.replace(registry.get("old"), interrupt=words))
    await daemon.call("task.update", task_id="old", status="running")
    await daemon.stop()
    await daemon.start()
    task = await daemon.call("task.get", task_id="old")
    assert unclean(task) == []
    assert (task["stop"]["interrupt_id"], task["stop"]["reason"]) == ("a b", "why")
    assert (daemon.state_dir / "run" / "stop" / "old").read_text(encoding="utf-8") == "a b\nwhy\n"
