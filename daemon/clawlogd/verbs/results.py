"""What each verb answers."""

from __future__ import annotations

import msgspec

from clawlog.protocol.types import StepStatus
from clawlogd.delivery.report import LaneReport
from clawlogd.interrupts.state import InterruptStatus
from clawlogd.liveness.evidence import LifeState
from clawlogd.model import Evidence, TaskStatus


class CreatedStep(msgspec.Struct, frozen=True):
    """A step as ``task.create`` answers it."""

    step_id: str
    position: int
    title: str
    status: StepStatus


class CreatedTask(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answers ``task.create``."""

    task_id: str
    title: str
    base_url: str
    steps: tuple[CreatedStep, ...]
    summary_truncated: bool = False


class Accepted(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Answers what is now on disk and on its way."""

    accepted: bool
    event_id: str
    pending: int
    summary_truncated: bool = False


class BeatAccepted(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answers ``task.heartbeat``."""

    accepted: bool
    next_in_s: float
    summary_truncated: bool = False


class StepView(msgspec.Struct, frozen=True):
    """A step as ``task.get`` shows it."""

    step_id: str
    position: int
    title: str
    status: StepStatus
    summary: str | None


class LivenessView(msgspec.Struct, frozen=True):
    """An agent's life as ``task.get`` shows it."""

    state: LifeState
    evidence: Evidence | None
    agent_seen_at: str | None
    watch_pid: int | None
    lease_s: float


class TaskView(msgspec.Struct, frozen=True):
    """A task as ``task.get`` shows it."""

    task_id: str
    title: str
    base_url: str
    status: TaskStatus
    summary: str | None
    created_at: str
    ended_at: str | None
    steps: tuple[StepView, ...]
    liveness: LivenessView
    stop: InterruptStatus
    pending: int
    delivered: bool
    metadata: dict[str, str]


class TaskViews(msgspec.Struct, frozen=True):
    """Answers ``task.list``."""

    tasks: tuple[TaskView, ...]


class Counts(msgspec.Struct, frozen=True):
    """Tasks by their state."""

    known: int
    live: int
    lost: int
    stopping: int


class OutboxReport(msgspec.Struct, frozen=True):
    """The outbox as ``daemon.status`` shows it."""

    pending: int
    dead_letters: int
    bytes: int
    max_events: int
    max_bytes: int
    accepted_per_hour: float
    hours_left: float | None
    lost: int
    damaged: int
    storage_error: str | None
    recovered_from: str | None
    recovered_why: str | None
    spool_set_aside: int


class DaemonStatus(msgspec.Struct, frozen=True):
    """Answers ``daemon.status``."""

    version: str
    protocol: int
    pid: int
    uptime_s: float
    state_dir: str
    socket: str | None
    zmq: str | None
    metrics: str | None
    base_url: str
    healthy: bool
    problems: tuple[str, ...]
    tasks: Counts
    outbox: OutboxReport
    backends: tuple[LaneReport, ...]
    memory_bytes: int


class Flushed(msgspec.Struct, frozen=True):
    """Answers ``daemon.flush``."""

    flushed: bool
    pending: int


class DeadLetterView(msgspec.Struct, frozen=True):
    """A dead letter."""

    event_id: str
    task_id: str
    kind: str
    at: str | None
    backend_status: int | None
    backend_reply: str
    refused_at: str
    waiting_behind: int


class DeadLetters(msgspec.Struct, frozen=True):
    """Answers the verbs of dead letters: what there is, or what was touched."""

    dead_letters: tuple[DeadLetterView, ...]
