"""The plain server that other tests lean on behaves as the contract's plain profile says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from support.plain_server import PlainServer


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def ask(
    session: aiohttp.ClientSession, plain: PlainServer, method: str, path: str, body: Any = None, key: str | None = None
) -> tuple[int, Any]:
    headers = {"Idempotency-Key": key} if key else {}
    async with session.request(method, plain.url + path, json=body, headers=headers) as response:
        return response.status, await response.json(content_type=None) if response.status < 400 else None


CREATE = {"task_id": "offered", "title": "部署", "steps": [{"step_id": "offered-1", "title": "检查"}, {"title": "编写"}]}


async def test_it_gives_out_integer_ids_and_ignores_those_it_is_offered(
    session: aiohttp.ClientSession, plain: PlainServer
) -> None:
    status, task = await ask(session, plain, "POST", "/api/tasks", CREATE)
    assert (status, task["title"]) == (201, "部署")
    ids = [task["task_id"], *(step["step_id"] for step in task["steps"])]
    assert all(isinstance(each, int) for each in ids)
    assert len(set(ids)) == 3
    assert [step["position"] for step in task["steps"]] == [1, 2]
    assert (await ask(session, plain, "PATCH", "/api/tasks/offered", {"status": "done"}))[0] == 404


async def test_it_applies_an_idempotency_key_once(session: aiohttp.ClientSession, plain: PlainServer) -> None:
    first = await ask(session, plain, "POST", "/api/tasks", CREATE, key="k1")
    assert await ask(session, plain, "POST", "/api/tasks", CREATE, key="k1") == first
    assert len(plain.tasks) == 1
    assert (await ask(session, plain, "POST", "/api/tasks", CREATE, key="k2"))[1] != first[1]


async def test_it_has_no_batch_routes(session: aiohttp.ClientSession, plain: PlainServer) -> None:
    assert (await ask(session, plain, "POST", "/api/events", {"events": []}))[0] == 404
    assert (await ask(session, plain, "POST", "/api/control/poll", {"task_ids": []}))[0] == 404


async def test_it_keeps_what_it_is_told_of_tasks_steps_and_beats(session: aiohttp.ClientSession, plain: PlainServer) -> None:
    _, task = await ask(session, plain, "POST", "/api/tasks", CREATE)
    path = f"/api/tasks/{task['task_id']}"
    step = f"{path}/steps/{task['steps'][1]['step_id']}"
    assert (await ask(session, plain, "PATCH", step, {"status": "running", "summary": "now"}))[0] == 200
    assert (await ask(session, plain, "PATCH", path, {"status": "failed"}))[0] == 200
    assert (await ask(session, plain, "POST", f"{path}/heartbeat", {"stalled": False}))[0] == 200
    kept = plain.only_task
    assert [(each.status, each.summary) for each in kept.steps] == [("pending", None), ("running", "now")]
    assert (kept.status, kept.beats) == ("failed", [{"stalled": False}])


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/api/tasks", {"steps": []}, 422),
        ("PATCH", "/api/tasks/99", {"status": "done"}, 404),
        ("PATCH", "/api/tasks/3", {"status": "dnoe"}, 422),
        ("PATCH", "/api/tasks/3/steps/99", {"status": "done"}, 404),
        ("PATCH", "/api/tasks/3/steps/1", {"status": "interrupted"}, 422),
        ("GET", "/api/tasks/99/control", None, 404),
    ],
)
async def test_it_refuses_what_does_not_fit(
    session: aiohttp.ClientSession, plain: PlainServer, method: str, path: str, body: Any, expected: int
) -> None:
    await ask(session, plain, "POST", "/api/tasks", CREATE)
    assert (await ask(session, plain, method, path, body))[0] == expected


async def test_a_stop_is_asked_for_seen_and_acknowledged(session: aiohttp.ClientSession, plain: PlainServer) -> None:
    _, task = await ask(session, plain, "POST", "/api/tasks", CREATE)
    path = f"/api/tasks/{task['task_id']}"
    assert (await ask(session, plain, "GET", f"{path}/control"))[1]["interrupt_requested"] is False
    assert (await ask(session, plain, "POST", f"{path}/interrupt", {"mode": "soft_stop", "reason": "wrong branch"}))[0] == 200
    _, control = await ask(session, plain, "GET", f"{path}/control")
    assert (control["interrupt_requested"], control["mode"], control["reason"]) == (True, "soft_stop", "wrong branch")
    assert isinstance(control["interrupt_id"], int)
    assert (await ask(session, plain, "POST", f"{path}/interrupt/ack", {"summary": "stopped"}))[0] == 200
    assert (await ask(session, plain, "GET", f"{path}/control"))[1]["interrupt_requested"] is False
    assert (plain.only_task.status, plain.only_task.ack_summary) == ("interrupted", "stopped")


async def test_it_records_every_request_in_order_and_fails_where_a_test_wants_it(
    session: aiohttp.ClientSession, plain: PlainServer
) -> None:
    plain.intercept = lambda request: 503 if request.path.endswith("/heartbeat") else None
    _, task = await ask(session, plain, "POST", "/api/tasks", CREATE, key="k1")
    status, _ = await ask(session, plain, "POST", f"/api/tasks/{task['task_id']}/heartbeat", {"stalled": True})
    await ask(session, plain, "PATCH", f"/api/tasks/{task['task_id']}", {"status": "running"}, key="k2")
    assert status == 503
    assert plain.only_task.beats == []
    assert [(each.method, each.key, each.body) for each in plain.requests] == [
        ("POST", "k1", CREATE),
        ("POST", None, {"stalled": True}),
        ("PATCH", "k2", {"status": "running"}),
    ]
    assert [each.key for each in plain.events] == ["k1", "k2"]


async def test_it_comes_back_on_its_port_with_what_it_knew(session: aiohttp.ClientSession, plain: PlainServer) -> None:
    await ask(session, plain, "POST", "/api/tasks", CREATE)
    url = plain.url
    await plain.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(session, plain, "GET", "/api/tasks/3/control")
    await plain.start()
    assert plain.url == url
    assert (await ask(session, plain, "GET", "/api/tasks/3/control"))[0] == 200


async def test_a_wait_that_is_not_rewarded_says_what_came(session: aiohttp.ClientSession, plain: PlainServer) -> None:
    await ask(session, plain, "POST", "/api/tasks", CREATE)
    with pytest.raises(AssertionError, match="POST /api/tasks"):
        await plain.until(lambda: False, timeout_s=0.05)
