"""A contract is data: it is read from TOML, checked whole, and turned into requests without running anything."""

from __future__ import annotations

import msgspec
import pytest

from clawlogd.model import Event, EventKind, NewStep
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.contracts.contract import Contract, read_contract
from clawlogd.upstream.contracts.discovery import discover
from clawlogd.upstream.contracts.interpreter import Interpreter
from clawlogd.upstream.contracts.templates import fill_path
from clawlogd.upstream.controls import Control, Unreadable
from support.foreign.written import WRITTEN

TOML = """
summary_chars = 20
step_statuses = {running = "doing", done = "finished", failed = "broken"}

[create]
method = "POST"
path = "/v1/jobs"
body = {name = "{title}", stages = [{label = "{step.title}", no = "{step.position}"}]}
answer = {task_id = ["/job/key"], steps = ["/job/stages"], step_id = ["/key"]}

[step]
method = "PUT"
path = "/v1/jobs/{task_id}/stages/{step_id}"
query = {note = "{summary}"}
body = {state = "{status}", job = "{task_id:int}"}

[control]
method = "GET"
path = "/v1/jobs/{task_id}"
answer = {stop = ["/job/wish"], stop_values = ["halt"]}

[envelope]
code = ["/rc"]
ok = [0]
"""


def event(kind: EventKind, **members: object) -> Event:
    return Event(
        event_id="01930000-0000-7000-8000-000000000000", task_id="T", kind=kind, at="2026-11-26T10:00:00.000Z", **members
    )  # type: ignore[arg-type]


@pytest.fixture
def interpreter() -> Interpreter:
    return Interpreter(read_contract(TOML))


def test_a_list_over_steps_is_one_item_per_step(interpreter: Interpreter) -> None:
    request = interpreter.create(
        event(EventKind.TASK_CREATED, title="Deploy", steps=(NewStep("a", "check"), NewStep("b", "write")))
    )
    assert str(request) == "POST /v1/jobs"
    assert request.key == "01930000-0000-7000-8000-000000000000"
    assert msgspec.json.decode(request.body or b"") == {
        "name": "Deploy",
        "stages": [{"label": "check", "no": 1}, {"label": "write", "no": 2}],
    }


def test_an_absent_value_is_left_out_and_a_number_stays_one(interpreter: Interpreter) -> None:
    request = interpreter.step(event(EventKind.STEP_STATUS, status="done"), "17", "s/1")
    assert request is not None
    assert (request.path, request.query) == ("/v1/jobs/17/stages/s%2F1", ())
    assert msgspec.json.decode(request.body or b"") == {"state": "finished", "job": 17}


def test_a_status_without_a_word_is_told_in_the_nearest_with_the_truth_in_the_summary(interpreter: Interpreter) -> None:
    request = interpreter.step(event(EventKind.STEP_STATUS, status="skipped", summary="not needed here"), "17", "1")
    assert request is not None
    assert msgspec.json.decode(request.body or b"")["state"] == "finished"
    assert request.query == (("note", "skipped: not needed…"),)


@pytest.mark.parametrize(
    ("code", "outcome", "status"),
    [
        (0, Outcome.DELIVERED, 200),
        (404, Outcome.REFUSED, 404),
        (40401, Outcome.REFUSED, 404),
        (50301, Outcome.TRANSIENT, 503),
        (-1, Outcome.REFUSED, 200),
        ("OK", Outcome.DELIVERED, 200),
    ],
)
def test_a_code_in_the_envelope_is_what_the_answer_means(
    interpreter: Interpreter, code: object, outcome: Outcome, status: int
) -> None:
    judged = interpreter.judge("POST /v1/jobs", Answer(Outcome.DELIVERED, status=200, body={"rc": code, "message": "why"}))
    assert (judged.outcome, judged.status) == (outcome, status)


def test_ids_and_stops_are_found_where_the_contract_says(interpreter: Interpreter) -> None:
    created = event(EventKind.TASK_CREATED, title="Deploy", steps=(NewStep("a", "check"), NewStep("b", "write")))
    ids = interpreter.remote_ids(
        created, {"job": {"key": 9, "stages": [{"key": "x", "title": "check"}, {"key": "y", "title": "write"}]}}
    )
    assert ids is not None
    assert (ids.task_id, ids.steps) == ("9", ("x", "y"))
    assert interpreter.remote_ids(created, {"key": 9}) is None
    assert interpreter.read_control({"job": {"wish": "halt"}}) == Control(
        interrupt_requested=True, mode="soft_stop", may_outlast=True
    )
    assert interpreter.read_control({"job": {"wish": "go on"}}) == Control(interrupt_requested=False, may_outlast=True)
    assert isinstance(interpreter.read_control({"job": {}}), Unreadable)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('path = "/v1/jobs"\npat = "/x"', "pat"),
        ('path = "v1/jobs"', "path"),
        ('path = "/v1/../jobs"', "path"),
        ('path = "/v1/jobs/{tenant}"', "tenant"),
        ('path = "/v1/jobs/{task_id.__class__}"', "task_id.__class__"),
        ('path = "/v1/jobs?x={task_id}"', "path"),
    ],
)
def test_what_is_no_contract_is_refused_by_name(line: str, named: str) -> None:
    with pytest.raises(ValueError, match=named.replace(".", r"\.")):
        read_contract(TOML.replace('path = "/v1/jobs"', line, 1))


@pytest.mark.parametrize("text", ["", "x", "[create]\nmethod = 1", TOML.replace("POST", "DELETE")])
def test_what_is_no_toml_or_lacks_a_part_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_contract(text)


PLAN = '[plan]\nmethod = "PUT"\npath = "/v1/jobs/{task_id}/stages"\nbody = [{id = "{step.step_id}", state = "{step.status}"}]\n'


def test_a_plan_names_its_steps_by_their_ids_and_says_their_statuses_in_the_servers_words() -> None:
    planned = event(EventKind.PLAN, steps=(NewStep("7", "a", "done"), NewStep("n", "b")))
    request = Interpreter(read_contract(TOML + PLAN)).plan(planned, "T")
    assert request is not None
    assert (str(request), request.body) == ("PUT /v1/jobs/T/stages", b'[{"id":"7","state":"finished"},{"id":"n"}]')


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (TOML + PLAN.replace("step.step_id", "step.position"), r"no \{step.step_id\}"),
        (TOML.replace('step_id = ["/key"]', 'step_id_from = "index"') + PLAN, "step_id_from"),
    ],
)
def test_a_plan_after_which_a_step_could_be_taken_for_another_is_refused(text: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        read_contract(text)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_contract_that_was_found_can_be_kept_and_read_again(name: str) -> None:
    contract = discover(WRITTEN[name]().app.openapi()).contract
    assert contract is not None
    assert msgspec.json.decode(msgspec.json.encode(contract), type=Contract) == contract


@pytest.mark.parametrize(
    ("value", "path"), [("..", "/t/%2E%2E"), ("a/b", "/t/a%2Fb"), ("?x#y", "/t/%3Fx%23y"), ("é", "/t/%C3%A9")]
)
def test_nothing_from_a_server_leads_out_of_a_path(value: str, path: str) -> None:
    assert fill_path("/t/{task_id}", {"task_id": value}) == path
