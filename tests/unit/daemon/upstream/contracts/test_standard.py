"""The standard contract as a contract like any other says what the standard contract's own routes say."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from clawlogd.model import Beat, Event, EventKind, Evidence, NewStep
from clawlogd.upstream import routes
from clawlogd.upstream.contracts.contract import Action, read_contract
from clawlogd.upstream.contracts.interpreter import Interpreter
from clawlogd.upstream.contracts.standard import STANDARD_CONTRACT
from clawlogd.upstream.routes import HttpRequest

AT = "2026-02-28T08:00:00.000Z"
SPEAKS = Interpreter(STANDARD_CONTRACT)


def event(kind: EventKind, **members: Any) -> Event:
    return Event("01930000-0000-7000-8000-000000000000", "t", kind, AT, **members)


def same(one: HttpRequest | None, other: HttpRequest | None) -> bool:
    assert one is not None
    assert other is not None
    bodies = [None if each.body is None else json.loads(each.body) for each in (one, other)]
    return (one.method, one.path, one.key, bodies[0]) == (other.method, other.path, other.key, bodies[1])


@pytest.mark.parametrize(
    "members",
    [
        {"steps": (NewStep("a", "one"), NewStep("b", "two"))},
        {"steps": (NewStep("a", "one"),), "summary": "s", "metadata": {"k": "v"}, "parent_task_id": "p"},
    ],
)
def test_a_creation(members: dict[str, Any]) -> None:
    created = event(EventKind.TASK_CREATED, title="T", **members)
    assert same(SPEAKS.create(created), routes.single(created, "t", None))


def test_reports_on_a_step_and_a_task() -> None:
    step = event(EventKind.STEP_STATUS, step_id="s", status="failed", summary="why")
    assert same(SPEAKS.step(step, "a/b", "7"), routes.single(step, "a/b", "7"))
    task = event(EventKind.TASK_STATUS, status="waiting", summary="Which one?")
    (told,) = SPEAKS.task(task, "a/b")
    assert same(told, routes.single(task, "a/b", None))


@pytest.mark.parametrize("members", [{}, {"interrupt_id": "i-9", "summary": "stopped"}])
def test_an_acknowledgement(members: dict[str, Any]) -> None:
    ack = event(EventKind.INTERRUPT_ACK, **members)
    assert same(SPEAKS.ack(ack, "t"), routes.single(ack, "t", None))


@pytest.mark.parametrize("members", [{}, {"summary": "412 of 900", "pid": 7}])
def test_a_heartbeat(members: dict[str, Any]) -> None:
    beat = Beat("t", AT, AT, Evidence.PROCESS, stalled=True, **members)
    assert same(SPEAKS.heartbeat(beat, "t"), routes.heartbeat(beat, "t"))


def test_questions() -> None:
    assert same(SPEAKS.control("a/b"), routes.control("a/b"))
    assert same(SPEAKS.read("a/b"), routes.task("a/b"))
    listed = SPEAKS.list_tasks()
    assert listed is not None
    assert (listed.path, listed.query) == ("/api/tasks", (("limit", "1"),))


def test_it_is_read_back_from_what_is_shown_of_it() -> None:
    shown = msgspec.toml.encode(STANDARD_CONTRACT).decode()
    assert read_contract(shown) == STANDARD_CONTRACT


def test_reports_that_share_a_path_are_told_apart_where_they_are_shown() -> None:
    beat = Action("POST", "/t/{task_id}/events", body={"event": "heartbeat", "detail": "{summary}", "level": 1, "note": ""})
    assert beat.route == "POST /t/{task_id}/events event=heartbeat"
    assert STANDARD_CONTRACT.create.route == "POST /api/tasks"
