"""What is sent where, for each event, beat and question."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clawlogd.model import Beat, Event, EventKind, Evidence, NewStep
from clawlogd.upstream import routes

AT = "2026-02-28T08:00:00.000Z"


def event(kind: EventKind, **fields: Any) -> Event:
    return Event("e", "t", kind, AT, **fields)


@pytest.mark.parametrize(
    ("sent", "route", "body"),
    [
        (
            event(EventKind.TASK_CREATED, title="T", steps=(NewStep("s", "one"),), metadata={"k": "v"}),
            "POST /api/tasks",
            {"task_id": "t", "title": "T", "steps": [{"step_id": "s", "title": "one"}], "metadata": {"k": "v"}},
        ),
        (
            event(EventKind.TASK_STATUS, status="done", summary="all"),
            "PATCH /api/tasks/a%20b%2Fc",
            {"status": "done", "summary": "all", "at": AT},
        ),
        (
            event(EventKind.STEP_STATUS, step_id="s", status="done"),
            "PATCH /api/tasks/a%20b%2Fc/steps/7",
            {"status": "done", "at": AT},
        ),
        (event(EventKind.INTERRUPT_ACK), "POST /api/tasks/a%20b%2Fc/interrupt/ack", {"at": AT}),
        (
            event(EventKind.INTERRUPT_ACK, interrupt_id="i", summary="ok"),
            "POST /api/tasks/a%20b%2Fc/interrupt/ack",
            {"interrupt_id": "i", "summary": "ok", "at": AT},
        ),
    ],
)
def test_each_kind_of_event_has_its_route(sent: Event, route: str, body: dict[str, Any]) -> None:
    request = routes.single(sent, "a b/c", "7")
    assert request is not None
    assert (str(request), request.key) == (route, "e")
    assert msgspec.json.decode(request.body or b"") == body


@pytest.mark.parametrize(
    "kind", [EventKind.AGENT_LOST, EventKind.INTERRUPT_SEEN, EventKind.INTERRUPT_DELIVERED, EventKind.HEARTBEAT]
)
def test_other_kinds_have_none(kind: EventKind) -> None:
    assert routes.single(event(kind), "t", None) is None


def test_a_batch_is_its_records_as_they_are() -> None:
    assert routes.batch([b'{"n":1}', b'{"n":2}']).body == b'{"events":[{"n":1},{"n":2}]}'


def test_a_heartbeat_names_its_task_in_the_route_alone_and_says_nothing_of_what_it_lacks() -> None:
    request = routes.heartbeat(Beat("t", AT, AT, Evidence.PROCESS, stalled=False, pid=7), "r")
    assert str(request) == "POST /api/tasks/r/heartbeat"
    content = {"at": AT, "agent_seen_at": AT, "evidence": "process", "stalled": False, "pid": 7}
    assert msgspec.json.decode(request.body or b"") == content


def test_a_poll_without_a_cursor_asks_for_the_states_as_they_are() -> None:
    assert msgspec.json.decode(routes.poll(["a"], None, 0.0).body or b"") == {"task_ids": ["a"], "wait_s": 0.0}
    assert msgspec.json.decode(routes.poll(["a"], "7", 55.0).body or b"")["cursor"] == "7"
