"""A step status is written once in the backend's Python, in ``domain/fields.py``: everything else treats all of them alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clawlog_backend.domain import transitions
from clawlog_backend.domain.events import StepStatusChanged, TaskCreated
from clawlog_backend.domain.fields import ENDED_STEP_STATUSES, OPEN_STEP_STATUSES, StepStatus, TaskStatus
from clawlog_backend.domain.times import UtcMs

PACKAGE = Path(transitions.__file__).parents[1]
NOW = UtcMs.parse("2026-02-28T09:00:00Z")
# The words that tasks have as well, whose names may stand anywhere.
STEP_WORDS_ALONE = set(StepStatus) - set(TaskStatus)
# "pending" is where every step begins, "failed" is counted apart, "running" and "done" stand in examples.
NAMED = {StepStatus.PENDING, StepStatus.RUNNING, StepStatus.FAILED, StepStatus.DONE}


def test_every_status_is_pending_open_or_ended() -> None:
    assert {StepStatus.PENDING} | OPEN_STEP_STATUSES | ENDED_STEP_STATUSES == set(StepStatus)
    assert not OPEN_STEP_STATUSES & ENDED_STEP_STATUSES


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_other_module_has_to_know_a_new_status(module: Path) -> None:
    if module == PACKAGE / "domain" / "fields.py":
        return
    text = module.read_text(encoding="utf-8")
    assert set(re.findall(r"StepStatus\.([A-Z_]+)", text)) <= {status.name for status in NAMED}
    assert not [word for word in STEP_WORDS_ALONE if re.search(rf"""["']{word}["']""", text)]


@pytest.mark.parametrize("status", StepStatus)
def test_a_step_of_any_status_is_timed_and_counted(status: StepStatus) -> None:
    task = transitions.create(
        TaskCreated.model_validate({"event_id": "e1", "task_id": "t", "at": NOW, "title": "T", "steps": [{"title": "S"}]}), NOW
    )
    (step,) = task.steps.values()
    event = StepStatusChanged(event_id="e2", task_id="t", at=NOW, step_id=step.step_id, status=status)
    transitions.apply(event, task, NOW)
    ended, begun = status in ENDED_STEP_STATUSES, status is not StepStatus.PENDING
    assert (step.ended_ms is not None) == ended
    assert (step.started_ms is not None) == (status in OPEN_STEP_STATUSES)
    assert (task.steps_done + task.steps_failed, task.steps_started) == (ended, begun)
    assert task.ended == ended
    transitions.apply(event.model_copy(update={"event_id": "e3", "status": StepStatus.PENDING}), task, NOW)
    assert (task.steps_done, task.steps_failed, task.steps_started) == (0, 0, 0)
