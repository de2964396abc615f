"""The token reaches its own backend alone, and nothing that people or files see."""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.plain_server import PlainServer
from support.running_daemon import QUICK, RunningDaemon, until

TOKEN = "t0ken-that-nobody-may-see"


def tokens(server: PlainServer) -> set[str | None]:
    return {each.headers.get("Authorization") for each in server.requests}


def refused_some(server: PlainServer, before: int) -> bool:
    return len(server.requests) > before + 3


async def work(daemon: RunningDaemon, url: str) -> None:
    await daemon.call("task.create", title="T", steps=["one"], base_url=url, task_id=url.rpartition(":")[2])
    await daemon.call("interrupt.check", task_id=url.rpartition(":")[2], max_age_s=0)


async def test_only_the_configured_backend_gets_it(
    new_daemon: Any, plain: PlainServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = msgspec.structs.replace(QUICK, base_url=plain.url)
    daemon: RunningDaemon = new_daemon(settings, env={"CLAWLOG_TOKEN": TOKEN})
    await daemon.start()
    other = await PlainServer().start()
    try:
        await work(daemon, plain.url)
        await work(daemon, other.url)
        await daemon.flush()
        plain.intercept = other.intercept = lambda _: 500
        for server in (plain, other):
            await daemon.call("task.update", task_id=server.url.rpartition(":")[2], status="running")
            await server.until(partial(refused_some, server, len(server.requests)))
        said = json.dumps(await daemon.call("daemon.status")) + json.dumps(await daemon.call("task.list"))
    finally:
        await other.stop()
    assert tokens(plain) == {f"Bearer {TOKEN}"}
    assert tokens(other) == {None}
    await daemon.stop()
    assert TOKEN not in said
    assert TOKEN not in caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    files = [path for path in daemon.state_dir.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"outbox.db", "outbox.seq"}
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


async def test_a_refused_token_pauses_the_lane_says_so_and_is_read_again(
    new_daemon: Any, plain: PlainServer, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("the-old-one\n")
    plain.intercept = lambda each: None if each.headers.get("Authorization") == "Bearer the-new-one" else 401
    settings = msgspec.structs.replace(QUICK, base_url=plain.url, token_file=str(file))
    daemon: RunningDaemon = new_daemon(settings)
    await daemon.start()
    await daemon.call("task.create", title="T", task_id="t", steps=["one"])
    await daemon.call("step.update", task_id="t", step=1, status="done")

    async def paused() -> bool:
        lanes = (await daemon.call("daemon.status"))["backends"]
        return bool(lanes and lanes[0]["state"] == "unauthorized")

    await until(paused)
    status = await daemon.call("daemon.status")
    assert "refuses the token" in status["problems"][0]
    assert "CLAWLOG_TOKEN_FILE" in status["problems"][0]
    assert "the-old-one" not in json.dumps(status)
    file.write_text("the-new-one\n")
    await plain.until(lambda: bool(plain.tasks) and plain.only_task.steps[0].status == "done")
    await until(lambda: _healthy(daemon))
    assert (await daemon.call("deadletter.list"))["dead_letters"] == []


async def _healthy(daemon: RunningDaemon) -> bool:
    return bool((await daemon.call("daemon.status"))["healthy"])


@pytest.mark.parametrize("content", [None, "", "two words"], ids=["missing", "empty", "not a token"])
async def test_a_token_file_that_cannot_be_used_is_reported_without_its_content(
    new_daemon: Any, plain: PlainServer, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    daemon: RunningDaemon = new_daemon(
        msgspec.structs.replace(QUICK, base_url=plain.url), env={"CLAWLOG_TOKEN_FILE": str(file), "CLAWLOG_TOKEN": "unused"}
    )
    await daemon.start()
    await daemon.call("task.create", title="T", task_id="t")
    await until(lambda: _problems(daemon))
    status = await daemon.call("daemon.status")
    assert "the token cannot be read" in status["problems"][0]
    assert "two words" not in json.dumps(status)
    assert plain.requests == []
    file.write_text("a-good-one")
    await plain.until_events(1)
    assert tokens(plain) == {"Bearer a-good-one"}


async def _problems(daemon: RunningDaemon) -> list[str]:
    return list((await daemon.call("daemon.status"))["problems"])


async def test_a_redirect_is_not_followed_so_neither_the_token_nor_the_body_goes_elsewhere(
    new_daemon: Any, plain: PlainServer
) -> None:
    daemon: RunningDaemon = new_daemon(msgspec.structs.replace(QUICK, base_url=plain.url), env={"CLAWLOG_TOKEN": TOKEN})
    elsewhere = await PlainServer().start()
    plain.intercept = lambda _: 307
    plain.location = elsewhere.url + "/api/events"
    try:
        await daemon.start()
        await daemon.call("task.create", title="T", task_id="t")
        await until(lambda: _problems(daemon))
        assert elsewhere.requests == []
        (report,) = (await daemon.call("daemon.status"))["backends"]
        assert "redirects are not followed" in report["last_error"]
        assert report["pending"] == 1
    finally:
        await elsewhere.stop()
