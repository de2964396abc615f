"""A client of now and a daemon of before: no call fails for what is new, and what cannot be said is said in other words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clawlog.async_client import AsyncClient
from clawlog.client import Client
from clawlog.connection import calls, features
from clawlog.connection.call import Call
from clawlog.connection.results import Accepted, AddedStep, Beat, Planned
from clawlog.connection.values import Progress
from clawlog.errors import Refused
from clawlog.protocol.errors import INVALID_PARAMS, TASK_FINISHED, RpcError
from clawlog.protocol.vocabulary import LATER_PARAMS
from support.older_daemon import make_older
from support.scripted_daemon import ScriptedDaemon, Trick

Perform = Callable[..., list[Any]]


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(features, "_warned", set())
    return []


@pytest.fixture(params=["blocking", "asyncio"])
def perform(
    request: pytest.FixtureRequest, daemon: ScriptedDaemon, env: dict[str, str], warnings: list[str]
) -> Iterator[Perform]:
    """Performs calls one after another, with one client."""
    if request.param == "blocking":
        with Client(daemon.address, env=env, warn=warnings.append) as client:
            yield lambda *batch: [client.perform(call) for call in batch]
        return

    async def run(batch: tuple[Call[Any], ...]) -> list[Any]:
        async with AsyncClient(daemon.address, env=env, warn=warnings.append) as client:
            return [await client.perform(call) for call in batch]

    yield lambda *batch: asyncio.run(run(batch))


def test_a_task_is_created_without_the_parameters_that_are_not_known(
    daemon: ScriptedDaemon, perform: Perform, warnings: list[str]
) -> None:
    make_older(daemon)
    again = [
        calls.create_task(f"T{n}", task_id=f"t{n}", cwd="/work", parent_task_id="p", parent_implied=True, event_id=f"e{n}")
        for n in range(2)
    ]
    first, second = perform(*again)
    assert (first.task_id, second.task_id) == ("t0", "t1")
    sent = [each.params for each in daemon.requests]
    assert [(each["event_id"], [name for name in LATER_PARAMS["task.create"] if name in each]) for each in sent] == [
        ("e0", ["cwd", "parent_task_id", "parent_implied"]),
        ("e0", []),
        ("e1", []),
    ], "with the same event_id, and the second task asks for nothing that is not there"
    (warning,) = warnings
    assert "'parent_task_id'" in warning
    assert "restart" in warning


def test_a_progress_stands_before_the_summary(daemon: ScriptedDaemon, perform: Perform, warnings: list[str]) -> None:
    make_older(daemon)
    perform(
        calls.update_step("t", 1, "running", summary="reading", progress=Progress(132, 318, "files"), event_id="e"),
        calls.heartbeat("t", progress=Progress(0.5)),
        calls.heartbeat("t", summary="plain"),
    )
    told = [(each.method, each.params.get("summary")) for each in daemon.requests if "progress" not in each.params]
    assert told == [
        ("step.update", "132/318 files reading"),
        ("task.heartbeat", "0.5"),
        ("task.heartbeat", "plain"),
    ]
    assert len(warnings) == 1


def test_a_task_that_waits_runs_with_the_question_as_its_summary(
    daemon: ScriptedDaemon, perform: Perform, warnings: list[str]
) -> None:
    make_older(daemon)
    (accepted,) = perform(calls.update_task("t", "waiting", summary="drop the column?", event_id="e"))
    assert accepted == Accepted("e", 1)
    assert daemon.requests[-1].params == {"task_id": "t", "status": "running", "summary": "drop the column?", "event_id": "e"}
    assert "'waiting'" in warnings[0]


@pytest.mark.parametrize(
    ("call", "line", "result"),
    [
        (calls.plan_task("t", ["a", "b"], event_id="e"), "plan: a, b", Planned("e", None)),
        (calls.add_step("t", "found", event_id="e"), "new step: found", AddedStep("e", None)),
        (calls.link_task("t", "https://x", name="log", event_id="e"), "log: https://x", Accepted("e", None)),
        (calls.link_task("t", "https://x", event_id="e"), "https://x", Accepted("e", None)),
        (calls.annotate_task("t", {"k": "v", "old": None}, event_id="e"), "k: v, old: removed", Accepted("e", None)),
    ],
)
def test_what_is_no_verb_is_told_in_one_line(
    daemon: ScriptedDaemon, perform: Perform, warnings: list[str], call: Call[Any], line: str, result: Accepted
) -> None:
    make_older(daemon)
    assert perform(call, call) == [result, result]
    assert daemon.methods == [call.method, "task.heartbeat", "task.heartbeat"], "asked for once only"
    assert daemon.requests[-1].params == {"task_id": "t", "summary": line}
    assert len(warnings) == 1


def test_a_line_for_a_task_that_has_ended_is_no_failure(daemon: ScriptedDaemon, perform: Perform) -> None:
    make_older(daemon)
    daemon.answers["task.heartbeat"] = RpcError(TASK_FINISHED, "Task t is done", status="done")
    assert perform(calls.link_task("t", "https://x", event_id="e")) == [Accepted("e", None)]


def test_a_wrong_value_is_still_an_error(daemon: ScriptedDaemon, perform: Perform, warnings: list[str]) -> None:
    hint = "expected {done, total?, unit?}"
    daemon.answers["step.update"] = RpcError(INVALID_PARAMS, f"progress: below 0; {hint}", field="progress", hint=hint)
    with pytest.raises(Refused, match="below 0"):
        perform(calls.update_step("t", 1, "running", progress=Progress(-1)))
    assert (daemon.methods, warnings) == (["step.update"], [])


def test_a_daemon_that_was_upgraded_is_asked_again(daemon: ScriptedDaemon, env: dict[str, str], warnings: list[str]) -> None:
    of_now = dict(daemon.answers)
    make_older(daemon)
    with Client(daemon.address, env=env, warn=warnings.append) as client:
        client.link_task("t", "https://x")
        daemon.answers.update(of_now)
        daemon.hang_up()
        client.link_task("t", "https://x")
    assert daemon.methods == ["task.link", "task.heartbeat", "task.link"]


def test_each_of_a_pipeline_is_repeated_for_itself(daemon: ScriptedDaemon, env: dict[str, str], warnings: list[str]) -> None:
    make_older(daemon)
    batch: list[Call[Any]] = [
        calls.add_step("t", "found", event_id="a"),
        calls.heartbeat("t", progress=Progress(1)),
        calls.update_task("t", "waiting", event_id="b"),
        calls.heartbeat("t"),
    ]
    with Client(daemon.address, env=env, warn=warnings.append) as client:
        assert client.pipeline(batch) == [AddedStep("a", None), Beat(15.0), Accepted("b", 1), Beat(15.0)]
    assert len(warnings) == 3


def test_a_connection_that_is_lost_in_between_is_made_anew(
    daemon: ScriptedDaemon, perform: Perform, warnings: list[str]
) -> None:
    make_older(daemon)
    tricks = [Trick.HANG_UP]
    polite = daemon.answers["task.heartbeat"]
    daemon.answers["task.heartbeat"] = lambda params: tricks.pop() if tricks else polite(params)
    assert perform(calls.link_task("t", "https://x", event_id="e")) == [Accepted("e", None)]
    assert daemon.methods == ["task.link", "task.heartbeat", "task.link", "task.heartbeat"]
    assert len(warnings) == 1, "one line per process and feature"


def test_by_default_the_logger_is_told(
    daemon: ScriptedDaemon, env: dict[str, str], warnings: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    make_older(daemon)
    with Client(daemon.address, env=env) as client:
        client.link_task("t", "https://x")
    assert "'task.link'" in caplog.text
