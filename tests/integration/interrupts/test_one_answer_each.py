"""What a backend says of one task's stop, or fails to say, hides no other task's; what is not known is said, and since when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec
import pytest

from clawlogd.settings import Poll
from support.hostile_server import Answer, Asked, HostileServer
from support.running_daemon import QUICK, RunningDaemon, until

NewHostile = Callable[..., Awaitable[HostileServer]]
TASKS = 12
BAD = "t3"


@pytest.fixture
async def daemon(new_daemon: Callable[..., RunningDaemon]) -> RunningDaemon:
    started = new_daemon(msgspec.structs.replace(QUICK, poll=Poll(interval_s=0.1, wait_s=2.0, budget_per_s=400.0)))
    await started.start()
    return started


async def created(daemon: RunningDaemon, server: HostileServer) -> list[str]:
    task_ids = [f"t{number}" for number in range(TASKS)]
    for task_id in task_ids:
        await daemon.call("task.create", title="T", task_id=task_id, base_url=server.url)
    await daemon.flush()
    return task_ids


async def states(daemon: RunningDaemon) -> dict[str, str]:
    """What is known without asking anew."""
    return {each["task_id"]: each["stop"]["state"] for each in (await daemon.call("task.list"))["tasks"]}


def about(task_id: str, answer: Answer) -> Callable[[Asked], Answer | None]:
    return lambda asked: answer if asked.path == f"/api/tasks/{task_id}/control" else None


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500),
        Answer(403),
        Answer(401),
        Answer(429),
        Answer(302),
        Answer(422),
        Answer(200, b"<html>"),
        Answer(200, {"interrupt_requested": "perhaps"}),
        Answer(200, {}),
        Answer(204),
        Answer(raw=b"", after="reset"),
        Answer(raw=b"nonsense\r\n\r\n", after="close"),
        Answer(raw=b"", after="hang"),
    ],
    ids=lambda answer: f"{answer.raw!r} {answer.after}" if answer.raw is not None else f"{answer.status} {answer.body!r}",
)
async def test_a_bad_answer_about_one_task_hides_no_other_tasks_stop(
    daemon: RunningDaemon, hostile_plain: HostileServer, answer: Answer
) -> None:
    task_ids = await created(daemon, hostile_plain)
    hostile_plain.poison = about(BAD, answer)
    others = [each for each in task_ids if each != BAD]
    for task_id in others:
        hostile_plain.ask_to_stop(task_id, interrupt_id="s")

    async def all_seen() -> bool:
        known = await states(daemon)
        return all(known[task_id] == "requested" for task_id in others)

    await until(all_seen, timeout_s=4)


async def test_what_is_not_known_of_a_task_is_said_with_since_when_until_it_is_known(
    daemon: RunningDaemon, hostile_plain: HostileServer
) -> None:
    await created(daemon, hostile_plain)
    assert (await daemon.call("daemon.status"))["healthy"] is True
    before = datetime.now().astimezone()
    hostile_plain.poison = about(BAD, Answer(500, {"title": "broken here"}))

    async def said() -> bool:
        status = await daemon.call("daemon.status")
        return bool(status["stops_unknown"]) and any("stop" in each and BAD in each for each in status["problems"])

    await until(said)
    status = await daemon.call("daemon.status")
    assert status["healthy"] is False
    (unknown,) = status["stops_unknown"]
    assert (unknown["task_id"], unknown["base_url"]) == (BAD, hostile_plain.url)
    assert "HTTP 500" in unknown["detail"]
    since = datetime.fromisoformat(unknown["since"])
    assert before <= since <= datetime.now().astimezone()
    assert any(unknown["since"] in each for each in status["problems"])
    assert (await daemon.call("task.get", task_id=BAD))["stop"]["unknown_since"] == unknown["since"]
    assert (await daemon.call("task.get", task_id="t0"))["stop"]["unknown_since"] is None
    hostile_plain.poison = lambda _: None

    async def healthy() -> bool:
        status = await daemon.call("daemon.status")
        return bool(status["healthy"]) and status["stops_unknown"] == []

    await until(healthy)


async def test_where_all_is_asked_at_once_all_is_unknown_while_that_fails(
    daemon: RunningDaemon, hostile: HostileServer
) -> None:
    await created(daemon, hostile)
    hostile.poison = lambda asked: Answer(503) if asked.path == "/api/control/poll" else None
    hostile.ask_to_stop("t1", interrupt_id="s")

    async def said() -> bool:
        return len((await daemon.call("daemon.status"))["stops_unknown"]) == TASKS

    await until(said)
    hostile.poison = lambda _: None

    async def seen() -> bool:
        return (await states(daemon))["t1"] == "requested" and not (await daemon.call("daemon.status"))["stops_unknown"]

    await until(seen)


YES = (True, 1, 1.0, "1", "true", "True", "yes", "soft_stop", "requested", "stop")
NO = (False, 0, 0.0, None, "0", "false", "False", "no", "", "none")
NEITHER = ("perhaps", 7, -1, [], {}, [True], "\ud800")


@pytest.mark.parametrize("batch", [True, False], ids=["batch", "plain"])
@pytest.mark.parametrize("values", [YES, NO, NEITHER], ids=["yes", "no", "neither"])
async def test_a_flag_is_read_sensibly_or_not_at_all(
    daemon: RunningDaemon, new_hostile: NewHostile, batch: bool, values: tuple[Any, ...]
) -> None:
    server = await new_hostile(batch=batch)
    for number, value in enumerate(values):
        await daemon.call("task.create", title="T", task_id=str(number), base_url=server.url)
        server.controls[str(number)] = {"interrupt_requested": value, "interrupt_id": "s"}
    await daemon.flush()
    expected = {id(YES): "requested", id(NO): "none", id(NEITHER): "unknown"}[id(values)]

    async def all_read() -> bool:
        if expected == "unknown":
            return len((await daemon.call("daemon.status"))["stops_unknown"]) == len(values)
        checked = [await daemon.call("interrupt.check", task_id=str(number)) for number in range(len(values))]
        return {each["state"] for each in checked} == {expected}

    await until(all_read, timeout_s=6)


async def test_one_control_of_many_that_cannot_be_read_hides_no_other(daemon: RunningDaemon, hostile: HostileServer) -> None:
    task_ids = await created(daemon, hostile)
    hostile.controls[BAD] = {"interrupt_requested": "perhaps"}
    for task_id in task_ids:
        if task_id != BAD:
            hostile.ask_to_stop(task_id, interrupt_id="s")

    async def all_seen() -> bool:
        known = await states(daemon)
        return all(known[task_id] == "requested" for task_id in task_ids if task_id != BAD)

    await until(all_seen, timeout_s=4)

    async def said() -> bool:
        return [each["task_id"] for each in (await daemon.call("daemon.status"))["stops_unknown"]] == [BAD]

    await until(said)
