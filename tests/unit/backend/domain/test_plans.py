"""Hundreds of tasks, each through six to twelve changes of its plan: the store agrees with a list in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from clawlog_backend.domain.events import batch_event
from clawlog_backend.domain.fields import STEPS, StepStatus
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.storage import migrations, queries
from clawlog_backend.storage.unit_of_work import EventStatus, TaskStore

NOW = UtcMs.parse("2026-02-28T09:00:00Z")
IDS = st.sampled_from([f"s{n}" for n in range(8)])
TITLES = st.sampled_from(["Check", "Copy", "Copy again", "部署"])
STATUSES = st.sampled_from([status.value for status in StepStatus])
ENDED = {"done", "failed", "skipped"}

PLAN = st.fixed_dictionaries(
    {
        "kind": st.just("plan"),
        "steps": st.lists(
            st.fixed_dictionaries({"step_id": IDS, "title": TITLES, "status": STATUSES}),
            max_size=6,
            unique_by=lambda step: step["step_id"],
        ),
    }
)
ADDED = st.fixed_dictionaries({"kind": st.just("step_added"), "step_id": IDS, "title": TITLES}, optional={"after": IDS})
REPORTED = st.fixed_dictionaries({"kind": st.just("step_status"), "step_id": IDS, "status": STATUSES})


@dataclass
class Step:
    """A step as the model has it."""

    step_id: str
    title: str
    status: str = "pending"
    started: int | None = None
    ended: int | None = None

    def become(self, status: str, at: int) -> None:
        """Take a status that was reported or planned."""
        if status == "pending":
            self.started = self.ended = None
        elif status in ENDED:
            self.ended = at
        else:
            self.started = at if self.started is None or self.ended is not None else self.started
            self.ended = None
        self.status = status


@dataclass
class Plan:
    """The model: a list of steps."""

    steps: list[Step] = field(default_factory=list)

    def find(self, step_id: str | None) -> Step | None:
        return next((step for step in self.steps if step.step_id == step_id), None)

    def take(self, event: dict[str, Any], at: int) -> bool:
        """Whether it could be applied."""
        step = self.find(event.get("step_id"))
        if event["kind"] == "step_status":
            if step is not None:
                step.become(event["status"], at)
            return step is not None
        if event["kind"] == "step_added":
            return self.add(event, step)
        known, self.steps = {each.step_id: each for each in self.steps}, []
        for offered in event["steps"]:
            step = known.get(offered["step_id"]) or Step(offered["step_id"], "")
            step.title = offered["title"]
            if step.status != offered["status"]:
                step.become(offered["status"], at)
            self.steps.append(step)
        return True

    def add(self, event: dict[str, Any], known: Step | None) -> bool:
        if known is not None:
            known.title = event["title"]
            return True
        behind = self.find(event.get("after"))
        if "after" in event and behind is None:
            return False
        self.steps.insert(self.steps.index(behind) + 1 if behind else len(self.steps), Step(event["step_id"], event["title"]))
        return True


@pytest.mark.timeout(180)  # some seconds of work, on a machine that may have much else to do
@settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PLAN | ADDED | REPORTED, min_size=6, max_size=12), st.integers(1, 4), st.booleans())
def test_a_thousand_plans_agree_with_a_list_of_steps(raw: list[dict[str, Any]], group: int, forgetful: bool) -> None:
    store, model = TaskStore(), Plan([Step("s0", "Check"), Step("s1", "Copy")])
    first = {
        "kind": "task_created",
        "title": "T",
        "steps": [{"step_id": "s0", "title": "Check"}, {"step_id": "s1", "title": "Copy"}],
    }
    events = [
        batch_event.validate_python(
            event | {"event_id": f"e{n}", "task_id": "t", "at": NOW.plus(ms=n).rfc3339()}
        )
        for n, event in enumerate([first, *raw])
    ]  # fmt: skip
    outcomes = []
    with ENGINE.connect() as connection:  # which takes back what was not committed
        for start in range(0, len(events), group):
            applied = store.apply(connection, events[start : start + group], NOW)
            store.committed()
            if forgetful:
                store.rolled_back()
            outcomes += applied.outcomes
        task = queries.task_detail(connection, "t", now=NOW)
    expected = [model.take(event, NOW + n) for n, event in enumerate(raw, 1)]
    assert [outcome.status is EventStatus.OK for outcome in outcomes] == [True, *expected]
    assert [(s.step_id, s.title, s.status, s.started_at, s.ended_at) for s in task.steps] == [
        (s.step_id, s.title, s.status, s.started, s.ended) for s in model.steps
    ]
    assert [step.position for step in task.steps] == list(range(1, len(model.steps) + 1))
    done, failed = (sum(s.status in words for s in model.steps) for words in ({"done", "skipped"}, {"failed"}))
    assert (task.progress.done, task.progress.failed, task.progress.total) == (done, failed, len(model.steps))
    if model.steps and done + failed == len(model.steps):
        assert task.status == ("failed" if failed else "done")
    else:
        assert task.status == ("running" if any(s.status != "pending" for s in model.steps) else "pending")


ENGINE = create_engine("sqlite://")
with ENGINE.begin() as _connection:
    migrations.migrate(_connection)


def test_a_plan_has_as_many_steps_as_the_contract_says_and_not_one_more() -> None:
    with ENGINE.connect() as connection:
        store = TaskStore()
        steps = [{"step_id": f"p{n}", "title": "P", "status": "pending"} for n in range(STEPS)]
        common = {"task_id": "full", "at": NOW.rfc3339()}
        events = [
            batch_event.validate_python(common | fields)
            for fields in (
                {"event_id": "f1", "kind": "task_created", "title": "T"},
                {"event_id": "f2", "kind": "plan", "steps": steps},
                {"event_id": "f3", "kind": "step_added", "step_id": "more", "title": "More"},
            )
        ]
        outcomes = store.apply(connection, events, NOW).outcomes
        assert [outcome.error and outcome.error.code for outcome in outcomes] == [None, None, "too_many"]
        assert queries.task_detail(connection, "full", now=NOW).progress.total == STEPS
        connection.rollback()
