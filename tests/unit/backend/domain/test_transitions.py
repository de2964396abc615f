"""Whatever events come in whatever order, a task's stored counters agree with its steps, and its database with its memory."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, select

from clawlog_backend.domain import views
from clawlog_backend.domain.events import BatchEvent, batch_event
from clawlog_backend.domain.fields import ENDED_STEP_STATUSES, ENDED_TASK_STATUSES, ReportedStatus, StepStatus
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.storage import migrations, queries, schema
from clawlog_backend.storage.unit_of_work import EventStatus, TaskStore

NOW = UtcMs.parse("2026-02-28T09:00:00Z")
TASKS = st.sampled_from(["t1", "t2"])
STEPS = st.sampled_from(["s1", "s2", "s3", "s4"])
TIMES = st.integers(0, 600).map(lambda s: NOW.plus(ms=1000 * (s - 500)).rfc3339())
SUMMARIES = st.none() | st.text(max_size=5)


def _kind(kind: str, **fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"kind": st.just(kind), "task_id": TASKS, "at": TIMES, **fields})


EVENTS = st.one_of(
    _kind(
        "task_created",
        title=st.just("T"),
        steps=st.lists(STEPS.map(lambda name: {"step_id": name, "title": name}), max_size=3, unique_by=lambda s: s["step_id"]),
    ),
    _kind("step_status", step_id=STEPS, status=st.sampled_from(list(StepStatus)), summary=SUMMARIES),
    _kind("task_status", status=st.sampled_from(list(ReportedStatus)), summary=SUMMARIES),
    _kind("heartbeat", agent_seen_at=TIMES, evidence=st.sampled_from(["process", "command"]), stalled=st.booleans()),
    _kind("agent_lost", summary=SUMMARIES),
    _kind("interrupt_ack"),
)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENTS, min_size=1, max_size=40), st.integers(1, 7), st.booleans())
def test_counters_statuses_and_history_agree_with_the_steps(raw: list[dict[str, Any]], group: int, forgetful: bool) -> None:
    events: list[BatchEvent] = [batch_event.validate_python(e | {"event_id": f"e{n}"}) for n, e in enumerate(raw)]
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        migrations.migrate(connection)
        store, accepted = TaskStore(), []
        store.position = store.find_position(connection)
        for start in range(0, len(events), group):
            chunk = events[start : start + group]
            applied = store.apply(connection, chunk, NOW)
            store.committed(applied)
            if forgetful:
                store.rolled_back()
            taken = [e for e, outcome in zip(chunk, applied.outcomes, strict=True) if outcome.status is EventStatus.OK]
            assert store.find_position(connection) == store.position
            repeated = store.apply(connection, taken, NOW)
            assert {outcome.status for outcome in repeated.outcomes} <= {EventStatus.DUPLICATE}
            assert (repeated.changed, repeated.position) == ({}, store.position)
            accepted += taken
        page = queries.list_tasks(connection, now=NOW, which=views.Filter.ALL, text=None, limit=10, cursor=None)
        stored = {row.task_id: row for row in connection.execute(select(schema.tasks))}
        for task in page.tasks:
            row = stored[task.task_id]
            ended = [step for step in task.steps if step.status in ENDED_STEP_STATUSES]
            failed = [step for step in ended if step.status == "failed"]
            assert (task.progress.done, task.progress.failed, task.progress.total) == (
                len(ended) - len(failed), len(failed), len(task.steps),
            )  # fmt: skip
            assert row.steps_started == sum(step.status != "pending" for step in task.steps)
            assert (task.ended_at is None) == (task.status not in ENDED_TASK_STATUSES)
            assert all((step.ended_at is not None) == (step.status in ENDED_STEP_STATUSES) for step in task.steps)
            if task.steps and len(ended) == len(task.steps) and row.reported is None:
                assert task.status == ("failed" if failed else "done")
            detail = queries.task_detail(connection, task.task_id, now=NOW)
            assert [e["event_id"] for e in detail.events] == [e.event_id for e in accepted if e.task_id == task.task_id]
            assert json.loads(views.task_json.dump_json(task))["task_id"] == task.task_id
        counts = page.counts
        assert counts.all == len(page.tasks)
        assert counts.active == sum(task.ended_at is None for task in page.tasks)
    engine.dispose()


def test_ids_count_on_after_everything_was_removed() -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        migrations.migrate(connection)
        connection.execute(schema.database.update().values(floor_seq=41))
        found = TaskStore().find_position(connection)
        assert (found.seq, found.floor_seq, found.task_n) == (41, 41, 0)
    engine.dispose()
