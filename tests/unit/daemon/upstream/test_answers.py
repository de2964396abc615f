"""What a backend's answers mean, read from bytes: no server is wanted for that."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clawlogd.model import Event, EventKind, NewStep
from clawlogd.upstream import answers, controls
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.controls import Control, Unreadable

SENT = "POST /somewhere"
NOW_MS = 1_772_265_600_000  # Sat, 28 Feb 2026 08:00:00 GMT


def ok(body: Any) -> Answer:
    return answers.read_reply(SENT, 200, body if isinstance(body, bytes) else msgspec.json.encode(body))


NO_RESULTS = [
    "",
    "[]",
    "null",
    "{}",
    '{"results": {}}',
    '{"results": []}',
    '{"results": [1]}',
    '{"results": [{"event_id": "1"}]}',
    '{"results": [{"event_id": "1", "status": "maybe"}]}',
    '{"results": [{}, {}]}',
    "<html>",
]


@pytest.mark.parametrize("body", [*NO_RESULTS, '{"results": NaN}'])
def test_a_batch_that_is_answered_in_another_form_is_tried_again(body: str) -> None:
    answer, verdicts = answers.read_batch(SENT, ok(body.encode()), 1)
    assert (answer.outcome, answer.status, verdicts) == (Outcome.TRANSIENT, 200, [])
    assert answer.detail.startswith(SENT)


def test_a_batch_has_a_verdict_for_each_record_in_order() -> None:
    results = [{"status": "ok"}, {"status": "rejected", "code": 422, "detail": "x" * 2000}, {"status": "duplicate"}]
    _, verdicts = answers.read_batch(SENT, ok({"results": results}), 3)
    assert [each.accepted for each in verdicts] == [True, False, True]
    assert (verdicts[1].code, len(verdicts[1].detail)) == ("422", 1000)
    _, verdicts = answers.read_batch(SENT, ok({"results": [{"status": "ok"}] * 1000}), 1000)
    assert sum(each.accepted for each in verdicts) == 1000


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_may_lack_the_routes_for_many(status: int) -> None:
    missing = answers.read_reply(SENT, status, b"")
    assert answers.read_batch(SENT, missing, 1)[0].outcome is Outcome.NO_ROUTE
    assert controls.read_poll(SENT, missing)[0].outcome is Outcome.NO_ROUTE


@pytest.mark.parametrize(
    ("value", "expected_s"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1000000000", 300.0),
        ("9" * 400, 300.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("Sat, 28 Feb 2026 08:00:30 GMT", 30.0),
        ("Sat, 28 Feb 2026 07:00:00 GMT", 0.0),
        ("Sat, 28 Feb 2099 08:00:00 GMT", 300.0),
        ("Sat, 28 Feb 99999999 08:00:00 GMT", None),
        ("٣", None),
    ],
)
def test_retry_after_is_believed_within_reason(value: str, expected_s: float | None) -> None:
    assert answers.read_retry_after(value, now_ms=NOW_MS, max_s=300.0) == expected_s


def test_a_server_that_asks_for_no_pause_is_believed_too() -> None:
    assert answers.read_retry_after(None, now_ms=NOW_MS, max_s=300.0) is None


CONTROLS_IN_ANOTHER_FORM = [
    "{}",
    "[]",
    "null",
    '{"interrupt_requested": "perhaps"}',
    '{"interrupt_requested": []}',
    '{"interrupt_requested": 2}',
]


@pytest.mark.parametrize("body", CONTROLS_IN_ANOTHER_FORM)
def test_a_control_state_in_another_form_is_no_answer(body: str) -> None:
    answer, control = controls.read_control(SENT, ok(body.encode()))
    assert (answer.outcome, control) == (Outcome.TRANSIENT, None)


def test_a_control_state_that_cannot_be_read_hides_no_other() -> None:
    body = {"controls": [None, {"task_id": "a", "interrupt_requested": []}, {"task_id": "b", "interrupt_requested": 1}]}
    answer, found = controls.read_poll(SENT, ok(body))
    assert answer.outcome is Outcome.DELIVERED
    assert (found.keys(), isinstance(found["a"], Unreadable)) == ({"a", "b"}, True)
    assert isinstance(found["b"], Control)
    assert found["b"].interrupt_requested is True


@pytest.mark.parametrize("body", ["[]", "null", "{}", '{"controls": null}', '{"controls": {"task_id": "a"}}'])
def test_a_poll_that_lists_no_controls_is_no_answer(body: str) -> None:
    answer, found = controls.read_poll(SENT, ok(body.encode()))
    assert (answer.outcome, found) == (Outcome.TRANSIENT, {})


def test_a_control_state_may_have_ids_of_any_kind_and_long_texts_are_cut() -> None:
    _, control = controls.read_control(SENT, ok({"interrupt_requested": True, "interrupt_id": 7, "reason": "x" * 1500}))
    assert control is not None
    assert (control.interrupt_id, control.mode) == ("7", None)
    assert len(control.reason or "") == 1000


def test_a_poll_names_what_changed_by_the_backends_ids_and_the_next_cursor() -> None:
    body = {"cursor": 12, "controls": [{"task_id": 7, "interrupt_requested": True}]}
    answer, found = controls.read_poll(SENT, ok(body))
    assert (answer.outcome, answer.body) == (Outcome.DELIVERED, "12")
    assert found == {"7": Control(interrupt_requested=True)}


CREATED = Event("e", "t", EventKind.TASK_CREATED, "", title="T", steps=(NewStep("t-1", "a"), NewStep("t-2", "b")))


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (201, {"task_id": 7}, Outcome.DELIVERED),
        (200, {}, Outcome.NO_CONTRACT),  # some other server: it names no task
        (404, {}, Outcome.NO_CONTRACT),
        (409, {}, Outcome.DELIVERED),
        (422, {}, Outcome.REFUSED),
    ],
)
def test_a_created_task_is_delivered_when_the_answer_names_one(status: int, body: Any, outcome: Outcome) -> None:
    answer = answers.read_reply(SENT, status, msgspec.json.encode(body))
    assert answers.read_single(SENT, CREATED, answer).outcome is outcome
