"""Builds the views of tasks from their rows.

``stale`` and the state of liveness depend on the time of reading, so they are computed here and stored nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from clawlog_backend.domain import state
from clawlog_backend.domain.events import EventKind
from clawlog_backend.domain.fields import (
    ENDED_TASK_STATUSES,
    FALLS_SILENT,
    OPEN_STEP_STATUSES,
    AttentionReason,
    Evidence,
    InterruptMode,
    StepStatus,
    TaskStatus,
)
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.domain.views import (
    AttentionView,
    ClosedView,
    Control,
    CurrentStepView,
    EventView,
    LinkView,
    LivenessView,
    MeasureView,
    ProgressView,
    StepView,
    StopView,
    TaskRefView,
    TaskView,
)
from clawlog_backend.storage.rows import chunks
from clawlog_backend.storage.schema import interrupts, liveness, steps, tasks

_SIGNS = ("agent_seen_ms", "vouched_ms", "sign_ms", "evidence", "pid", "stalled", "measure", "beats")
SHOWN_COLUMNS = (
    *(column for column in tasks.c if column is not tasks.c.reversed_id),
    *(liveness.c[name] for name in _SIGNS),
)
_STEP_COLUMNS = ("step_id", "position", "title", "status", "summary", "started_ms", "ended_ms", "measure")

# A look-up in a dict takes a tenth of the time of calling the enum.
_TASK_STATUSES = {status.value: status for status in TaskStatus}
_STEP_STATUSES = {status.value: status for status in StepStatus}


def select_shown() -> Select[Any]:
    """The rows of tasks, with what is shown of each."""
    # An outer join, so that whatever the tasks are found and ordered by, they are read first.
    return select(*SHOWN_COLUMNS).join_from(tasks, liveness, isouter=True)


def control_view(row: Row[Any]) -> Control:
    """Whether a task's agent is to stop, and whether a person closed the task or acknowledged its trouble.

    Args:
        row: The task's id, status, ``stop_open``, ``closed`` and ``attention_ack_ms``, with the columns of its newest stop.
    """
    closed, acknowledged = row.closed is not None, row.attention_ack_ms is not None
    if not row.stop_open or row.status in ENDED_TASK_STATUSES:
        return Control(row.task_id, False, None, None, None, None, closed, acknowledged)  # noqa: FBT003 - the first field of the answer
    mode = InterruptMode(row.mode)
    return Control(row.task_id, True, mode, row.interrupt_id, row.reason, row.requested_ms, closed, acknowledged)  # noqa: FBT003 - as above


def task_views(connection: Connection, rows: Sequence[Row[Any]], now: UtcMs) -> list[TaskView]:
    """The views of tasks, in the order of their rows.

    Args:
        connection: To read their steps and stops from.
        rows: Rows of ``tasks``, with ``SHOWN_COLUMNS``.
        now: This instant.
    """
    steps_of: dict[int, list[StepView]] = {row.n: [] for row in rows}
    query = select(steps.c.task_n, *(steps.c[name] for name in _STEP_COLUMNS)).order_by(steps.c.task_n, steps.c.position)
    for chunk in chunks(row.n for row in rows if row.steps_total):
        found = connection.execute(query.where(steps.c.task_n.in_(chunk))).all()
        for n, step_id, position, title, status, summary, started, ended, measure in found:
            steps_of[n].append(
                StepView(step_id, position, title, _STEP_STATUSES[status], summary, started, ended, _measure(measure))
            )
    stops: dict[str, StopView] = {}
    for chunk in chunks(row.stop_id for row in rows if row.stop_id is not None):
        for row in connection.execute(select(interrupts).where(interrupts.c.interrupt_id.in_(chunk))).all():
            stops[row.interrupt_id] = stop_view(row)
    return [_task(row, steps_of[row.n], stops.get(row.stop_id), now) for row in rows]


def task_ref(row: Row[Any], now: UtcMs) -> TaskRefView:
    """How a task is named beside another one."""
    return TaskRefView(row.task_id, row.title, _shown_status(row, now))


def _shown_status(row: Row[Any], now: UtcMs) -> TaskStatus:
    if row.status in ENDED_TASK_STATUSES:
        return _TASK_STATUSES[row.status]
    stale = row.lost or (row.status in FALLS_SILENT and row.sign_ms < now - state.STALE_AFTER_MS)
    return TaskStatus.STALE if stale else _TASK_STATUSES[row.status]


def _task(row: Row[Any], its_steps: list[StepView], its_stop: StopView | None, now: UtcMs) -> TaskView:
    evidence = None if row.evidence is None else Evidence(row.evidence)
    seen = state.liveness(row, now)
    told = (evidence, row.pid, row.stalled, row.lost_reason, row.beats)
    return TaskView(
        task_id=row.task_id,
        parent_task_id=row.parent_id,
        title=row.title,
        status=_shown_status(row, now),
        attention=_attention(row),
        summary=row.summary,
        created_at=row.created_ms,
        updated_at=row.updated_ms,
        waiting_since=row.waiting_ms,
        ended_at=row.ended_ms,
        closed=None if row.closed is None else ClosedView(**json.loads(row.closed)),
        metadata={} if row.metadata == "{}" else json.loads(row.metadata),
        links=[] if row.links == "[]" else [LinkView(**link) for link in json.loads(row.links)],
        progress=ProgressView(row.steps_done, row.steps_failed, row.steps_total),
        measure=_measure(row.measure),
        current_step=_current(its_steps, failed=row.status == TaskStatus.FAILED),
        steps=its_steps,
        liveness=LivenessView(seen, row.agent_seen_ms, row.vouched_ms, *told),
        stop=its_stop,
    )


def _attention(row: Row[Any]) -> AttentionView | None:
    if row.attention is None:
        return None
    return AttentionView(AttentionReason(row.attention), row.attention_ms, row.attention_ack_ms, row.attention_by)


def _measure(stored: str | None) -> MeasureView | None:
    return None if stored is None else MeasureView(**json.loads(stored))


def _current(its_steps: Sequence[StepView], *, failed: bool) -> CurrentStepView | None:
    begun = [step for step in its_steps if step.status is not StepStatus.PENDING]
    if failed:
        begun = [step for step in begun if step.status is StepStatus.FAILED] or begun
    if not begun:
        return None
    newest = max(
        begun, key=lambda step: (step.status in OPEN_STEP_STATUSES, step.started_at or step.ended_at or 0, step.position)
    )
    return CurrentStepView(newest.step_id, newest.position, newest.title, newest.status, newest.summary, newest.measure)


def stop_view(row: Row[Any]) -> StopView:
    """The view of a row of ``interrupts``."""
    return StopView(
        row.interrupt_id,
        InterruptMode(row.mode),
        row.reason,
        row.requested_by,
        row.requested_ms,
        row.seen_ms,
        row.delivered_ms,
        row.acknowledged_ms,
        row.ack_summary,
    )


def event_view(row: Row[Any]) -> EventView:
    """The view of a row of ``events``."""
    own = json.loads(row.detail)
    told = own.pop("steps", None)  # they are shown with the task itself
    if row.kind == EventKind.PLAN:
        own["steps_total"] = len(told)
    return {
        "seq": row.seq,
        "event_id": row.event_id,
        "kind": row.kind,
        "at": UtcMs(row.at_ms).rfc3339(),
        "received_at": UtcMs(row.received_ms).rfc3339(),
        "task_status": row.task_status,
        **own,
    }
