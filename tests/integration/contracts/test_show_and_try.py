"""``contract.show`` and ``contract.try`` against real servers: what a person is told of how they are spoken to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from clawlog.protocol.errors import RpcError
from clawlogd.upstream.trial import TITLE
from support.foreign.running import served, without_document
from support.foreign.written import WRITTEN, EnvelopedServer, IndexedServer, StrictServer
from support.plain_server import PlainServer
from support.running_daemon import RunningDaemon, until

_DRAGS_S = 2.0  # longer than a trial here may take


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    daemon = RunningDaemon(tmp_path)
    await daemon.start()
    yield daemon
    await daemon.stop()


def outcomes(answer: dict[str, Any]) -> dict[str, set[str]]:
    """What came of each action."""
    found: dict[str, set[str]] = {}
    for each in answer["tried"]:
        found.setdefault(each["action"], set()).add(each["outcome"])
    return found


async def nothing_is_kept(daemon: RunningDaemon) -> bool:
    """Whether neither the outbox nor the tasks nor the lanes know of anything."""
    status = await daemon.call("daemon.status")
    waiting = status["outbox"]["pending"] + status["outbox"]["dead_letters"]
    return (status["tasks"]["known"], waiting, status["backends"]) == (0, 0, [])


@pytest.mark.parametrize("name", WRITTEN)
async def test_a_server_is_shown_with_reasons_and_takes_a_trial(name: str, daemon: RunningDaemon) -> None:
    server = WRITTEN[name]()
    with served(server.app) as url:
        shown = await daemon.call("contract.show", base_url=url)
        tried = await daemon.call("contract.try", base_url=url)
    assert (shown["state"], shown["configured"], shown["source"]) == ("found", "auto", "OpenAPI document at /openapi.json")
    assert all(each["route"] and each["reason"] for each in shown["actions"] if each["needed"])
    assert tried["ok"]
    assert {each for several in outcomes(tried).values() for each in several} <= {"ok", "absent"}
    (task,) = server.held.tasks.values()
    assert (task.title, str(task.key), [step.status for step in task.steps]) == (TITLE, tried["task_id"], ["done", "done"])
    assert "a heartbeat of the trial" in task.summaries
    assert task.status == "done" or any("done" in each for each in task.summaries)
    assert server.held.misused == []
    assert await nothing_is_kept(daemon)


async def test_a_trial_of_the_standard_contract_asks_for_each_of_its_routes(daemon: RunningDaemon, plain: PlainServer) -> None:
    tried = await daemon.call("contract.try", base_url=plain.url)
    assert (tried["ok"], tried["state"]) == (True, "standard")
    assert set(outcomes(tried)) == {"create", "step", "heartbeat", "control", "read", "ack", "task"}
    assert await nothing_is_kept(daemon)


async def test_a_contract_that_is_given_is_tried_and_not_kept(daemon: RunningDaemon) -> None:
    server = IndexedServer()
    with served(server.app) as url:
        contract = (await daemon.call("contract.show", base_url=url))["contract"]
    server = IndexedServer()
    with served(without_document(server.app)) as url:
        tried = await daemon.call("contract.try", base_url=url, contract=contract)
        assert (tried["ok"], tried["state"]) == (True, "given")
        contract["step"]["path"] = "/tasks/{task_id}/step/{step_id}"
        contract["control"]["answer"]["stop"] = ["/name"]
        contract["control"]["answer"]["stop_values"] = [TITLE]
        del contract["list_tasks"], contract["read"]
        tried = await daemon.call("contract.try", base_url=url, contract=contract)
        assert (await daemon.call("contract.show", base_url=url))["state"] == "unknown"
    assert not tried["ok"]
    assert outcomes(tried)["step"] == outcomes(tried)["control"] == {"failed"}
    assert outcomes(tried)["create"] == outcomes(tried)["heartbeat"] == {"ok"}
    assert outcomes(tried)["read"] == {"absent"}
    details = {each["action"]: each["detail"] for each in tried["tried"]}
    assert "HTTP 404" in details["step"]
    assert details["control"] == "it says that a stop is requested, of a new task"


async def test_an_acknowledgement_that_is_refused_without_a_stop_is_no_failure(daemon: RunningDaemon) -> None:
    server = StrictServer()

    @server.app.middleware("http")
    async def as_others_refuse_it(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        if response.status_code == 409:
            response.status_code = 400
        return response

    with served(server.app) as url:
        tried = await daemon.call("contract.try", base_url=url)
    assert (tried["ok"], outcomes(tried)["ack"]) == (True, {"unclear"})


async def test_what_is_no_clawlog_is_said_with_what_came_back(daemon: RunningDaemon) -> None:
    app = FastAPI(openapi_url=None)

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    def login(path: str) -> Response:
        return HTMLResponse("<html><body>Please log in</body></html>")

    with served(app) as url:
        shown = await daemon.call("contract.show", base_url=url)
        tried = await daemon.call("contract.try", base_url=url)
    assert (shown["state"], shown["actions"]) == ("unknown", [])
    assert shown["detail"].startswith("no OpenAPI document could be read: GET /openapi.json: ")
    assert shown["contract"]["create"]["path"] == "/api/tasks"
    assert (tried["ok"], tried["task_id"]) == (False, None)
    first, *others = tried["tried"]
    assert (first["action"], first["outcome"]) == ("create", "failed")
    assert first["detail"]
    assert {(each["outcome"], each["detail"]) for each in others} == {("not_tried", "there is no task")}


async def test_where_a_document_says_too_little_it_is_said_what_is_missing_and_nothing_is_tried(daemon: RunningDaemon) -> None:
    server = EnvelopedServer()
    del server.app.openapi()["paths"]["/api/tasks/{task_id}/heartbeat"]
    with served(server.app) as url:
        shown = await daemon.call("contract.show", base_url=url)
        tried = await daemon.call("contract.try", base_url=url)
    assert shown["state"] == "missing"
    assert "heartbeat: no operation fits" in shown["detail"]
    routes = {each["action"]: each["route"] for each in shown["actions"]}
    assert (routes["heartbeat"], routes["create"]) == (None, "POST /api/tasks/")
    assert (tried["ok"], tried["tried"], tried["detail"]) == (False, [], shown["detail"])
    assert server.held.tasks == {}


async def test_nobody_at_the_address(daemon: RunningDaemon) -> None:
    shown = await daemon.call("contract.show")
    assert (shown["base_url"], shown["state"]) == ("http://127.0.0.1:9", "unknown")
    assert "GET /openapi.json" in shown["detail"]
    tried = await daemon.call("contract.try", base_url="http://127.0.0.1:9")
    assert (tried["ok"], tried["task_id"]) == (False, None)


async def test_a_trial_ends_in_time_and_ends_its_task(daemon: RunningDaemon) -> None:
    server = EnvelopedServer()

    @server.app.middleware("http")
    async def drags(request: Request, call_next: Any) -> Any:
        if request.url.path.endswith("/control"):
            await asyncio.sleep(_DRAGS_S)
        return await call_next(request)

    with served(server.app) as url:
        async with asyncio.timeout(8):
            tried = await daemon.call("contract.try", base_url=url, timeout_s=1)
    assert not tried["ok"]
    assert outcomes(tried)["step"] == outcomes(tried)["task"] == {"ok"}
    assert outcomes(tried)["control"] == outcomes(tried)["ack"] == {"not_tried"}
    assert {each["detail"] for each in tried["tried"] if each["outcome"] == "not_tried"} == {"no answer within 1 s"}
    assert [task.status for task in server.held.tasks.values()] == ["done"]


async def test_a_trial_whose_caller_has_gone_ends_its_task(daemon: RunningDaemon) -> None:
    server, reached = EnvelopedServer(), asyncio.Event()
    loop = asyncio.get_running_loop()

    @server.app.middleware("http")
    async def drags(request: Request, call_next: Any) -> Any:
        if request.url.path.endswith("/control"):
            loop.call_soon_threadsafe(reached.set)
            await asyncio.sleep(_DRAGS_S)
        return await call_next(request)

    with served(server.app) as url:
        caller = await daemon.connect()
        request = {"jsonrpc": "2.0", "id": 1, "method": "contract.try", "params": {"base_url": url}}
        await caller.send(json.dumps(request).encode())
        async with asyncio.timeout(10):
            await reached.wait()
        await caller.close()
        await until(lambda: [task.status for task in server.held.tasks.values()] == ["done"])


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"create": {"method": "POST", "path": "tasks"}}, "$.create.path"),
        ({"create": {"method": "POST", "path": "/t", "body": {"n": "{nobody}"}}}, "{nobody} is not known"),
        ({"create": {"method": "POST", "path": "/t"}, "stap": {}}, "stap"),
        ({}, "create"),
    ],
)
async def test_what_is_no_contract_is_refused_with_its_place(daemon: RunningDaemon, given: dict[str, Any], named: str) -> None:
    with pytest.raises(RpcError) as refused:
        await daemon.call("contract.try", base_url="http://127.0.0.1:9", contract=given)
    assert refused.value.data["field"] == "contract"
    assert named in refused.value.message
