"""A task's whole life, from its creation to the acknowledged stop, as each kind of backend comes to see it."""

from __future__ import annotations

from support.backend_process import BackendProcess
from support.plain_server import PlainServer, Recorded
from support.running_backend import Api
from support.running_daemon import RunningDaemon

TITLE = "部署 Nginx 服务"
STEPS = ["检查本地环境", "编写配置文件", "启动并测试"]


def content(event: Recorded) -> tuple[str, str, dict[str, object]]:
    """An event without its time."""
    return event.method, event.path, {key: value for key, value in event.body.items() if key != "at"}


async def test_a_server_with_ids_of_its_own_sees_each_event_once_in_order_under_those_ids(
    daemon: RunningDaemon, plain: PlainServer
) -> None:
    made = await daemon.call("task.create", title=TITLE, steps=STEPS, base_url=plain.url, metadata={"branch": "main"})
    task_id, steps = made["task_id"], [step["step_id"] for step in made["steps"]]
    await daemon.call("step.update", task_id=task_id, step=steps[0], status="running")
    await daemon.call("step.update", task_id=task_id, step=1, status="done", summary="all there")
    await daemon.call("step.update", task_id=task_id, step="编写配置文件", status="running", summary="nginx.conf")
    await daemon.flush()
    assert (await daemon.call("interrupt.check", task_id=task_id, max_age_s=0))["state"] == "none"
    stop = plain.ask_to_stop(plain.only_task.task_id, "wrong branch")
    known = await daemon.call("interrupt.check", task_id=task_id, wait_s=10)
    assert (known["state"], known["interrupt_id"], known["reason"]) == ("requested", str(stop.interrupt_id), "wrong branch")
    await daemon.call("step.update", task_id=task_id, step="3", status="skipped")
    await daemon.call("interrupt.ack", task_id=task_id, summary="stopped after the second step")
    await daemon.flush()

    task = plain.only_task
    remote, (first, second, third) = f"/api/tasks/{task.task_id}", [step.step_id for step in task.steps]
    offered = [{"step_id": step_id, "title": title} for step_id, title in zip(steps, STEPS, strict=True)]
    assert [content(each) for each in plain.events] == [
        ("POST", "/api/tasks", {"task_id": task_id, "title": TITLE, "steps": offered, "metadata": {"branch": "main"}}),
        ("PATCH", f"{remote}/steps/{first}", {"status": "running"}),
        ("PATCH", f"{remote}/steps/{first}", {"status": "done", "summary": "all there"}),
        ("PATCH", f"{remote}/steps/{second}", {"status": "running", "summary": "nginx.conf"}),
        ("PATCH", f"{remote}/steps/{third}", {"status": "skipped"}),
        (
            "POST",
            f"{remote}/interrupt/ack",
            {"interrupt_id": str(stop.interrupt_id), "summary": "stopped after the second step"},
        ),
    ]
    keys = [each.key for each in plain.events]
    assert None not in keys
    assert len(set(keys)) == len(keys)
    times = [each.body["at"] for each in plain.events[1:]]
    assert times == sorted(times)
    assert (task.status, task.ack_summary) == ("interrupted", "stopped after the second step")
    assert (await daemon.call("task.get", task_id=task_id))["delivered"] is True


async def test_the_embedded_backend_takes_the_callers_ids_and_shows_every_stage(
    daemon: RunningDaemon, embedded: BackendProcess, api: Api
) -> None:
    made = await daemon.call(
        "task.create", title=TITLE, steps=[*STEPS[:2], {"title": STEPS[2], "step_id": "mine"}], base_url=embedded.url
    )
    task_id = made["task_id"]
    await daemon.call("step.update", task_id=task_id, step=1, status="running")
    await daemon.call("step.update", task_id=task_id, step=1, status="done", summary="all there")
    await daemon.call("step.update", task_id=task_id, step="mine", status="running")
    await daemon.flush()
    await api("POST", f"/api/tasks/{task_id}/interrupt", {"mode": "soft_stop", "reason": "wrong branch"})
    known = await daemon.call("interrupt.check", task_id=task_id, wait_s=10)
    assert (known["state"], known["reason"]) == ("requested", "wrong branch")
    await daemon.call("interrupt.ack", task_id=task_id, interrupt_id=known["interrupt_id"], summary="stopped")
    await daemon.flush()

    seen = await api.get(task_id)
    assert (seen["title"], seen["status"]) == (TITLE, "interrupted")
    assert [(step["step_id"], step["title"], step["status"], step["summary"]) for step in seen["steps"]] == [
        (made["steps"][0]["step_id"], STEPS[0], "done", "all there"),
        (made["steps"][1]["step_id"], STEPS[1], "pending", None),
        ("mine", STEPS[2], "running", None),
    ]
    stop = seen["stop"]
    stages = [stop[f"{stage}_at"] for stage in ("requested", "seen", "delivered", "acknowledged")]
    assert None not in stages
    assert stages == sorted(stages)
    assert stop["ack_summary"] == "stopped"
    assert [event["kind"] for event in seen["events"] if event["kind"] != "heartbeat"] == [
        "task_created",
        "step_status",
        "step_status",
        "step_status",
        "interrupt_requested",
        "interrupt_seen",
        "interrupt_delivered",
        "interrupt_ack",
    ]
    lane = (await daemon.call("daemon.status"))["backends"][0]
    assert (lane["profile"], lane["delivered"], lane["pending"], lane["reachable"]) == ("batch", 7, 0, True)


async def test_a_task_that_is_done_is_done_at_the_backend(daemon: RunningDaemon, embedded: BackendProcess, api: Api) -> None:
    made = await daemon.call("task.create", title="Quick", steps=["only"], base_url=embedded.url, summary="begun")
    await daemon.call("task.update", task_id=made["task_id"], status="running")
    await daemon.call("step.update", task_id=made["task_id"], step="only", status="failed", summary="no disk")
    await daemon.call("task.update", task_id=made["task_id"], status="failed", summary="gave up")
    await daemon.flush()
    seen = await api.get(made["task_id"])
    assert (seen["status"], seen["summary"], seen["steps"][0]["status"]) == ("failed", "gave up", "failed")
    assert seen["ended_at"] is not None


async def test_each_backend_gets_its_own_tasks_and_one_that_is_away_holds_up_no_other(
    daemon: RunningDaemon, plain: PlainServer, embedded: BackendProcess, api: Api
) -> None:
    away = "http://127.0.0.1:9"
    for url, name in ((away, "at nobody"), (plain.url, "at the plain one"), (embedded.url, "at the embedded one")):
        await daemon.call("task.create", title=name, task_id=name.replace(" ", "-"), steps=["one"], base_url=url)
        await daemon.call("step.update", task_id=name.replace(" ", "-"), step=1, status="running")
    for task_id in ("at-the-plain-one", "at-the-embedded-one"):
        assert (await daemon.call("daemon.flush", task_id=task_id, timeout_s=15))["flushed"] is True
    assert [task.title for task in plain.tasks.values()] == ["at the plain one"]
    assert (await api.get("at-the-embedded-one"))["steps"][0]["status"] == "running"
    _, listed = await api("GET", "/api/tasks?q=at+the+plain")
    assert listed["tasks"] == []
    status = await daemon.call("daemon.status")
    assert {lane["base_url"]: lane["pending"] for lane in status["backends"]} == {away: 2, plain.url: 0, embedded.url: 0}


async def test_two_tasks_of_one_backend_keep_their_ids_apart(daemon: RunningDaemon, plain: PlainServer) -> None:
    for name in ("first", "second"):
        await daemon.call("task.create", title=name, task_id=name, steps=["same", "other"], base_url=plain.url)
    for name, status in (("second", "done"), ("first", "failed")):
        await daemon.call("step.update", task_id=name, step="same", status=status)
    await daemon.flush()
    assert {task.title: [step.status for step in task.steps] for task in plain.tasks.values()} == {
        "first": ["failed", "pending"],
        "second": ["done", "pending"],
    }
