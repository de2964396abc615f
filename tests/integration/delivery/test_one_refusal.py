"""One event that a backend will not have, or one task at whose signs it fails, decides for no other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clawlogd.settings import Retry
from support.hostile_server import Answer, Asked, HostileServer
from support.running_daemon import QUICK, RunningDaemon, until

NewHostile = Callable[..., Awaitable[HostileServer]]
WALL = Answer(403, b"<html><h1>Forbidden</h1>Request blocked by the firewall.</html>", {"Content-Type": "text/html"})

both = pytest.mark.parametrize("batch", [True, False], ids=["batch", "plain"])


@pytest.fixture
async def daemon(new_daemon: Callable[..., RunningDaemon]) -> RunningDaemon:
    started = new_daemon(msgspec.structs.replace(QUICK, retry=Retry(quick_delays_s=(0.01, 0.01, 0.01), max_delay_s=0.3)))
    await started.start()
    return started


def firewall(asked: Asked) -> Answer | None:
    """A web application firewall: it looks at each request as a whole, and answers before the server sees it."""
    return WALL if asked.body is not None and "DROP TABLE" in asked.text else None


async def lane(daemon: RunningDaemon) -> dict[str, Any]:
    (report,) = (await daemon.call("daemon.status"))["backends"]
    return dict(report)


async def problems(daemon: RunningDaemon) -> str:
    return "\n".join((await daemon.call("daemon.status"))["problems"])


async def tasks(daemon: RunningDaemon, server: HostileServer, *task_ids: str) -> None:
    for task_id in task_ids:
        await daemon.call("task.create", title="T", task_id=task_id, steps=["one", "two"], base_url=server.url)
    await daemon.flush()


@both
async def test_an_event_that_a_firewall_dislikes_holds_up_no_other_task(
    daemon: RunningDaemon, new_hostile: NewHostile, batch: bool
) -> None:
    server = await new_hostile(batch=batch)
    server.poison = firewall
    await tasks(daemon, server, "a", "b")
    await daemon.call("step.update", task_id="a", step=1, status="running", summary="DROP TABLE users")
    for status in ("running", "done"):
        await daemon.call("step.update", task_id="b", step=1, status=status)
    await server.until(lambda: next(iter(server.tasks["b"]["steps"].values())) == "done", timeout_s=5)
    assert "token" not in await problems(daemon)
    assert (await lane(daemon))["state"] != "unauthorized"
    # Its own task waits for it a while, and then goes on without it.
    await daemon.call("step.update", task_id="a", step=2, status="done", summary="the next one")

    async def letters() -> list[dict[str, Any]]:
        return list((await daemon.call("deadletter.list"))["dead_letters"])

    await until(letters)
    (letter,) = await letters()
    assert (letter["task_id"], letter["kind"], letter["backend_status"]) == ("a", "step_status", 403)
    assert "firewall" in letter["backend_reply"]
    await server.until(lambda: list(server.tasks["a"]["steps"].values()) == ["pending", "done"], timeout_s=5)


@both
async def test_an_event_that_is_refused_alone_waits_until_another_has_passed(
    daemon: RunningDaemon, new_hostile: NewHostile, batch: bool
) -> None:
    server = await new_hostile(batch=batch)
    await tasks(daemon, server, "a", "b")
    server.poison = firewall
    await daemon.call("step.update", task_id="a", step=1, status="running", summary="DROP TABLE users")

    async def said() -> bool:
        return "403" in await problems(daemon)

    await until(said)
    assert "token" not in await problems(daemon)
    await daemon.call("step.update", task_id="b", step=1, status="done")
    await server.until(lambda: next(iter(server.tasks["b"]["steps"].values())) == "done", timeout_s=5)
    server.poison = lambda _: None  # the firewall learns better
    await server.until(lambda: next(iter(server.tasks["a"]["steps"].values())) == "running", timeout_s=5)
    await daemon.flush()
    assert (await daemon.call("deadletter.list"))["dead_letters"] == []
    assert (await daemon.call("daemon.status"))["healthy"] is True


@both
async def test_a_backend_that_forbids_all_keeps_all_and_speaks_of_no_token_that_is_not_set(
    daemon: RunningDaemon, new_hostile: NewHostile, batch: bool
) -> None:
    server = await new_hostile(batch=batch)
    await tasks(daemon, server, "a", "b", "c")
    server.poison = lambda _: WALL
    for task_id in ("a", "b", "c"):
        for status in ("running", "done"):
            await daemon.call("step.update", task_id=task_id, step=1, status=status)
    refused = len(server.requests)
    await server.until(lambda: len(server.requests) >= refused + 25)
    said = await problems(daemon)
    assert "403" in said
    assert "token" not in said.lower()
    assert (await daemon.call("deadletter.list"))["dead_letters"] == []
    server.poison = lambda _: None
    await daemon.flush()
    assert [next(iter(task["steps"].values())) for task in server.tasks.values()] == ["done"] * 3


@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_that_is_refused_is_named(
    new_daemon: Callable[..., RunningDaemon], hostile: HostileServer, folder: Path, status: int
) -> None:
    (folder / "token").write_text("secret-token-1234", encoding="ascii")
    daemon = new_daemon(msgspec.structs.replace(QUICK, base_url=hostile.url, token_file=str(folder / "token")))
    await daemon.start()
    hostile.poison = lambda asked: Answer(status, {"title": "no"})
    await daemon.call("task.create", title="T", task_id="t")

    async def said() -> bool:
        return "token" in await problems(daemon)

    await until(said)
    hostile.poison = lambda _: None
    await daemon.flush()


@both
@pytest.mark.parametrize("status", [500, 403, 200])
async def test_one_tasks_heartbeats_that_fail_hold_up_nothing(
    daemon: RunningDaemon, new_hostile: NewHostile, batch: bool, status: int
) -> None:
    server = await new_hostile(batch=batch)
    await tasks(daemon, server, "a", "b")

    def poison(asked: Asked) -> Answer | None:
        if asked.path == "/api/tasks/a/heartbeat":
            return Answer(status, b"<html>")
        if asked.path == "/api/events" and any(e["kind"] == "heartbeat" and e["task_id"] == "a" for e in asked.body["events"]):
            return Answer(status, b"<html>")
        return None

    server.poison = poison
    for number in range(8):
        await daemon.call("task.heartbeat", task_id="a", summary=f"a {number}")
        await daemon.call("task.heartbeat", task_id="b", summary=f"b {number}")
        await daemon.call("step.update", task_id="b", step=1, status="running", summary=f"step {number}")
        await server.until(lambda number=number: any(f"step {number}" in each.text for each in server.requests), timeout_s=3)
        await server.until(lambda number=number: any(f"b {number}" in each.text for each in server.requests), timeout_s=3)
    await daemon.flush()
    assert (await lane(daemon))["state"] not in {"outage", "unauthorized"}
