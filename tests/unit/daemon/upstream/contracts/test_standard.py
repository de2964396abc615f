"""The standard contract's plain profile: what is sent where, byte for byte, for each event, beat and question."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clawlogd.model import Beat, Event, EventKind, Evidence, NewStep, Progress
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.contracts.contract import Action, read_contract
from clawlogd.upstream.contracts.standard import STANDARD_CONTRACT
from clawlogd.upstream.routes import HttpRequest
from clawlogd.upstream.standard import StandardServer

AT = "2026-02-28T08:00:00.000Z"
STEP = "PATCH /api/tasks/a%20b%2Fc/steps/7"
TASK = "PATCH /api/tasks/a%20b%2Fc"
ACK = "POST /api/tasks/a%20b%2Fc/interrupt/ack"
WHEN = f'"at":"{AT}"'


def event(kind: EventKind, **members: Any) -> Event:
    return Event("e", "t", kind, AT, **members)


@pytest.fixture
def sent() -> list[HttpRequest]:
    return []


@pytest.fixture
def server(sent: list[HttpRequest]) -> StandardServer:
    async def send(request: HttpRequest) -> Answer:
        sent.append(request)
        return Answer(Outcome.DELIVERED, status=200, body={"task_id": "t", "interrupt_requested": False})

    return StandardServer(send)


@pytest.mark.parametrize(
    ("kind", "members", "route", "body"),
    [
        (
            EventKind.TASK_CREATED,
            {"title": "T", "summary": "", "metadata": {}},
            "POST /api/tasks",
            '{"task_id":"t","title":"T","steps":[]}',
        ),
        (
            EventKind.TASK_CREATED,
            {"title": "T", "steps": (NewStep("s", "one"),), "summary": "w", "metadata": {"k": "v"}, "parent_task_id": "p"},
            "POST /api/tasks",
            '{"task_id":"t","title":"T","steps":[{"step_id":"s","title":"one"}],"summary":"w","metadata":{"k":"v"},"parent_task_id":"p"}',
        ),
        (
            EventKind.TASK_STATUS,
            {"status": "waiting", "summary": "{at}?"},
            TASK,
            f'{{"status":"waiting","summary":"{{at}}?",{WHEN}}}',
        ),
        (EventKind.STEP_STATUS, {"step_id": "s", "status": "skipped"}, STEP, f'{{"status":"skipped",{WHEN}}}'),
        (
            EventKind.STEP_STATUS,
            {"step_id": "s", "status": "running", "summary": "w", "progress": Progress(0, 3)},
            STEP,
            f'{{"status":"running","progress":{{"done":0,"total":3}},"summary":"w",{WHEN}}}',
        ),
        (
            EventKind.PLAN,
            {"steps": (NewStep("7", "one", "done"), NewStep("n", "new"))},  # type: ignore[arg-type]
            "PUT /api/tasks/a%20b%2Fc/steps",
            f'{{"steps":[{{"step_id":"7","title":"one","status":"done"}},{{"step_id":"n","title":"new"}}],{WHEN}}}',
        ),
        (EventKind.PLAN, {"steps": ()}, "PUT /api/tasks/a%20b%2Fc/steps", f'{{"steps":[],{WHEN}}}'),
        (EventKind.METADATA, {"metadata": {"k": "v", "old": None}}, TASK, f'{{"metadata":{{"k":"v","old":null}},{WHEN}}}'),
        (
            EventKind.LINK,
            {"name": "PR", "url": "https://x/1"},
            "POST /api/tasks/a%20b%2Fc/links",
            '{"name":"PR","url":"https://x/1"}',
        ),
        (EventKind.LINK, {"url": "https://x/1"}, "POST /api/tasks/a%20b%2Fc/links", '{"url":"https://x/1"}'),
        (EventKind.INTERRUPT_ACK, {}, ACK, f"{{{WHEN}}}"),
        (EventKind.INTERRUPT_ACK, {"interrupt_id": "i", "summary": "ok"}, ACK, f'{{"interrupt_id":"i","summary":"ok",{WHEN}}}'),
    ],
)
async def test_each_kind_of_event_has_its_route(
    kind: EventKind, members: dict[str, Any], route: str, body: str, server: StandardServer, sent: list[HttpRequest]
) -> None:
    answer = await server.send_event(event(kind, **members), "a b/c", "7")
    (request,) = sent
    assert answer.outcome is Outcome.DELIVERED
    assert (str(request), (request.body or b"").decode(), request.key, request.query) == (route, body, "e", ())
    assert request.route == ""  # it is not followed to another path


@pytest.mark.parametrize(
    "kind", [EventKind.AGENT_LOST, EventKind.INTERRUPT_SEEN, EventKind.INTERRUPT_DELIVERED, EventKind.HEARTBEAT]
)
async def test_other_kinds_have_none_and_are_delivered(
    kind: EventKind, server: StandardServer, sent: list[HttpRequest]
) -> None:
    assert (await server.send_event(event(kind), "t", None)).outcome is Outcome.DELIVERED
    assert sent == []


async def test_a_heartbeat_names_its_task_in_the_route_alone_and_says_nothing_of_what_it_lacks(
    server: StandardServer, sent: list[HttpRequest]
) -> None:
    await server.send_heartbeat(Beat("t", AT, AT, Evidence.PROCESS, stalled=False, pid=7), "r")
    await server.send_heartbeat(Beat("t", AT, AT, Evidence.COMMAND, True, "w", None, Progress(1, None, "files")), "r")
    assert {(str(each), each.key) for each in sent} == {("POST /api/tasks/r/heartbeat", None)}
    seen = f'"at":"{AT}","agent_seen_at":"{AT}"'
    assert [(each.body or b"").decode() for each in sent] == [
        f'{{{seen},"evidence":"process","stalled":false,"pid":7}}',
        f'{{{seen},"evidence":"command","stalled":true,"summary":"w","progress":{{"done":1,"unit":"files"}}}}',
    ]


async def test_questions_have_no_body(server: StandardServer, sent: list[HttpRequest]) -> None:
    await server.get_control("a/b")
    await server.get_task("a/b")
    await server.list_tasks()
    assert [str(each) for each in sent] == ["GET /api/tasks/a%2Fb/control", "GET /api/tasks/a%2Fb", "GET /api/tasks"]
    assert sent[2].query == (("limit", "1"),)
    assert {(each.body, each.key) for each in sent} == {(None, None)}


def test_it_is_read_back_from_what_is_shown_of_it() -> None:
    shown = msgspec.toml.encode(STANDARD_CONTRACT).decode()
    assert read_contract(shown) == STANDARD_CONTRACT


def test_reports_that_share_a_path_are_told_apart_where_they_are_shown() -> None:
    beat = Action("POST", "/t/{task_id}/events", body={"event": "heartbeat", "detail": "{summary}", "level": 1, "note": ""})
    assert beat.route == "POST /t/{task_id}/events event=heartbeat"
    assert STANDARD_CONTRACT.create.route == "POST /api/tasks"
