"""Where it is not known how a backend wants to be spoken to nothing is sent and nothing lost, and what is missing is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from clawlogd.settings import Backend
from support.foreign.held import Task
from support.foreign.running import Front, served
from support.foreign.written import EnvelopedServer, IndexedServer, RpcServer, Server, StrictServer
from support.plain_server import PlainServer
from support.running_daemon import QUICK, RunningDaemon, until

CONTRACTS = Path(__file__).parents[2] / "support" / "foreign" / "contracts"
PAGE = "<!doctype html><html><title>Sign in</title><form></form></html>"


async def lane_of(daemon: RunningDaemon, url: str) -> dict[str, Any]:
    (lane,) = [each for each in (await daemon.call("daemon.status"))["backends"] if each["base_url"] == url]
    return lane


async def work(daemon: RunningDaemon, url: str) -> str:
    """A task with a step that is done."""
    created = await daemon.call("task.create", title="T", steps=["one", "two"], base_url=url)
    await daemon.call("step.update", task_id=created["task_id"], step=1, status="done", summary="ok")
    return str(created["task_id"])


async def arrived(server: Server, status: str = "done") -> Task:
    """The server's one task, once its first step is as it was said to be."""
    await until(lambda: any(each.steps[0].status == status for each in server.held.tasks.values()))
    (task,) = server.held.tasks.values()
    return task


async def in_state(daemon: RunningDaemon, url: str, *states: str) -> dict[str, Any]:
    async def is_in() -> bool:
        return (await lane_of(daemon, url))["state"] in states

    await until(is_in)
    return await lane_of(daemon, url)


@pytest.mark.parametrize(
    ("answer", "states", "said"),
    [
        (HTMLResponse(PAGE), {"no_contract"}, "web page"),
        (PlainTextResponse("nothing here", 404), {"no_contract"}, "is this a ClawLog backend, and base_url right?"),
        (Response("{}", media_type="application/json"), {"no_contract"}, "the answer names no task"),
        (PlainTextResponse("no", 403), {"unauthorized"}, "HTTP 403"),
        (PlainTextResponse("bad gateway", 502), {"retrying", "outage"}, "HTTP 502: bad gateway"),
    ],
    ids=["a page", "404", "JSON of something else", "403", "a proxy's error"],
)
async def test_what_answers_everything_alike_gets_no_event_and_loses_none(
    daemon: RunningDaemon, answer: Response, states: set[str], said: str
) -> None:
    server = EnvelopedServer()
    front = Front(server.app)
    front.answer = lambda method, path: answer
    with served(front) as url:
        await work(daemon, url)
        lane = await in_state(daemon, url, *states)
        assert (lane["pending"], lane["dead_lettered"]) == (2, 0)
        assert said in f"{lane['contract_detail']} {lane['last_error']}"
        if states == {"no_contract"}:
            assert (lane["contract"], "no OpenAPI document" in lane["contract_detail"]) == ("missing", True)
            assert [each for each in front.requests if each[0] != "GET"] == [("POST", "/api/tasks")] * _trials(front)
        front.answer = lambda method, path: None  # somebody has put it right
        await arrived(server)
        assert (await in_state(daemon, url, "idle"))["contract"] == "found"
    assert server.held.misused == []


def _trials(front: Front) -> int:
    """How often the document was looked for in vain: there is one creation for each, at most."""
    writes = sum(method != "GET" for method, _ in front.requests)
    assert 1 <= writes <= front.requests.count(("GET", "/openapi.json"))
    return writes


async def test_a_server_of_another_shape_that_shows_no_document_is_told_nothing(daemon: RunningDaemon) -> None:
    server = RpcServer()
    front = Front(server.app)
    front.answer = lambda method, path: PlainTextResponse("off", 404) if path.endswith("openapi.json") else None
    with served(front) as url:
        await work(daemon, url)
        lane = await in_state(daemon, url, "no_contract")
        assert (lane["pending"], lane["dead_lettered"], server.held.tasks) == (2, 0, {})


async def test_a_server_of_the_standard_contract_without_a_document_is_known_by_its_answer_to_a_creation(
    daemon: RunningDaemon,
) -> None:
    plain = await PlainServer().start()
    plain.document = None
    try:
        task_id = await work(daemon, plain.url)
        await daemon.flush()
        assert plain.only_task.steps[0].status == "done"
        lane = await lane_of(daemon, plain.url)
        assert (lane["contract"], lane["contract_detail"]) == ("standard", "it took a creation as the standard contract says")
        await daemon.stop()
        await daemon.start()  # as one that is newer than the first: what was delivered tells how
        await daemon.call("step.update", task_id=task_id, step=2, status="running")
        await daemon.flush()
        assert "delivered to before" in (await lane_of(daemon, plain.url))["contract_detail"]
        assert len(plain.tasks) == 1
    finally:
        await plain.stop()


async def test_a_server_that_fails_at_its_document_alone_is_known_by_its_answer_to_a_creation(daemon: RunningDaemon) -> None:
    plain = await PlainServer().start()
    plain.intercept = lambda request: 500 if request.path.endswith("/openapi.json") else None
    try:
        await work(daemon, plain.url)
        await until(lambda: plain.tasks and plain.only_task.steps[0].status == "done", timeout_s=15)
        assert (await lane_of(daemon, plain.url))["contract"] == "standard"
        assert sum(each.path == "/openapi.json" for each in plain.requests) >= 3
    finally:
        await plain.stop()


async def test_a_prefix_is_part_of_the_address_and_a_wrong_one_is_named(daemon: RunningDaemon) -> None:
    server = IndexedServer()
    with served(Front(server.app, "/clawlog")) as url:
        await work(daemon, url)
        lane = await in_state(daemon, url, "no_contract")
        assert "base_url right?" in lane["contract_detail"]
        assert server.held.tasks == {}
        await work(daemon, f"{url}/clawlog")
        await arrived(server)
    plain = await PlainServer().start()
    try:
        await work(daemon, f"{plain.url}/api")
        lane = await in_state(daemon, f"{plain.url}/api", "no_contract")
        assert "is not below /api: set base_url to the address without it" in lane["contract_detail"]
        assert plain.tasks == {}
    finally:
        await plain.stop()


async def test_an_api_that_changes_while_events_wait_is_found_anew(daemon: RunningDaemon) -> None:
    before, after = EnvelopedServer(), StrictServer()
    front = Front(before.app)
    with served(front) as url:
        task_id = await work(daemon, url)
        await arrived(before)
        front.app = after.app  # another program, which knows nothing of the tasks of the old one
        await daemon.call("step.update", task_id=task_id, step=2, status="done", summary="said to the new one")
        task = await arrived(after)
        await until(lambda: task.steps[1].status == "done")
        assert (task.title, task.steps[1].told[-1]) == ("T", ("done", "said to the new one"))
        lane = await in_state(daemon, url, "idle")
        assert (lane["pending"], lane["dead_lettered"]) == (0, 0)
    assert len(before.held.tasks) == 1


async def test_a_document_that_is_gone_with_its_routes_ends_the_contract_until_it_is_back(daemon: RunningDaemon) -> None:
    server = StrictServer()
    front = Front(server.app)
    with served(front) as url:
        task_id = await work(daemon, url)
        await arrived(server)
        front.answer = lambda method, path: PlainTextResponse("moved", 404)
        await daemon.call("step.update", task_id=task_id, step=2, status="running")
        lane = await in_state(daemon, url, "no_contract")
        assert "does not fit any more" in lane["contract_detail"]
        assert (lane["pending"], lane["dead_lettered"]) == (1, 0)
        front.answer = lambda method, path: None
        task = await arrived(server)
        await until(lambda: task.steps[1].status == "running")


async def test_one_that_has_no_list_is_told_anew_of_its_only_task(tmp_path: Path) -> None:
    server = RpcServer()
    with served(server.app) as url:
        backend = Backend(url, contract=str(CONTRACTS / "rpc.toml"))
        daemon = RunningDaemon(tmp_path, msgspec.structs.replace(QUICK, backend=(backend,)))
        await daemon.start()
        task_id = await work(daemon, url)
        await arrived(server)
        server.held.tasks.clear()
        await daemon.call("step.update", task_id=task_id, step=2, status="running", summary="on")
        task = await arrived(server)
        await until(lambda: task.steps[1].status == "running")
        assert (await in_state(daemon, url, "idle"))["dead_lettered"] == 0
        await daemon.stop()


@pytest.mark.parametrize("kind", [EnvelopedServer, StrictServer])
async def test_a_server_that_was_wiped_is_told_anew(daemon: RunningDaemon, kind: type[Server]) -> None:
    server = kind()
    with served(server.app) as url:
        task_id = await work(daemon, url)
        await arrived(server)
        server.held.tasks.clear()
        if isinstance(server, StrictServer):
            server.steps.clear()
        await daemon.call("step.update", task_id=task_id, step=2, status="running", summary="on")
        task = await arrived(server)
        await until(lambda: task.steps[1].status == "running")
        assert (task.title, task.steps[0].told[-1]) == ("T", ("done", "ok"))
        assert (await in_state(daemon, url, "idle"))["dead_lettered"] == 0
