"""With its backend away everything is accepted at once, said to wait, and delivered in order when the backend is back."""

from __future__ import annotations

from typing import Any

import pytest

from support.plain_server import PlainServer, Recorded
from support.running_backend import Api
from support.running_daemon import RunningDaemon, until

UPDATES = [(step, status) for step in (1, 2, 3) for status in ("running", "done")]


async def work(daemon: RunningDaemon, url: str, task_id: str) -> None:
    await daemon.call("task.create", title="T", task_id=task_id, steps=["a", "b", "c"], base_url=url)
    for number, (step, status) in enumerate(UPDATES):
        accepted = await daemon.call("step.update", task_id=task_id, step=step, status=status, summary=f"{number}")
        assert accepted["accepted"] is True


async def lane(daemon: RunningDaemon) -> dict[str, Any]:
    (report,) = (await daemon.call("daemon.status"))["backends"]
    return dict(report)


async def test_what_was_accepted_without_a_plain_server_arrives_in_order(daemon: RunningDaemon, plain: PlainServer) -> None:
    await plain.stop()
    await work(daemon, plain.url, "t")
    await until(lambda: _is_outage(daemon))
    report = await lane(daemon)
    assert (report["pending"], report["delivered"], report["breaker"], report["reachable"]) == (7, 0, "open", False)
    assert "cannot connect" in report["last_error"]
    assert report["oldest_age_s"] >= 0
    status = await daemon.call("daemon.status")
    assert status["healthy"] is False
    assert "waiting events: 7" in status["problems"][0]
    await plain.start()
    await daemon.flush()
    assert [each.body.get("summary") for each in plain.events[1:]] == [str(number) for number in range(6)]
    report = await lane(daemon)
    assert (report["state"], report["pending"], report["delivered"], report["last_error"]) == ("idle", 0, 7, None)
    assert (await daemon.call("daemon.status"))["problems"] == []


async def _is_outage(daemon: RunningDaemon) -> bool:
    return (await lane(daemon))["state"] == "outage"


async def test_what_was_accepted_without_the_embedded_backend_arrives_in_order(
    daemon: RunningDaemon, start_backend: Any, session: Any
) -> None:
    backend = start_backend()
    await daemon.call("task.create", title="Before", task_id="before", steps=["one"], base_url=backend.url)
    await daemon.flush()
    backend.stop()
    await daemon.call("step.update", task_id="before", step=1, status="done", summary="while it was away")
    await work(daemon, backend.url, "t")
    assert (await daemon.call("task.get", task_id="t"))["steps"][2]["status"] == "done"
    backend.start()
    await daemon.flush()
    api = Api(session, backend.url)
    assert (await api.get("before"))["steps"][0]["summary"] == "while it was away"
    events = [each for each in (await api.get("t"))["events"] if each["kind"] == "step_status"]
    assert [(each["status"], each["summary"]) for each in events] == [
        (status, str(number)) for number, (_, status) in enumerate(UPDATES)
    ]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
async def test_a_server_that_fails_now_and_then_gets_each_event_once_in_order(
    daemon: RunningDaemon, plain: PlainServer, status: int
) -> None:
    seen = 0

    def every_second(request: Recorded) -> int | None:
        nonlocal seen
        seen += request.is_event
        return status if request.is_event and seen % 2 else None

    plain.intercept = every_second
    await work(daemon, plain.url, "t")
    await daemon.flush()
    assert [(step.status, step.summary) for step in plain.only_task.steps] == [("done", "1"), ("done", "3"), ("done", "5")]
    tried = [each.key for each in plain.events]
    assert len(set(tried)) == 7
    # In order: one that failed came again, under its own id, before any later one was tried.
    assert tried == sorted(tried, key=list(dict.fromkeys(tried)).index)
    assert (await lane(daemon))["dead_lettered"] == 0


async def test_one_task_that_always_fails_does_not_hold_up_the_others(daemon: RunningDaemon, plain: PlainServer) -> None:
    plain.intercept = lambda each: 500 if each.is_event and each.body.get("title") == "bad" else None
    for name in ("bad", "good"):
        await daemon.call("task.create", title=name, task_id=name, steps=["one"], base_url=plain.url)
        await daemon.call("step.update", task_id=name, step=1, status="done")
    await plain.until(lambda: [task.title for task in plain.tasks.values() if task.steps[0].status == "done"] == ["good"])
    assert (await daemon.call("task.get", task_id="bad"))["pending"] == 2
    plain.intercept = lambda _: None
    await daemon.flush()
    assert sorted(task.title for task in plain.tasks.values() if task.steps[0].status == "done") == ["bad", "good"]


async def test_a_server_that_asks_to_be_left_alone_is(daemon: RunningDaemon, plain: PlainServer) -> None:
    await daemon.call("task.create", title="T", task_id="t", base_url=plain.url)
    await daemon.flush()
    plain.intercept = lambda each: 429 if each.is_event else None
    plain.retry_after = "120"
    tried = len(plain.events)
    await daemon.call("task.update", task_id="t", status="running")
    await plain.until_events(tried + 1)
    await until(lambda: _waits_long(daemon))
    assert len(plain.events) == tried + 1
    plain.intercept = lambda _: None
    await daemon.flush()  # a person who asks for it is not made to wait for two minutes
    assert plain.only_task.status == "running"


async def _waits_long(daemon: RunningDaemon) -> bool:
    return 100 < ((await lane(daemon))["next_try_in_s"] or 0) <= 120
