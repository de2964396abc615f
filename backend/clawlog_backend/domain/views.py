"""The shapes in which tasks are answered, and how each becomes JSON. Nothing here reads the database.

Fields are in the order in which they appear in an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from pydantic_core import to_json

from clawlog_backend.domain.fields import AttentionReason, Evidence, InterruptMode, Liveness, StepStatus, TaskStatus
from clawlog_backend.domain.times import UtcMs


class Filter(StrEnum):
    """The filters of a list of tasks: one status, or a group of them."""

    ALL = "all"
    ACTIVE = "active"
    STOPPING = "stopping"
    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    STALE = "stale"


class AttentionFilter(StrEnum):
    """Which tasks a list shows by their need of a person."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    NONE = "none"


class Sort(StrEnum):
    """The orders of a list of tasks. `attention`: what needs a person first; `updated`: what changed last first."""

    CREATED = "created"
    ATTENTION = "attention"
    UPDATED = "updated"


@dataclass(frozen=True, slots=True)
class MeasureView:
    """How far something has come, in the agent's own count."""

    done: int | float
    total: int | float | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class StepView:
    """One step of a task."""

    step_id: str
    position: int
    title: str
    status: StepStatus
    summary: str | None
    started_at: UtcMs | None
    ended_at: UtcMs | None
    measure: MeasureView | None


@dataclass(frozen=True, slots=True)
class CurrentStepView:
    """The step that is under way, or else the last one that ended; of a task that failed, the one that failed."""

    step_id: str
    position: int
    title: str
    status: StepStatus
    summary: str | None
    measure: MeasureView | None


@dataclass(frozen=True, slots=True)
class ProgressView:
    """How many steps are done (including skipped ones), how many failed, and how many there are."""

    done: int
    failed: int
    total: int


@dataclass(frozen=True, slots=True)
class LivenessView:
    """Whether the agent is alive, since when, and on what evidence."""

    state: Annotated[
        Liveness,
        Field(
            description="`alive`: within the last 20 s it reported, or its process was seen running. `quiet`: neither. "
            "`stalled`: its process runs, but has not reported for long. `lost`: it is gone. `waiting`: its task "
            "waits for a person, and no sign is expected. `ended`: its task has ended. "
            "`unknown`: no heartbeat has arrived yet."
        ),
    ]
    agent_seen_at: UtcMs | None
    vouched_at: UtcMs | None
    evidence: Evidence | None
    pid: int | None
    stalled: bool
    reason: str | None
    beats: Annotated[int, Field(description="How many heartbeats came since the last one that the history has.")]


@dataclass(frozen=True, slots=True)
class StopView:
    """The newest stop, and its receipts as they arrive."""

    interrupt_id: str
    mode: InterruptMode
    reason: str | None
    requested_by: str | None
    requested_at: UtcMs
    seen_at: UtcMs | None
    delivered_at: UtcMs | None
    acknowledged_at: UtcMs | None
    ack_summary: str | None


@dataclass(frozen=True, slots=True)
class AttentionView:
    """Why a task needs a person, since when, and who has seen it."""

    reason: AttentionReason
    since: UtcMs
    acknowledged_at: UtcMs | None
    acknowledged_by: str | None


@dataclass(frozen=True, slots=True)
class LinkView:
    """Something to look at beside a task. The address is http or https."""

    url: str
    name: str | None
    at: UtcMs


@dataclass(frozen=True, slots=True)
class ClosedView:
    """That a person ended the task, whose agent was gone."""

    at: UtcMs
    by: str | None
    summary: str | None


@dataclass(frozen=True, slots=True)
class TaskRefView:
    """Another task, as far as it is named beside one."""

    task_id: str
    title: str
    status: TaskStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """A task as lists have it."""

    task_id: str
    parent_task_id: str | None
    title: str
    status: TaskStatus
    attention: AttentionView | None
    summary: str | None
    created_at: UtcMs
    updated_at: UtcMs
    waiting_since: UtcMs | None
    ended_at: UtcMs | None
    closed: ClosedView | None
    metadata: dict[str, str]
    links: list[LinkView]
    progress: ProgressView
    measure: Annotated[
        MeasureView | None,
        Field(description="The newest progress in the agent's count, of a step or a heartbeat."),
    ]
    current_step: CurrentStepView | None
    steps: list[StepView]
    liveness: LivenessView
    stop: StopView | None


EventView = dict[str, Any]
"""One event of a history: ``seq``, ``event_id``, ``kind``, ``at``, ``received_at``, ``task_status`` and its own fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDetail(TaskView):
    """A task with its newest events, the newest last, and the tasks that it belongs to."""

    parent: TaskRefView | None
    subtasks: Annotated[list[TaskRefView], Field(description="The newest first, at most 100.")]
    events: list[EventView]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tasks match each filter. A task can match several."""

    all: int
    active: int
    stopping: int
    pending: int
    running: int
    waiting: int
    done: int
    failed: int
    interrupted: int
    stale: int
    attention: Annotated[int, Field(description="Those that need a person, and that nobody has acknowledged.")]


@dataclass(frozen=True, slots=True)
class StateCounts:
    """How many tasks are in each state, of which each task has one, as the dashboard names them.

    Attributes:
        all: All tasks.
        active: Those that have not ended.
        attention: Those that need a person, and that nobody has acknowledged.
        new: Those of ``failed`` that nobody has acknowledged.
        waiting: They need a person's answer.
        lost: Their agents are gone.
        failed: They have failed.
        stale: Of their agents there is no sign.
        running: They are under way.
        stopping: They are to stop.
        interrupted: They have stopped.
        done: They are done.
    """

    all: int = 0
    active: int = 0
    attention: int = 0
    new: int = 0
    waiting: int = 0
    lost: int = 0
    failed: int = 0
    stale: int = 0
    running: int = 0
    stopping: int = 0
    interrupted: int = 0
    done: int = 0


@dataclass(frozen=True, slots=True)
class TaskPage:
    """One page of a list of tasks."""

    tasks: list[TaskView]
    next_cursor: str | None
    counts: Counts


@dataclass(frozen=True, slots=True)
class RowPage:
    """One page of a list of tasks as the stream has them: without their steps, and without members that are null."""

    tasks: list[dict[str, Any]]
    counts: Counts
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """A part of a task's history, the newest last."""

    events: list[EventView]
    next_before: Annotated[int | None, Field(description="Ask with `before` set to this for older ones.")]


@dataclass(frozen=True, slots=True)
class Control:
    """Whether a task's agent is to stop, and whether a person closed the task or acknowledged its failure or loss."""

    task_id: str
    interrupt_requested: bool
    mode: InterruptMode | None
    interrupt_id: str | None
    reason: str | None
    requested_at: UtcMs | None
    closed: bool
    acknowledged: bool


@dataclass(frozen=True, slots=True)
class SignView:
    """What a sign of life, or a report of more of the same, changes of a task."""

    task_id: str
    updated_at: UtcMs
    summary: str | None
    measure: MeasureView | None
    current_step: CurrentStepView | None
    liveness: LivenessView


def counts_json(counts: StateCounts) -> bytes:
    """How many tasks are in each state."""
    return _counts_json.dump_json(counts)


def row_json(view: TaskView) -> bytes:
    """A task as a row of a list: without its steps, and without what it does not have."""
    return task_json.dump_json(view, exclude={"steps"}, exclude_none=True)


def rows_json(page: TaskPage) -> bytes:
    """A page of rows."""
    return page_json.dump_json(page, exclude={"tasks": {"__all__": {"steps"}}}, exclude_none=True)


def sign_of(view: TaskView) -> dict[str, Any]:
    """What signs of life, and reports of more of the same, change of a task."""
    sign = SignView(view.task_id, view.updated_at, view.summary, view.measure, view.current_step, view.liveness)
    found: dict[str, Any] = _sign.dump_python(sign, mode="json")
    return found


def sign_json(sign: dict[str, Any], before: dict[str, Any] | None) -> bytes:
    """What has changed of a task since a sign before, or all of it; what is left out stays as it was.

    But for ``beats``: where only the heartbeat itself is told (``vouched_at``), it grew by one, as it nearly always did.

    Args:
        sign: As of now (see :func:`sign_of`).
        before: As its readers know it; ``None`` where some do not.
    """
    if before is not None:
        changed = {name: value for name, value in sign.items() if value != before[name]}
        if "liveness" in changed:
            known, now = before["liveness"], sign["liveness"]
            told = {name: value for name, value in now.items() if value != known[name] and name != "beats"}
            if now["beats"] != known["beats"] + ("vouched_at" in told):
                told["beats"] = now["beats"]
            changed["liveness"] = told
        sign = {"task_id": sign["task_id"]} | changed
    return to_json(sign)


_counts_json: TypeAdapter[StateCounts] = TypeAdapter(StateCounts)
_sign: TypeAdapter[SignView] = TypeAdapter(SignView)
task_json: TypeAdapter[TaskView] = TypeAdapter(TaskView)
detail_json: TypeAdapter[TaskDetail] = TypeAdapter(TaskDetail)
page_json: TypeAdapter[TaskPage] = TypeAdapter(TaskPage)
event_json: TypeAdapter[EventView] = TypeAdapter(EventView)
events_json: TypeAdapter[EventPage] = TypeAdapter(EventPage)
