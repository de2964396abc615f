"""What the daemon knows of a task: frozen values, replaced whole at each change.

Frozen, because a change is visible in memory before it is on disk: when its commit fails, the value before it is put back.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from clawlog.protocol.types import StepStatus


class TaskStatus(StrEnum):
    """The status of a task, as its agent reported it."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    ended: bool
    """Whether this is an end."""

    def __init__(self, value: str) -> None:
        self.ended = value in ("done", "failed", "interrupted")


class EventKind(StrEnum):
    """What an event reports to the backend (the HTTP contract's ``kind``)."""

    TASK_CREATED = "task_created"
    TASK_STATUS = "task_status"
    STEP_STATUS = "step_status"
    HEARTBEAT = "heartbeat"
    AGENT_LOST = "agent_lost"
    INTERRUPT_SEEN = "interrupt_seen"
    INTERRUPT_DELIVERED = "interrupt_delivered"
    INTERRUPT_ACK = "interrupt_ack"


UNMAPPED = ""
"""The ``remote_id`` of a step that its backend names in a way that could not be told from others."""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of a task.

    Attributes:
        step_id: The id by which callers know it.
        position: Its place, from 1.
        title: What it does.
        status: Its status.
        summary: The last summary reported for it.
        remote_id: The backend's own id, where it differs; ``UNMAPPED`` where it is not known.
    """

    step_id: str
    position: int
    title: str
    status: StepStatus = "pending"
    summary: str | None = None
    remote_id: str | None = None


class WatchedProcess(msgspec.Struct, frozen=True):
    """A process whose end means that the task's agent is gone.

    Attributes:
        pid: Its number.
        started_ticks: When it began, in clock ticks since boot (field 22 of ``/proc/PID/stat``): a pid that was given to
            another process differs in it. None where the system does not tell.
        boot_id: The boot in which that was read.
        pidfd_inode: The inode number of its pidfd, which no other process of the boot has. It is seen also of a process that
            ``/proc`` hides. None where the kernel gives none (before Linux 6.9).
    """

    pid: int
    started_ticks: int | None = None
    boot_id: str | None = None
    pidfd_inode: int | None = None


class Interrupt(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person's request to stop a task.

    Attributes:
        interrupt_id: The backend's id of the request; an ack answers this one alone.
        mode: ``soft_stop``.
        reason: Why, in the person's own words.
        requested_at: When, as the backend reported it.
        delivered: Whether it has been delivered to the agent.
        acknowledged: Whether the agent has acknowledged it.
    """

    interrupt_id: str
    mode: str = "soft_stop"
    reason: str | None = None
    requested_at: str | None = None
    delivered: bool = False
    acknowledged: bool = False

    @property
    def nameless(self) -> bool:
        """Whether the backend gave it no id: then this one is our own, by the time of the request."""
        return self.interrupt_id.startswith(_NAMELESS)

    @property
    def backend_id(self) -> str | None:
        """Its id as the backend knows it."""
        return None if self.nameless else self.interrupt_id


_NAMELESS = "at:"


def nameless_id(requested_at: str | None) -> str:
    """Our own id for a stop that the backend gave none."""
    return f"{_NAMELESS}{requested_at or ''}"


class Task(msgspec.Struct, frozen=True, omit_defaults=True):
    """A task, as its agent described it and as far as it got.

    Attributes:
        task_id: The id by which callers know it.
        title: What it is.
        base_url: Its backend.
        created_ms: When it was created, in milliseconds since 1970.
        steps: In order of position. Kept in rows of their own on disk.
        status: Its status.
        finished: Whether the agent itself reported its end: then only ``running`` reopens it.
        summary: The last summary reported for the task as a whole.
        ended_ms: When it ended.
        lost_ms: When its agent was found lost, unless it has given a sign of life since.
        lease_s: For how long one command is evidence of life.
        seen_ms: The agent's last sign of life, as last written to disk.
        watched: The process whose end means that its agent is gone.
        upstream: Whether the backend has it.
        remote_id: The backend's own id, where it differs.
        interrupt: The newest request to stop it; ``stop`` on disk.
        metadata: The caller's own pairs.
    """

    task_id: str
    title: str
    base_url: str
    created_ms: int
    steps: tuple[Step, ...] = ()
    status: TaskStatus = TaskStatus.PENDING
    finished: bool = False
    summary: str | None = None
    ended_ms: int | None = None
    lost_ms: int | None = None
    lease_s: float = 120.0
    seen_ms: int = 0
    watched: WatchedProcess | None = None
    upstream: bool = False
    remote_id: str | None = None
    interrupt: Interrupt | None = msgspec.field(default=None, name="stop")
    metadata: dict[str, str] = {}

    @property
    def live(self) -> bool:
        """Whether it has not ended, and its agent is not lost."""
        return self.lost_ms is None and not self.status.ended

    @property
    def interrupt_pending(self) -> bool:
        """Whether a stop is requested, not acknowledged, and the task has not ended."""
        return self.interrupt is not None and not self.interrupt.acknowledged and not self.status.ended

    def with_step(self, step: Step) -> Task:
        """The task with one step replaced, by its position."""
        index = step.position - 1
        return msgspec.structs.replace(self, steps=(*self.steps[:index], step, *self.steps[index + 1 :]))


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that happened to a task, in the batch profile's shape, with the caller's ids.

    Attributes:
        event_id: A UUID, minted once; every attempt to deliver has the same.
        task_id: The task's id, as callers know it.
        kind: What happened.
        at: When, RFC 3339 in UTC.
        step_id: The step's id, as callers know it.
        status: A task's or step's new status.
        summary: One line.
        interrupt_id: The stop that a receipt or an ack answers.
        title: Of a created task.
        steps: Of a created task.
        metadata: Of a created task.
    """

    event_id: str
    task_id: str
    kind: EventKind
    at: str
    step_id: str | None = None
    status: str | None = None
    summary: str | None = None
    interrupt_id: str | None = None
    title: str | None = None
    steps: tuple[NewStep, ...] | None = None
    metadata: dict[str, str] | None = None


class NewStep(msgspec.Struct, frozen=True):
    """A step as a created task announces it."""

    step_id: str
    title: str


class Evidence(StrEnum):
    """Why the daemon reports an agent as alive."""

    PROCESS = "process"
    COMMAND = "command"


class Beat(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A heartbeat: never stored, never queued; only the latest of a task is true.

    Attributes:
        task_id: The task's id, as callers know it.
        at: When this was true.
        agent_seen_at: The agent's last sign of life.
        evidence: Why the agent is reported as alive.
        stalled: Whether the process runs but its agent has not reported for too long.
        summary: What the agent gave for this beat.
        pid: The process, when that is the evidence.
    """

    task_id: str
    at: str
    agent_seen_at: str
    evidence: Evidence
    stalled: bool
    summary: str | None = None
    pid: int | None = None
