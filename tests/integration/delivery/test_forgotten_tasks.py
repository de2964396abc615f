"""A backend that was put back to an older copy, or wiped, is told anew of the tasks that it no longer knows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support.backend_process import BackendProcess
from support.hostile_server import Answer, HostileServer
from support.running_daemon import RunningDaemon, until

NewHostile = Callable[..., Awaitable[HostileServer]]
both = pytest.mark.parametrize("batch", [True, False], ids=["batch", "plain"])


@pytest.fixture(autouse=True)
def quickly(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause of a tenth between the two reads; those with the embedded backend wait the usual one."""
    if "embedded" not in request.node.name:
        monkeypatch.setattr("clawlogd.delivery.resync._APART_S", 0.2)


async def two_tasks(daemon: RunningDaemon, server: HostileServer) -> None:
    for task_id in ("t", "other"):
        await daemon.call(
            "task.create", title=f"Title of {task_id}", task_id=task_id, steps=["one", "two", "three"], base_url=server.url
        )
        await daemon.call("step.update", task_id=task_id, step=1, status="done", summary="first")
    await daemon.flush()


async def dead(daemon: RunningDaemon) -> list[Any]:
    return list((await daemon.call("deadletter.list"))["dead_letters"])


@both
@pytest.mark.parametrize("all_of_them", [False, True], ids=["one task", "all tasks"])
async def test_a_task_that_was_forgotten_is_told_anew_with_its_present_state(
    daemon: RunningDaemon, new_hostile: NewHostile, batch: bool, all_of_them: bool
) -> None:
    server = await new_hostile(batch=batch)
    await two_tasks(daemon, server)
    server.forget(*(() if all_of_them else ("t",)))
    await daemon.call("step.update", task_id="t", step=2, status="running")
    await daemon.call("step.update", task_id="t", step=2, status="done", summary="second")
    await server.until(lambda: "t" in server.tasks and list(server.tasks["t"]["steps"].values())[1] == "done", timeout_s=8)
    task = server.tasks["t"]
    assert task["title"] == "Title of t"
    assert list(task["steps"].values()) == ["done", "done", "pending"]
    assert task["status"] == "running"
    await daemon.flush()
    assert await dead(daemon) == []


@both
async def test_a_beat_is_enough_to_find_out(daemon: RunningDaemon, new_hostile: NewHostile, batch: bool) -> None:
    server = await new_hostile(batch=batch)
    await two_tasks(daemon, server)
    server.forget("t")
    await daemon.call("task.heartbeat", task_id="t", summary="still here")
    await server.until(lambda: "t" in server.tasks, timeout_s=8)


@both
async def test_a_stop_of_a_forgotten_task_is_unknown_meanwhile(
    daemon: RunningDaemon, new_hostile: NewHostile, batch: bool
) -> None:
    server = await new_hostile(batch=batch)
    await two_tasks(daemon, server)
    assert (await daemon.call("interrupt.check", task_id="t", max_age_s=0))["state"] == "none"
    server.poison = lambda asked: Answer(503) if asked.path == "/api/tasks" and asked.method == "POST" else None
    server.forget("t")
    await daemon.call("step.update", task_id="t", step=2, status="running")

    async def unknown() -> bool:
        return bool((await daemon.call("interrupt.check", task_id="t"))["state"] == "unknown")

    await until(unknown)
    other = await daemon.call("interrupt.check", task_id="other")
    assert other["state"] == "none"
    server.poison = lambda _: None

    async def known() -> bool:
        return bool((await daemon.call("interrupt.check", task_id="t"))["state"] == "none")

    await until(known)


@both
@pytest.mark.parametrize("restarted", [False, True], ids=["", "across a restart"])
async def test_a_task_is_told_anew_once_however_often_it_is_forgotten(
    daemon: RunningDaemon, new_hostile: NewHostile, batch: bool, restarted: bool
) -> None:
    server = await new_hostile(batch=batch)
    await two_tasks(daemon, server)
    server.forget("t")
    await daemon.call("step.update", task_id="t", step=2, status="running")
    await server.until(lambda: "t" in server.tasks, timeout_s=8)
    await daemon.flush()
    if restarted:
        await daemon.stop()
        await daemon.start()
    server.forget("t")
    await daemon.call("step.update", task_id="t", step=2, status="done")

    async def one_dead() -> bool:
        return len(await dead(daemon)) == 1

    await until(one_dead)
    assert "t" not in server.tasks


@both
async def test_one_answer_that_says_unknown_is_not_believed(
    daemon: RunningDaemon, new_hostile: NewHostile, batch: bool
) -> None:
    """Behind a balancer another replica may not have the task yet."""
    server = await new_hostile(batch=batch)
    await two_tasks(daemon, server)
    hits = 0

    def once(asked: Any) -> Answer | None:
        nonlocal hits
        if hits or "second" not in asked.text:
            return None
        hits += 1
        if not batch:
            return Answer(404, {"detail": "no such task"})
        refused = {"status": "rejected", "code": "unknown_task", "detail": "no such task"}
        return Answer(body={"results": [{"event_id": each["event_id"], **refused} for each in asked.body["events"]]})

    server.poison = once
    await daemon.call("step.update", task_id="t", step=2, status="done", summary="second")
    await server.until(lambda: list(server.tasks["t"]["steps"].values())[1] == "done", timeout_s=8)
    creations = [each.text.count('"task_created"') if batch else each.path == "/api/tasks" for each in server.requests]
    assert sum(creations) == 2
    assert await dead(daemon) == []


@both
async def test_a_forgotten_task_is_told_anew_with_its_present_plan_its_links_its_parent_and_that_it_waits(
    daemon: RunningDaemon, new_hostile: NewHostile, batch: bool
) -> None:
    server = await new_hostile(batch=batch)
    server.poison = lambda asked: Answer(404) if asked.path.endswith(("/links", "/steps")) else None
    await daemon.call(
        "task.create",
        title="T",
        task_id="t",
        steps=["one", "two"],
        base_url=server.url,
        parent_task_id="p",
        metadata={"k": "v"},
    )
    await daemon.call("task.plan", task_id="t", steps=[{"title": "two", "status": "done"}, "three"])
    await daemon.call("task.link", task_id="t", url="http://ci.test/7", name="build")
    await daemon.call("task.update", task_id="t", status="waiting", summary="Which host?")
    await daemon.flush()
    before = len(server.requests)
    server.forget("t")
    await daemon.call("task.link", task_id="t", url="http://ci.test/8")
    await server.until(lambda: server.tasks.get("t", {}).get("status") == "waiting", timeout_s=8)
    await daemon.flush()
    assert await dead(daemon) == []
    task, titles = server.tasks["t"], server.tasks["t"]["titles"]
    assert [(titles[step_id], status) for step_id, status in task["steps"].items()] == [
        ("two", "done"),
        ("three", "pending"),
        ("one", "skipped"),
    ]
    anew = server.requests[before:]
    creations = [
        event
        for asked in anew
        for event in ([asked.body] if asked.path == "/api/tasks" and asked.body else (asked.body or {}).get("events", ()))
        if event.get("kind", "task_created") == "task_created"
    ]
    assert [(each["parent_task_id"], each["metadata"]) for each in creations] == [("p", {"k": "v"})]
    assert sum("http://ci.test/7" in asked.text for asked in anew) >= 1
    assert task["status"] == "waiting"


async def test_a_step_that_is_not_there_though_its_task_is_is_told_of_by_the_task(
    daemon: RunningDaemon, new_hostile: NewHostile
) -> None:
    server = await new_hostile(batch=False)
    await two_tasks(daemon, server)
    step_id = list(server.tasks["t"]["steps"])[1]
    del server.tasks["t"]["steps"][step_id]
    await daemon.call("step.update", task_id="t", step=2, status="done", summary="second")
    await daemon.call("step.update", task_id="t", step=3, status="running")
    await daemon.flush()
    assert await dead(daemon) == []
    assert server.asked("PATCH", "/api/tasks/t")[-1].body["summary"] == "2 two: done, second"
    assert list(server.tasks["t"]["steps"].values()) == ["done", "running"]


def wipe(folder: Path) -> None:
    for path in folder.glob("backend.db*"):
        path.unlink()


async def test_the_embedded_backend_is_told_anew_after_its_database_was_lost(daemon: RunningDaemon, tmp_path: Path) -> None:
    backend = BackendProcess(tmp_path)
    backend.start()
    try:
        await daemon.call(
            "task.create", title="Kept", task_id="kept", steps=["one", "two"], base_url=backend.url, metadata={"k": "v"}
        )
        await daemon.call("step.update", task_id="kept", step=1, status="done", summary="first")
        await daemon.flush()
        backend.stop()
        wipe(tmp_path)
        backend.start()
        await daemon.call("step.update", task_id="kept", step=2, status="running", summary="second")
        await until(lambda: backend.call("GET", "/api/tasks")["tasks"])
        await daemon.flush()
        task = backend.call("GET", "/api/tasks/kept")
        assert (task["title"], task["metadata"], task["status"]) == ("Kept", {"k": "v"}, "running")
        assert [(step["status"], step["summary"]) for step in task["steps"]] == [("done", "first"), ("running", "second")]
        assert await dead(daemon) == []
    finally:
        backend.stop()
