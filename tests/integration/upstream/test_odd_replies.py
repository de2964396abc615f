"""Replies that are odd, and still say what became of what was sent."""

from __future__ import annotations

import codecs
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from support.hostile_server import Answer, HostileServer
from support.running_daemon import RunningDaemon, until

NewHostile = Callable[..., Awaitable[HostileServer]]


async def a_task(daemon: RunningDaemon, server: HostileServer) -> None:
    await daemon.call("task.create", title="T", task_id="t", steps=["one"], base_url=server.url)
    await daemon.call("step.update", task_id="t", step=1, status="done")


@pytest.mark.parametrize("batch", [True, False], ids=["batch", "plain"])
@pytest.mark.parametrize(
    ("headers", "before"),
    [
        ({}, codecs.BOM_UTF8),
        ({"Set-Cookie": "sso=" + "x" * 9000}, b""),
        ({"X-Policy": "x" * 30_000}, b""),
        ({f"X-{number}": "y" for number in range(300)}, b""),
        ({"Content-Type": "text/html; charset=no-such-thing"}, b""),
    ],
    ids=["byte order mark", "cookie of 9 kB", "header of 30 kB", "300 headers", "unknown charset"],
)
async def test_what_is_right_but_for_its_wrapping_is_delivered(
    daemon: RunningDaemon, new_hostile: NewHostile, batch: bool, headers: dict[str, str], before: bytes
) -> None:
    server = await new_hostile(batch=batch)

    def wrapped(answer: Answer) -> Answer:
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        return Answer(answer.status, before + body, headers)

    server.disguise = wrapped
    await a_task(daemon, server)
    await daemon.flush()
    assert list(server.tasks["t"]["steps"].values()) == ["done"]
    server.ask_to_stop("t", interrupt_id="s1")
    assert (await daemon.call("interrupt.check", task_id="t", wait_s=5))["state"] == "requested"


@pytest.mark.parametrize(
    "answer",
    [Answer(204), Answer(201), Answer(200, b"\n"), Answer(205, headers={"Content-Type": "text/plain"})],
    ids=["204", "201 without a body", "200 with a blank", "205"],
)
async def test_a_task_that_was_created_without_a_word_is_created_once(
    daemon: RunningDaemon, hostile_plain: HostileServer, answer: Answer
) -> None:
    hostile_plain.disguise = lambda usual: {201: answer, 200: Answer(204)}.get(usual.status, usual)
    await a_task(daemon, hostile_plain)
    await daemon.flush()
    assert len(hostile_plain.asked("POST", "/api/tasks")) == 1
    assert list(hostile_plain.tasks["t"]["steps"].values()) == ["done"]


async def test_a_page_in_place_of_an_answer_creates_nothing(daemon: RunningDaemon, hostile_plain: HostileServer) -> None:
    hostile_plain.poison = lambda _: Answer(200, b"<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"})
    await a_task(daemon, hostile_plain)

    async def told() -> Any:
        return (await daemon.call("daemon.status"))["problems"]

    await until(told)
    hostile_plain.poison = lambda _: None
    await daemon.flush()
    assert list(hostile_plain.tasks["t"]["steps"].values()) == ["done"]


@pytest.mark.parametrize("after", ["close", "reset"])
async def test_a_reply_that_unpacks_to_more_than_the_bound_is_not_taken_in(
    daemon: RunningDaemon, hostile: HostileServer, after: Any
) -> None:
    import gzip

    bomb = Answer(200, gzip.compress(b" " * 300_000_000, compresslevel=1), {"Content-Encoding": "gzip"}, after=after)
    hostile.poison = lambda asked: bomb if asked.path == "/api/events" else None
    before = _resident_bytes()
    await a_task(daemon, hostile)

    async def told() -> Any:
        return (await daemon.call("daemon.status"))["backends"][0]["last_error"]

    await until(told)
    assert _peak_bytes() - before < 64 << 20
    hostile.poison = lambda _: None
    await daemon.flush()


def _resident_bytes() -> int:
    from pathlib import Path

    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


def _peak_bytes() -> int:
    from pathlib import Path

    (line,) = [each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
