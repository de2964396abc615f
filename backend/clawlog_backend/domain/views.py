"""The shapes in which tasks are answered, and how each becomes JSON. Nothing here reads the database.

Fields are in the order in which they appear in an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from clawlog_backend.domain.fields import Evidence, InterruptMode, StepStatus, TaskStatus
from clawlog_backend.domain.times import UtcMs


class Liveness(StrEnum):
    """Whether an agent is alive, as far as is known."""

    ALIVE = "alive"
    QUIET = "quiet"
    STALLED = "stalled"
    LOST = "lost"
    ENDED = "ended"
    UNKNOWN = "unknown"


class Filter(StrEnum):
    """The filters of a list of tasks: one status, or a group of them."""

    ALL = "all"
    ACTIVE = "active"
    STOPPING = "stopping"
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    STALE = "stale"


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


@dataclass(frozen=True, slots=True)
class CurrentStepView:
    """The step that is under way, or else the last one that ended."""

    step_id: str
    position: int
    title: str
    status: StepStatus
    summary: str | None


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
            "`stalled`: its process runs, but has not reported for long. `lost`: it is gone. `ended`: its task has ended. "
            "`unknown`: no heartbeat has arrived yet."
        ),
    ]
    agent_seen_at: UtcMs | None
    vouched_at: UtcMs | None
    evidence: Evidence | None
    pid: int | None
    stalled: bool
    reason: str | None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """A task as lists have it."""

    task_id: str
    title: str
    status: TaskStatus
    summary: str | None
    created_at: UtcMs
    updated_at: UtcMs
    ended_at: UtcMs | None
    metadata: dict[str, str]
    progress: ProgressView
    current_step: CurrentStepView | None
    steps: list[StepView]
    liveness: LivenessView
    stop: StopView | None


EventView = dict[str, Any]
"""One event of a history: ``seq``, ``event_id``, ``kind``, ``at``, ``received_at``, ``task_status`` and its own fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDetail(TaskView):
    """A task with its newest events, the newest last."""

    events: list[EventView]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tasks match each filter. A task can match several."""

    all: int
    active: int
    stopping: int
    pending: int
    running: int
    done: int
    failed: int
    interrupted: int
    stale: int


@dataclass(frozen=True, slots=True)
class TaskPage:
    """One page of a list of tasks, the newest first."""

    tasks: list[TaskView]
    next_cursor: str | None
    counts: Counts


@dataclass(frozen=True, slots=True)
class EventPage:
    """A part of a task's history, the newest last."""

    events: list[EventView]
    next_before: Annotated[int | None, Field(description="Ask with `before` set to this for older ones.")]


@dataclass(frozen=True, slots=True)
class Control:
    """Whether a task's agent is to stop."""

    task_id: str
    interrupt_requested: bool
    mode: InterruptMode | None
    interrupt_id: str | None
    reason: str | None
    requested_at: UtcMs | None


task_json: TypeAdapter[TaskView] = TypeAdapter(TaskView)
detail_json: TypeAdapter[TaskDetail] = TypeAdapter(TaskDetail)
page_json: TypeAdapter[TaskPage] = TypeAdapter(TaskPage)
event_json: TypeAdapter[EventView] = TypeAdapter(EventView)
events_json: TypeAdapter[EventPage] = TypeAdapter(EventPage)
