"""Whatever events come in whatever order, a task's stored counters agree with its steps, and its database with its memory."""

from __future__ import annotations

import json
from typing import Annotated, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter
from sqlalchemy import Row, create_engine, select

from clawlog_backend.domain import views
from clawlog_backend.domain.events import Event
from clawlog_backend.domain.fields import ENDED_STEP_STATUSES, ENDED_TASK_STATUSES, ClosedStatus, ReportedStatus, StepStatus
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.storage import changes, migrations, queries, schema, task_list
from clawlog_backend.storage.unit_of_work import EventStatus, TaskStore

NOW = UtcMs.parse("2026-02-28T09:00:00Z")
TASKS = st.sampled_from(["t1", "t2"])
STEPS = st.sampled_from(["s1", "s2", "s3", "s4"])
TIMES = st.integers(0, 600).map(lambda s: NOW.plus(ms=1000 * (s - 500)).rfc3339())
SUMMARIES = st.none() | st.text(max_size=5)
SHORT = st.sampled_from(["a", "b", "Ü"])
PROGRESS = st.none() | st.fixed_dictionaries({"done": st.integers(0, 9), "total": st.none() | st.floats(0, 9)})
any_event: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


def without_key(row: Row[Any]) -> dict[str, Any]:
    return {name: value for name, value in row._mapping.items() if name != "task_n"}  # noqa: SLF001 - its columns


def _kind(kind: str, **fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"kind": st.just(kind), "task_id": TASKS, "at": TIMES, **fields})


EVENTS = st.one_of(
    _kind(
        "task_created",
        title=st.just("T"),
        steps=st.lists(STEPS.map(lambda name: {"step_id": name, "title": name}), max_size=3, unique_by=lambda s: s["step_id"]),
    ),
    _kind("step_status", step_id=STEPS, status=st.sampled_from(list(StepStatus)), summary=SUMMARIES, progress=PROGRESS),
    _kind(
        "plan",
        steps=st.lists(
            st.fixed_dictionaries({"step_id": STEPS, "title": SHORT, "status": st.sampled_from(list(StepStatus))}),
            max_size=4,
            unique_by=lambda s: s["step_id"],
        ),
    ),
    _kind("step_added", step_id=STEPS, title=SHORT, after=st.none() | STEPS),
    _kind("metadata", metadata=st.dictionaries(st.sampled_from(["host", "project", "x"]), st.none() | SHORT)),
    _kind("link", url=st.sampled_from(["http://a", "http://b"]), name=st.none() | SHORT),
    _kind("task_status", status=st.sampled_from(list(ReportedStatus)), summary=SUMMARIES),
    _kind(
        "heartbeat",
        agent_seen_at=TIMES,
        evidence=st.sampled_from(["process", "command"]),
        stalled=st.booleans(),
        summary=SUMMARIES,
        progress=PROGRESS,
    ),
    _kind("agent_lost", summary=SUMMARIES),
    _kind("interrupt_requested"),
    _kind("interrupt_ack"),
    _kind("task_closed", status=st.sampled_from(list(ClosedStatus)), summary=SUMMARIES),
    _kind("attention_acknowledged", by=st.none() | SHORT),
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENTS, min_size=1, max_size=40), st.integers(1, 7), st.booleans())
def test_counters_statuses_and_history_agree_with_the_steps(raw: list[dict[str, Any]], group: int, forgetful: bool) -> None:
    events = [any_event.validate_python(e | {"event_id": f"e{n}"}) for n, e in enumerate(raw)]
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        migrations.migrate(connection)
        store, accepted = TaskStore(), []
        for start in range(0, len(events), group):
            chunk = events[start : start + group]
            applied = store.apply(connection, chunk, NOW)
            store.committed()
            if forgetful:
                store.rolled_back()
            taken = [e for e, outcome in zip(chunk, applied.outcomes, strict=True) if outcome.status is EventStatus.OK]
            before = changes.find_position(connection)
            assert applied.change is None or applied.change.seq == before.seq
            # Of heartbeats the history keeps few, and of the others the newest alone is known again (see test_beats.py).
            kept_ones = [event for event in taken if event.kind != "heartbeat"]
            repeated = store.apply(connection, kept_ones, NOW)
            assert {outcome.status for outcome in repeated.outcomes} <= {EventStatus.DUPLICATE}
            assert (repeated.change, changes.find_position(connection)) == (None, before)
            accepted += kept_ones
        page = task_list.list_tasks(connection, now=NOW, limit=10)
        stored = {row.task_id: row for row in connection.execute(select(schema.tasks, schema.liveness).join(schema.liveness))}
        for task in page.tasks:
            row = stored[task.task_id]
            ended = [step for step in task.steps if step.status in ENDED_STEP_STATUSES]
            failed = [step for step in ended if step.status == "failed"]
            assert (task.progress.done, task.progress.failed, task.progress.total) == (
                len(ended) - len(failed), len(failed), len(task.steps),
            )  # fmt: skip
            assert row.steps_started == sum(step.status != "pending" for step in task.steps)
            assert (task.ended_at is None) == (task.status not in ENDED_TASK_STATUSES)
            assert (task.waiting_since is not None) == (row.status == "waiting")
            assert [step.position for step in task.steps] == list(range(1, len(task.steps) + 1))
            assert (task.attention and task.attention.reason) == (
                ("failed" if row.status == "failed" and not task.closed else None)
                if task.ended_at else "lost" if row.lost else "waiting" if row.status == "waiting" else None
            )  # fmt: skip
            assert (row.attention_rank > 0) == (task.attention is not None and task.attention.acknowledged_at is None)
            kept = store._cache.get(task.task_id)  # noqa: SLF001 - a column that is not written back shows nowhere else
            assert kept is None or {name: getattr(kept, name) for name in row._mapping if name != "task_n"} == without_key(row)  # noqa: SLF001 - its columns
            assert all((step.ended_at is not None) == (step.status in ENDED_STEP_STATUSES) for step in task.steps)
            if task.steps and len(ended) == len(task.steps) and row.reported is None and task.closed is None:
                assert task.status == ("failed" if failed else "done")
            detail = queries.task_detail(connection, task.task_id, now=NOW)
            history = [event["event_id"] for event in detail.events if event["kind"] != "heartbeat"]
            assert history == [event.event_id for event in accepted if event.task_id == task.task_id]
            assert json.loads(views.task_json.dump_json(task))["task_id"] == task.task_id
        counts = page.counts
        assert counts.all == len(page.tasks)
        assert counts.active == sum(task.ended_at is None for task in page.tasks)
    engine.dispose()


def test_numbers_count_on_after_everything_was_removed() -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        migrations.migrate(connection)
        store = TaskStore()
        created = any_event.validate_python(
            {"kind": "task_created", "event_id": "e", "task_id": "t", "at": NOW.rfc3339(), "title": "T"}
        )
        first = store.apply(connection, [created], NOW).change
        assert first is not None
        removal = store.remove(connection, first.tasks, NOW).change
        assert removal is not None
        assert (removal.seq, removal.removed, dict(removal.counts)) == (2, True, {"pending:": -1})
        again = TaskStore().apply(connection, [created.model_copy(update={"event_id": "e2"})], NOW).change
        assert again is not None
        assert (again.seq, again.tasks, changes.find_position(connection).floor_seq) == (3, (2,), 2)
    engine.dispose()
