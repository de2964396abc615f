"""What the daemon knows of a task: frozen values, replaced whole at each change.

Frozen, because a change is visible in memory before it is on disk: when its commit fails, the value before it is put back.
Out of the garbage collector's sight (``gc=False``), because nothing here can hold a cycle, and there may be a million of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from clawlog.protocol.types import StepStatus


class TaskStatus(StrEnum):
    """The status of a task, as its agent reported it."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
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
    PLAN = "plan"
    STEP_ADDED = "step_added"
    METADATA = "metadata"
    LINK = "link"
    HEARTBEAT = "heartbeat"
    AGENT_LOST = "agent_lost"
    INTERRUPT_SEEN = "interrupt_seen"
    INTERRUPT_DELIVERED = "interrupt_delivered"
    INTERRUPT_ACK = "interrupt_ack"


UNMAPPED = ""
"""The ``remote_id`` of a step by which its backend does not know it: it was not told of it yet, it cannot be told of it, or it
names it in a way that could not be told from others. What is reported of such a step is said of its task."""


class Progress(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How far something has come, in the agent's own count.

    Attributes:
        done: How many are done, finite and at least 0.
        total: How many there are, where that is known.
        unit: Of what, such as ``files``.
    """

    done: int | float
    total: int | float | None = None
    unit: str | None = None


class Link(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Something to look at beside a task: a pull request, a log, a trace.

    Attributes:
        url: Its address, http or https.
        name: What it is called, where the agent named it.
    """

    url: str
    name: str | None = None


class Step(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One step of a task.

    Attributes:
        step_id: The id by which callers know it.
        position: Its place, from 1.
        title: What it does.
        status: Its status.
        summary: The last summary reported for it.
        remote_id: The backend's own id, where it differs; ``UNMAPPED`` where there is none that is known.
        progress: How far it has come.
    """

    step_id: str
    position: int
    title: str
    status: StepStatus = "pending"
    summary: str | None = None
    remote_id: str | None = None
    progress: Progress | None = None


class WatchedProcess(msgspec.Struct, frozen=True, gc=False):
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


class Interrupt(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
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


class Activity(StrEnum):
    """What a session of a coding agent is at."""

    IDLE = "idle"
    """Between two turns: it waits for a person's next prompt."""
    WORKING = "working"
    ASKING = "asking"
    """In the middle of a turn it waits for a person's answer."""


class Session(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The session of a coding agent that a task stands for.

    Attributes:
        agent: The agent's name.
        session_id: The agent's own id of the session.
        activity: What it is at.
        turns: How many turns have begun.
        turn_step: The step of the turn that goes on; None between turns, and where the agent's own plan shows it.
        own_steps: The steps that are not of the agent's plan: of turns and subagents.
        subagents: The steps of subagents, by the agent's own ids of these.
        prompted_ms: When the newest prompt was given, or the session resumed, in milliseconds since 1970.
        rested_ms: When the newest turn, or the session, ended, or a question was asked: older reports do not undo that.
        held: The stop by whose hold the agent's tools are refused, until a person speaks; None while none is.
        held_ms: Since when that is so.
        refused_ms: When the first tool was held back by it.
        titled: Whether the task's title is the prompt's, or was chosen for want of one that may be shown.
    """

    agent: str
    session_id: str
    activity: Activity = Activity.IDLE
    turns: int = 0
    turn_step: str | None = None
    own_steps: tuple[str, ...] = ()
    subagents: dict[str, str] = {}
    prompted_ms: int = 0
    rested_ms: int = 0
    held: str | None = None
    held_ms: int = 0
    refused_ms: int | None = None
    titled: bool = False


class Task(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A task, as its agent described it and as far as it got.

    Attributes:
        task_id: The id by which callers know it.
        title: What it is.
        base_url: Its backend.
        created_ms: When it was created, in milliseconds since 1970.
        steps: In order of position. Kept in rows of their own on disk.
        status: Its status.
        status_seq: The number of the event by which it came to that; 0 where an older daemon knew of it.
        finished: Whether the agent itself reported its end: then only ``running`` reopens it.
        summary: The last summary reported for the task as a whole.
        ended_ms: When it ended.
        lost_ms: When its agent was found lost, unless it has given a sign of life since.
        lease_s: For how long one command is evidence of life.
        seen_ms: The agent's last sign of life, as last written to disk.
        watched: The process whose end means that its agent is gone.
        upstream: Whether the backend has it.
        remote_id: The backend's own id, where it differs.
        told_anew_ms: When its backend, which had forgotten it, was last told of it anew.
        interrupt: The newest request to stop it; ``stop`` on disk.
        metadata: The caller's own pairs, and what was found out about it.
        parent_task_id: The task that this one is a part of.
        links: What there is to look at beside it.
        progress: The newest that was reported, of a step or in a heartbeat; None once a step changed without one.
        replanned: Whether its plan has changed since it was created: a position meant another step then.
        waiting_ms: Since when it waits for a person, in milliseconds since 1970.
        closed: Whether a person ended it at its backend: the agent's next command reopens it.
        session: The session of a coding agent that it stands for, where that reports by itself.
        acknowledged_ms: The ``trouble_ms`` that a person has seen at its backend.
    """

    task_id: str
    title: str
    base_url: str
    created_ms: int
    steps: tuple[Step, ...] = ()
    status: TaskStatus = TaskStatus.PENDING
    status_seq: int = 0
    finished: bool = False
    summary: str | None = None
    ended_ms: int | None = None
    lost_ms: int | None = None
    lease_s: float = 120.0
    seen_ms: int = 0
    watched: WatchedProcess | None = None
    upstream: bool = False
    remote_id: str | None = None
    told_anew_ms: int | None = None
    interrupt: Interrupt | None = msgspec.field(default=None, name="stop")
    metadata: dict[str, str] = {}
    parent_task_id: str | None = None
    links: tuple[Link, ...] = ()
    progress: Progress | None = None
    replanned: bool = False
    waiting_ms: int | None = None
    closed: bool = False
    session: Session | None = None
    acknowledged_ms: int | None = None

    @property
    def trouble_ms(self) -> int | None:
        """Since when it has failed or its agent is lost, in milliseconds since 1970; None where neither is so."""
        if self.status.ended:
            return self.ended_ms if self.status is TaskStatus.FAILED else None
        return self.lost_ms

    @property
    def acknowledged(self) -> bool:
        """Whether a person has seen that it failed or was lost, or has closed it."""
        return self.closed or (self.acknowledged_ms is not None and self.acknowledged_ms == self.trouble_ms)

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


class Event(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
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
        title: Of a created task, or of a step that is added; or a task's new one, beside metadata.
        steps: Of a created task, or all of a changed plan, in order.
        metadata: Of a created task; or the pairs that change, None for one that is removed.
        parent_task_id: Of a created task.
        after: The step behind which one is added, by the id that callers know; the last one by default.
        progress: How far the step has come.
        name: Of a link.
        url: Of a link.
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
    metadata: Mapping[str, str | None] | None = None
    parent_task_id: str | None = None
    after: str | None = None
    progress: Progress | None = None
    name: str | None = None
    url: str | None = None


class NewStep(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A step as a created task or a changed plan announces it.

    Attributes:
        step_id: The id by which callers know it.
        title: What it does.
        status: Its status, in a changed plan.
    """

    step_id: str
    title: str
    status: StepStatus | None = None


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
        progress: How far the task has come, where the agent gave that for this beat.
    """

    task_id: str
    at: str
    agent_seen_at: str
    evidence: Evidence
    stalled: bool
    summary: str | None = None
    pid: int | None = None
    progress: Progress | None = None
