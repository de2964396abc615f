"""What a report does to a task, without a daemon around it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clawlogd.errors import InvalidValue, NoOpenInterrupt, TaskFinished
from clawlogd.model import EventKind, Interrupt, Step, Task, TaskStatus, WatchedProcess
from clawlogd.tasks.creation import checked_base_url, create
from clawlogd.tasks.steps import set_step_status
from clawlogd.tasks.updates import acknowledge, set_status

TASK = Task("t", "T", "http://x", 0, steps=(Step("t-1", 1, "one"), Step("t-2", 2, "two")))
REPORT: dict[str, Any] = {"event_id": "e", "at_ms": 1_000, "summary": None}
NEW: dict[str, Any] = {
    "task_id": "t",
    "event_id": "e",
    "at_ms": 1_000,
    "title": "T",
    "base_url": "http://x",
    "steps": [(None, "one"), ("mine", "two")],
    "summary": None,
    "lease_s": 120.0,
    "watched": None,
    "metadata": {},
}


def alive(_: WatchedProcess) -> bool:
    return True


def changed(task: Task, **fields: Any) -> Task:
    return msgspec.structs.replace(task, **fields)


def test_a_new_task_has_ids_for_its_steps_and_announces_them() -> None:
    change = create(**NEW)
    assert [step.step_id for step in change.task.steps] == ["t-1", "mine"]
    assert change.steps == change.task.steps
    assert change.task.base_url == "http://x"
    assert change.event.kind is EventKind.TASK_CREATED
    assert [step.title for step in change.event.steps or ()] == ["one", "two"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "\x1b[0m"),
        ("steps", [(None, "\n")]),
        ("steps", [("a", "one"), ("a", "two")]),
    ],
)
def test_a_new_task_that_does_not_fit_is_refused_by_the_name_of_the_field(field: str, value: Any) -> None:
    with pytest.raises(InvalidValue) as refused:
        create(**{**NEW, field: value})
    assert refused.value.field == field


def test_an_address_has_one_form() -> None:
    assert checked_base_url("HTTP://X:80/") == "http://x"


@pytest.mark.parametrize("address", ["ftp://x", "http://user:secret@x", "http://x?q", "http://[x"])
def test_an_address_that_does_not_fit_is_refused_by_the_name_of_its_field(address: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        checked_base_url(address)
    assert refused.value.field == "base_url"


def test_the_first_step_that_is_reported_on_makes_a_pending_task_run() -> None:
    first = set_step_status(TASK, 1, "running", **REPORT)
    assert (first.task.status, first.head, [step.position for step in first.steps]) == (TaskStatus.RUNNING, True, [1])
    second = set_step_status(first.task, "two", "done", **REPORT)
    assert (second.task.status, second.head) == (TaskStatus.RUNNING, False)
    assert [step.status for step in second.task.steps] == ["running", "done"]


def test_a_summary_stays_until_there_is_a_new_one() -> None:
    said = set_status(TASK, TaskStatus.RUNNING, runs=alive, **{**REPORT, "summary": "half"}).task
    assert set_status(said, TaskStatus.RUNNING, runs=alive, **REPORT).task.summary == "half"


def test_only_running_reopens_a_task_that_its_agent_has_ended() -> None:
    ended = set_status(TASK, TaskStatus.DONE, runs=alive, **REPORT).task
    assert (ended.finished, ended.ended_ms) == (True, 1_000)
    with pytest.raises(TaskFinished):
        set_status(ended, TaskStatus.FAILED, runs=alive, **REPORT)
    with pytest.raises(TaskFinished):
        set_step_status(ended, 1, "done", **REPORT)
    reopened = set_status(ended, TaskStatus.RUNNING, runs=alive, **REPORT).task
    assert (reopened.finished, reopened.ended_ms) == (False, None)


@pytest.mark.parametrize("still_runs", [True, False])
def test_a_reopened_task_keeps_its_process_only_while_that_runs(*, still_runs: bool) -> None:
    ended = changed(TASK, status=TaskStatus.DONE, finished=True, watched=WatchedProcess(1))
    reopened = set_status(ended, TaskStatus.RUNNING, runs=lambda _: still_runs, **REPORT).task
    assert (reopened.watched is not None) is still_runs


def test_an_acknowledgement_answers_the_newest_stop_and_no_other() -> None:
    stopping = changed(TASK, interrupt=Interrupt("i2"))
    change = acknowledge(stopping, None, **REPORT)
    assert change.event.interrupt_id == "i2"
    assert change.task.interrupt == Interrupt("i2", delivered=True, acknowledged=True)
    assert (change.task.status, change.task.finished) == (TaskStatus.INTERRUPTED, False)
    with pytest.raises(InvalidValue, match="the stop known here is 'i2'"):
        acknowledge(stopping, "i1", **REPORT)
    for given in ("i1", None):
        with pytest.raises(NoOpenInterrupt, match="no stop is known here"):
            acknowledge(TASK, given, **REPORT)
