"""The batch profile over real HTTP."""

from __future__ import annotations

import asyncio
import gzip
import json

import aiohttp

from support.engines import BOTH_ENGINES_AT_LENGTH
from support.running_backend import Api, event

pytestmark = BOTH_ENGINES_AT_LENGTH

BEAT = {"agent_seen_at": "2026-02-28T09:00:00.000Z", "evidence": "process", "stalled": False, "pid": 42}


async def test_a_batch_is_applied_in_order_and_answered_one_by_one(api: Api) -> None:
    results = await api.events(
        event("task_created", "e1", title="部署 Nginx 服务", steps=[{"step_id": "s1", "title": "检查本地环境"}]),
        event("step_status", "e2", step_id="s1", status="running", at="2026-02-28T09:00:01Z"),
        event("step_status", "e3", step_id="s1", status="done", summary="好", at="2026-02-28T10:00:02.5+01:00"),
        event("task_status", "e4", status="done", at="2026-02-28T09:00:03.000Z"),
    )
    assert results == [{"event_id": f"e{n}", "status": "ok"} for n in range(1, 5)]
    task = await api.get()
    assert (task["title"], task["status"], task["ended_at"]) == ("部署 Nginx 服务", "done", "2026-02-28T09:00:03.000Z")
    assert task["steps"] == [
        {
            "step_id": "s1", "position": 1, "title": "检查本地环境", "status": "done", "summary": "好",
            "started_at": "2026-02-28T09:00:01.000Z", "ended_at": "2026-02-28T09:00:02.500Z", "measure": None,
        }
    ]  # fmt: skip
    assert [e["kind"] for e in task["events"]] == ["task_created", "step_status", "step_status", "task_status"]


async def test_one_bad_event_never_fails_its_neighbours(api: Api) -> None:
    await api.task()
    results = await api.events(
        event("step_status", "e1", step_id="s1", status="running"),
        event("step_status", "e2", step_id="nowhere", status="running"),
        event("step_status", "e3", step_id="s1", status="finished"),
        event("heartbeat", "e4", task_id="nobody", **BEAT),
        event("no_such_kind", "e5"),
        "not even an object",
        event("interrupt_seen", "e7", interrupt_id="none"),
        event("task_created", "e8", title="again"),
        event("heartbeat", "e9", **BEAT),
    )
    assert [(r["event_id"], r["status"], r.get("code")) for r in results] == [
        ("e1", "ok", None),
        ("e2", "rejected", "unknown_step"),
        ("e3", "rejected", "invalid"),
        ("e4", "rejected", "unknown_task"),
        ("e5", "rejected", "invalid"),
        (None, "rejected", "invalid"),
        ("e7", "rejected", "unknown_interrupt"),
        ("e8", "rejected", "task_exists"),
        ("e9", "ok", None),
    ]
    assert results[2]["detail"].startswith("status: ")
    assert results[4]["detail"].startswith("kind: ")
    assert (await api.get())["liveness"]["pid"] == 42


async def test_an_event_seen_before_changes_nothing(api: Api) -> None:
    await api.task()
    first = event("step_status", "e1", step_id="s1", status="running")
    assert (await api.events(first, first))[1]["status"] == "duplicate"
    await api.events(event("step_status", "e2", step_id="s1", status="done"))
    assert await api.events(first) == [{"event_id": "e1", "status": "duplicate"}]
    task = await api.get()
    assert task["steps"][0]["status"] == "done"
    assert [e["event_id"] for e in task["events"]].count("e1") == 1


async def test_a_rejected_event_can_be_sent_again_once_it_fits(api: Api) -> None:
    late = event("step_status", "e2", step_id="s1", status="running")
    assert (await api.events(late))[0]["status"] == "rejected"
    assert (await api.events(event("task_created", "e1", title="T", steps=[{"step_id": "s1", "title": "a"}]), late)) == [
        {"event_id": "e1", "status": "ok"},
        {"event_id": "e2", "status": "ok"},
    ]


async def test_a_batch_may_be_packed_with_gzip(api: Api) -> None:
    body = gzip.compress(json.dumps({"events": [event("task_created", "e1", title="T")]}).encode())
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    assert await api("POST", "/api/events", data=body, headers=headers) == (
        200,
        {"results": [{"event_id": "e1", "status": "ok"}]},
    )


async def test_a_long_poll_is_answered_by_a_stop_and_by_its_ack(api: Api) -> None:
    await api.task("t1")
    await api.task("t2")
    status, first = await api("POST", "/api/control/poll", {"task_ids": ["t1", "t2", "unknown"]})
    assert status == 200
    assert [(c["task_id"], c["interrupt_requested"]) for c in first["controls"]] == [("t1", False), ("t2", False)]

    poll = {"task_ids": ["t1", "t2"], "cursor": first["cursor"], "wait_s": 20}
    waiting = asyncio.create_task(api("POST", "/api/control/poll", poll))
    await asyncio.sleep(0.1)  # whether it waits already or not, the answer has to be the same
    status, stop = await api("POST", "/api/tasks/t2/interrupt", {"reason": "wrong host"})
    assert status == 201
    _, changed = await waiting
    assert changed["controls"] == [
        {
            "task_id": "t2",
            "interrupt_requested": True,
            "mode": "soft_stop",
            "interrupt_id": stop["interrupt_id"],
            "reason": "wrong host",
            "requested_at": stop["requested_at"],
            "closed": False,
            "acknowledged": False,
        }
    ]

    poll["cursor"] = changed["cursor"]
    waiting = asyncio.create_task(api("POST", "/api/control/poll", poll))
    await api.events(event("interrupt_ack", "a1", "t2", interrupt_id=stop["interrupt_id"]))
    _, cleared = await waiting
    assert [(c["task_id"], c["interrupt_requested"]) for c in cleared["controls"]] == [("t2", False)]


async def test_a_long_poll_without_a_change_ends_empty(api: Api) -> None:
    await api.task()
    _, first = await api("POST", "/api/control/poll", {"task_ids": ["t1"]})
    _, second = await api("POST", "/api/control/poll", {"task_ids": ["t1"], "cursor": first["cursor"], "wait_s": 0.05})
    assert second == {"cursor": first["cursor"], "controls": []}


async def test_a_cursor_of_another_database_is_no_cursor(api: Api) -> None:
    await api.task()
    for cursor in ("someone-elses-4", "", "x", "0" * 32 + "-99999999999"):
        _, answer = await api("POST", "/api/control/poll", {"task_ids": ["t1"], "cursor": cursor, "wait_s": 20})
        assert len(answer["controls"]) == 1, cursor


async def test_the_backend_ends_at_once_while_polls_wait(api: Api, backend) -> None:
    await api.task()
    _, first = await api("POST", "/api/control/poll", {"task_ids": ["t1"]})
    poll = {"task_ids": ["t1"], "cursor": first["cursor"], "wait_s": 50}
    waiting = [asyncio.create_task(api("POST", "/api/control/poll", poll)) for _ in range(20)]
    await asyncio.sleep(0.1)
    before = asyncio.get_running_loop().time()
    await asyncio.to_thread(backend.stop)
    assert asyncio.get_running_loop().time() - before < 2.5
    for answer in waiting:
        try:
            status, body = await answer
        except aiohttp.ClientError:
            continue  # its request had not been read yet
        assert (status, body["controls"]) == (200, [])
