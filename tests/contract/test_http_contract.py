"""The embedded backend against its own OpenAPI document: every route is in it, every answer is, and nothing makes it fail.

schemathesis makes the requests, fitting and unfitting ones, and judges the answers: no server error, and no status, content
type, header or body that the document does not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.openapi import from_dict
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from clawlog_backend.notify.rules import NotifiedEvent, Rule, Rules, Service, Target
from clawlog_backend.settings import Settings
from support.engines import POSTGRESQL, database_on
from support.receivers import KEY, WebhookReceiver
from support.running_backend import RunningBackend

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

# The route, the statuses of success, and whether a body is wanted: as the contract has it.
ROUTES: dict[tuple[str, str], tuple[set[str], bool]] = {
    ("POST", "/api/tasks"): ({"201"}, True),
    ("GET", "/api/tasks"): ({"200"}, False),
    ("GET", "/api/tasks/{task_id}"): ({"200"}, False),
    ("PATCH", "/api/tasks/{task_id}"): ({"200"}, True),
    ("PATCH", "/api/tasks/{task_id}/steps/{step_id}"): ({"200"}, True),
    ("POST", "/api/tasks/{task_id}/heartbeat"): ({"200"}, True),
    ("GET", "/api/tasks/{task_id}/control"): ({"200"}, False),
    ("GET", "/api/tasks/{task_id}/events"): ({"200"}, False),
    ("POST", "/api/tasks/{task_id}/interrupt"): ({"200", "201"}, True),
    ("POST", "/api/tasks/{task_id}/interrupt/ack"): ({"200"}, True),
    ("PUT", "/api/tasks/{task_id}/steps"): ({"200"}, True),
    ("POST", "/api/tasks/{task_id}/links"): ({"200"}, True),
    ("POST", "/api/tasks/{task_id}/close"): ({"200"}, True),
    ("POST", "/api/tasks/{task_id}/acknowledge"): ({"200"}, True),
    ("POST", "/api/actions"): ({"200"}, True),
    ("POST", "/api/events"): ({"200"}, True),
    ("POST", "/api/control/poll"): ({"200"}, True),
    ("GET", "/api/stream"): ({"200"}, False),
    ("GET", "/api/notifications"): ({"200"}, False),
    ("POST", "/api/notifications/test"): ({"200"}, True),
    ("GET", "/api/session"): ({"200"}, False),
    ("POST", "/api/session"): ({"200"}, True),
    ("DELETE", "/api/session"): ({"204"}, False),
    ("GET", "/healthz"): ({"200"}, False),
    ("GET", "/readyz"): ({"200"}, False),
    ("GET", "/metrics"): ({"200"}, False),
}
# A stream has no end; what it sends is tested with the streams.
ENDLESS = ("GET", "/api/stream")


@pytest.fixture(scope="module", params=["sqlite", POSTGRESQL])
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBackend]:
    folder: Path = tmp_path_factory.mktemp("contract")
    with database_on(request.param, request, folder) as database, WebhookReceiver() as receiver:
        ops = Target("ops", Service.WEBHOOK, receiver.url, (KEY,))
        trouble = Rule(name="trouble", events=frozenset({NotifiedEvent.FAILED}), targets=("ops",))
        rules = Rules(None, {"ops": ops}, {"trouble": trouble})
        running = RunningBackend(Settings(database=database, port=0), rules)
        running.start()
        yield running
        running.stop()


@pytest.fixture(scope="module")
def document(backend: RunningBackend) -> dict[str, Any]:
    return requests.get(f"{backend.url}/openapi.json", timeout=10).json()


@pytest.fixture
def task(backend: RunningBackend) -> tuple[str, str]:
    """A task that requests can be about, and one of its steps."""
    body = {"title": "T", "steps": [{"title": "a"}, {"title": "b"}]}
    answer = requests.post(f"{backend.url}/api/tasks", json=body, timeout=10).json()
    return answer["task_id"], answer["steps"][0]["step_id"]


def test_the_document_has_every_route_of_the_contract_and_no_other(document: dict[str, Any]) -> None:
    found = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert found == set(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_route_is_documented_whole(document: dict[str, Any], method: str, path: str) -> None:
    operation = document["paths"][path][method.lower()]
    succeeds, wants_body = ROUTES[method, path]
    assert operation["description"]
    assert operation["tags"]
    assert {status for status in operation["responses"] if status < "300"} == succeeds
    assert ("requestBody" in operation) == wants_body
    errors = {status for status in operation["responses"] if status >= "300"}
    assert not wants_body or {"413", "415", "422", "429"} <= errors
    assert "{task_id}" not in path or {"404", "422"} <= errors
    for status in errors:
        assert operation["responses"][status]["content"] == {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
        }
    if wants_body:
        body = operation["requestBody"]["content"]["application/json"]
        assert body.get("examples") or body.get("example"), "a request without an example"


def test_every_example_of_a_request_is_one_that_is_accepted(
    document: dict[str, Any], backend: RunningBackend, task: tuple[str, str]
) -> None:
    for (method, path), (succeeds, wants_body) in ROUTES.items():
        if not wants_body:
            continue
        operation = document["paths"][path][method.lower()]
        examples = operation["requestBody"]["content"]["application/json"]["examples"]
        url = backend.url + path.format(task_id=task[0], step_id=task[1])
        for name, example in examples.items():
            if path.endswith("/ack"):
                requests.post(f"{backend.url}/api/tasks/{task[0]}/interrupt", json={}, timeout=10)
            if path.endswith(("/close", "/acknowledge")):
                lost = {"event_id": str(uuid4()), "task_id": task[0], "kind": "agent_lost", "at": "2026-02-28T09:30:00.000Z"}
                requests.patch(f"{backend.url}/api/tasks/{task[0]}", json={"status": "running"}, timeout=10)
                requests.post(f"{backend.url}/api/events", json={"events": [lost]}, timeout=10)
            answer = requests.request(method, url, json=example["value"], timeout=10)
            assert str(answer.status_code) in succeeds, (path, name, answer.text)
            if path == "/api/events":
                assert {result["status"] for result in answer.json()["results"]} == {"ok"}, answer.text


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route != ENDLESS])
def test_no_request_makes_it_fail_or_answer_what_is_not_documented(
    document: dict[str, Any], backend: RunningBackend, task: tuple[str, str], method: str, path: str
) -> None:
    schema = from_dict(document)
    schema.config.update(base_url=backend.url)
    operation = schema[path][method]
    session = requests.Session()

    @settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def probe(data: st.DataObject) -> None:
        mode = data.draw(st.sampled_from(GenerationMode))
        case: Case = data.draw(operation.as_strategy(generation_mode=mode))
        if data.draw(st.booleans()):
            case.path_parameters = {"task_id": task[0], "step_id": task[1]}
        if isinstance(case.body, dict) and isinstance(case.body.get("wait_s"), int | float):
            case.body["wait_s"] = min(case.body["wait_s"], 0.01)
        case.call_and_validate(checks=CHECKS, session=session, timeout=10)

    with session:
        probe()
