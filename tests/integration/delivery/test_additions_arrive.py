"""The embedded backend has every word: plans, waiting, links, progress and parents arrive as the agent said them."""

from __future__ import annotations

import asyncio

from support.backend_process import BackendProcess
from support.running_daemon import RunningDaemon, until


async def test_the_embedded_backend_shows_what_the_agent_said(daemon: RunningDaemon, embedded: BackendProcess) -> None:
    await daemon.call("task.create", title="P", task_id="parent-of-words", base_url=embedded.url)
    await daemon.call(
        "task.create",
        title="T",
        task_id="words",
        steps=["check", "build"],
        base_url=embedded.url,
        parent_task_id="parent-of-words",
        metadata={"old": "1"},
    )
    await daemon.call("task.plan", task_id="words", steps=[{"title": "check", "status": "done"}, "ship", "build"])
    await daemon.call("step.add", task_id="words", title="measure", after="check")
    progress = {"done": 132, "total": 318, "unit": "files"}
    await daemon.call("step.update", task_id="words", step="measure", status="running", progress=progress)
    await daemon.call("task.annotate", task_id="words", metadata={"old": None, "new": "2"})
    await daemon.call("task.link", task_id="words", url="http://ci.test/7", name="build")
    await daemon.call("task.update", task_id="words", status="waiting", summary="Which host?")
    await daemon.flush()
    assert (await daemon.call("deadletter.list"))["dead_letters"] == []
    task = embedded.call("GET", "/api/tasks/words")
    assert [(step["title"], step["status"]) for step in task["steps"]] == [
        ("check", "done"),
        ("measure", "running"),
        ("ship", "pending"),
        ("build", "pending"),
    ]
    assert (task["status"], task["summary"], task["liveness"]["state"]) == ("waiting", "Which host?", "waiting")
    assert (task["measure"], task["metadata"], task["parent_task_id"]) == (progress, {"new": "2"}, "parent-of-words")
    assert [(link["url"], link["name"]) for link in task["links"]] == [("http://ci.test/7", "build")]
    await until(lambda: daemon.services.backends.task_page(embedded.url, "words") == f"{embedded.url}/tasks/words")


async def test_a_task_that_is_closed_at_the_embedded_backend_ends_and_is_reopened(
    daemon: RunningDaemon, embedded: BackendProcess
) -> None:
    agent = await asyncio.create_subprocess_exec("sleep", "100")
    await daemon.call("task.create", title="T", task_id="closed", steps=["check"], base_url=embedded.url, watch_pid=agent.pid)
    agent.kill()
    await agent.wait()
    await until(lambda: not daemon.services.registry.get("closed").live)
    await daemon.flush()
    embedded.call("POST", "/api/tasks/closed/close", {"status": "interrupted", "by": "Mu"})
    await until(lambda: daemon.services.registry.get("closed").status.ended)
    view = await daemon.call("task.get", task_id="closed")
    assert (view["status"], view["summary"], view["liveness"]["state"]) == ("interrupted", "closed by Mu", "ended")
    await daemon.call("step.update", task_id="closed", step=1, status="running")
    await daemon.flush()
    task = embedded.call("GET", "/api/tasks/closed")
    assert (task["status"], task["closed"]) == ("running", None)
    assert (await daemon.call("task.get", task_id="closed"))["liveness"]["state"] == "alive"


async def test_a_failure_that_a_person_acknowledged_is_known_until_the_task_fails_anew(
    daemon: RunningDaemon, embedded: BackendProcess
) -> None:
    async def acknowledged() -> bool:
        return bool((await daemon.call("task.get", task_id="seen"))["acknowledged"])

    await daemon.call("task.create", title="T", task_id="seen", steps=["check"], base_url=embedded.url)
    await daemon.call("task.update", task_id="seen", status="failed", summary="no disk")
    await daemon.flush()
    assert not await acknowledged()
    embedded.call("POST", "/api/tasks/seen/acknowledge", {"by": "Mu"})
    await until(acknowledged)
    await daemon.call("task.update", task_id="seen", status="running")
    await daemon.call("task.update", task_id="seen", status="failed", summary="no disk again")
    await daemon.flush()
    assert not await acknowledged()
    embedded.call("POST", "/api/tasks/seen/acknowledge", {})
    await until(acknowledged)


async def test_a_loss_that_a_person_acknowledged_is_known(daemon: RunningDaemon, embedded: BackendProcess) -> None:
    async def acknowledged() -> bool:
        return bool((await daemon.call("task.get", task_id="gone"))["acknowledged"])

    agent = await asyncio.create_subprocess_exec("sleep", "100")
    await daemon.call("task.create", title="T", task_id="gone", base_url=embedded.url, watch_pid=agent.pid)
    agent.kill()
    await agent.wait()
    await until(lambda: not daemon.services.registry.get("gone").live)
    await daemon.flush()
    assert not await acknowledged()
    embedded.call("POST", "/api/tasks/gone/acknowledge", {})
    await until(acknowledged)
    await daemon.call("task.update", task_id="gone", status="running")
    assert not await acknowledged()
