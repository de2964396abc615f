"""A task as one row of a table, whoever knows it: the daemon of this machine, or a backend."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from clawlog.cli.render.backend_views import BackendTask
from clawlog.cli.render.views import Measure, TaskView
from clawlog.protocol import vocabulary

_FIRST = ("waiting", "lost", "failed", "stalled", "stopping")
"""What needs a person comes first, in this order."""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """What a table shows of a task.

    Attributes:
        task_id: Its id.
        title: What it does.
        status: The one word that says how it is.
        reported_at: Its end, else its agent's last sign.
        steps_ended: How many of its steps have ended.
        steps: How many it has.
        step: The title of the running step.
        measure: How far that has come.
        summary: The question where it waits for a person, else the last summary.
        host: Where it runs, as its metadata say.
        agent: Who does it.
        is_subtask: Whether it is a part of another task.
        is_acknowledged: Whether a person has seen that it failed or was lost.
    """

    task_id: str
    title: str
    status: str
    reported_at: str | None
    steps_ended: int
    steps: int
    step: str | None
    measure: Measure | None
    summary: str | None
    host: str | None
    agent: str | None
    is_subtask: bool
    is_acknowledged: bool = False


def of_daemon(view: TaskView) -> TaskRow:
    """Returns the row of a task that the daemon knows."""
    step = view.current_step
    return TaskRow(
        task_id=view.task_id,
        title=view.title,
        status=view.shown_status,
        reported_at=view.ended_at or view.liveness.agent_seen_at,
        steps_ended=view.steps_ended,
        steps=len(view.steps),
        step=step.title if step is not None else None,
        measure=view.newest_measure,
        summary=view.summary,
        host=view.metadata.get("host"),
        agent=view.metadata.get("agent"),
        is_subtask=view.parent_task_id is not None,
    )


def of_backend(view: BackendTask) -> TaskRow:
    """Returns the row of a task that a backend knows."""
    return TaskRow(
        task_id=view.task_id,
        title=view.title,
        status=view.shown_status,
        reported_at=view.ended_at or view.agent_seen_at,
        steps_ended=sum(step.status in vocabulary.ENDED_STEP_STATUSES for step in view.steps),
        steps=len(view.steps),
        step=next((step.title for step in view.steps if step.status == "running"), None),
        measure=view.measure,
        summary=view.summary,
        host=view.metadata.get("host"),
        agent=view.metadata.get("agent"),
        is_subtask=view.parent_task_id is not None,
        is_acknowledged=view.attention is not None and view.attention.acknowledged_at is not None,
    )


def by_attention(rows: Iterable[TaskRow]) -> list[TaskRow]:
    """Returns the rows with what needs a person first; otherwise in the order given."""
    return sorted(rows, key=_rank)


def _rank(row: TaskRow) -> int:
    if row.status in _FIRST and not row.is_acknowledged:
        return _FIRST.index(row.status)
    return len(_FIRST) + (row.status in vocabulary.ENDED_TASK_STATUSES)
