"""The events of the contract: what can happen to a task, as it is sent and as it is stored.

Both profiles end here. A plain route turns its body into one of these, and the batch route reads them directly; what an event
then does to a task is written once, in :mod:`clawlog_backend.domain.transitions`.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field, StrictBool, TypeAdapter, field_validator

from clawlog_backend.domain.fields import (
    STEPS,
    ChangedMetadata,
    ClosedStatus,
    Evidence,
    Id,
    InterruptMode,
    LinkName,
    Metadata,
    Pid,
    Progress,
    ReportedStatus,
    StepStatus,
    Summary,
    Title,
    Url,
)
from clawlog_backend.domain.times import UtcMs

# Ids that the backend has to assign are derived from the event's own id: a repeated request gets the same ones without a query.
_ASSIGNED = UUID("8d6a6d5e-6f0b-4c0e-9a53-5b1b6f1d7c11")


def assigned_id(event_id: str, part: str) -> str:
    """The id that the backend assigns to ``part`` of an event that has none of its own."""
    return str(uuid5(_ASSIGNED, f"{event_id}/{part}"))


class NewStep(BaseModel):
    """A step of a new task."""

    model_config = ConfigDict(frozen=True)

    title: Title
    step_id: Id | None = None


class NewTaskFields(BaseModel):
    """The fields of a new task."""

    title: Title = Field(examples=["Deploy the web server"])
    steps: Annotated[tuple[NewStep, ...], Field(max_length=STEPS)] = Field(
        default=(), examples=[[{"title": "Check"}, {"title": "Write the configuration"}, {"title": "Start"}]]
    )
    summary: Summary | None = None
    metadata: Metadata = Field(default_factory=dict, examples=[{"host": "build-7"}])
    parent_task_id: Id | None = Field(default=None, description="The task that this one is a part of.")

    @field_validator("steps")
    @classmethod
    def _step_ids_differ(cls, steps: tuple[NewStep, ...]) -> tuple[NewStep, ...]:
        ids = [step.step_id for step in steps if step.step_id is not None]
        if len(ids) != len(set(ids)):
            raise ValueError("two steps have the same step_id")
        return steps


class TaskStatusFields(BaseModel):
    """The fields of a task's new status."""

    status: ReportedStatus
    summary: Summary | None = Field(default=None, examples=["nginx.conf generated and validated"])


class StepStatusFields(BaseModel):
    """The fields of a step's new status."""

    status: StepStatus
    summary: Summary | None = Field(default=None, examples=["nginx.conf generated and validated"])
    progress: Progress | None = Field(default=None, description="How far the step has come.")


class PlannedStep(BaseModel):
    """A step of a changed plan."""

    model_config = ConfigDict(frozen=True)

    step_id: Id
    title: Title
    status: StepStatus


class PlanFields(BaseModel):
    """A task's whole plan from now on, in order."""

    steps: Annotated[tuple[PlannedStep, ...], Field(max_length=STEPS)]

    @field_validator("steps")
    @classmethod
    def _step_ids_differ(cls, steps: tuple[PlannedStep, ...]) -> tuple[PlannedStep, ...]:
        if len({step.step_id for step in steps}) != len(steps):
            raise ValueError("two steps have the same step_id")
        return steps


class MetadataFields(BaseModel):
    """The pairs of a task's metadata that change."""

    metadata: ChangedMetadata = Field(description="`null` removes a pair.", examples=[{"branch": "main", "tmp": None}])


class LinkFields(BaseModel):
    """Something to look at beside a task."""

    name: LinkName | None = Field(default=None, examples=["pull request 42"])
    url: Url = Field(description="http or https, without credentials.", examples=["https://example.com/pull/42"])


class HeartbeatFields(BaseModel):
    """The fields of a heartbeat."""

    agent_seen_at: UtcMs = Field(description="The agent's own last sign of life, never the time of the heartbeat.")
    evidence: Evidence
    stalled: StrictBool = Field(default=False, description="The process runs, but has not reported for long.")
    summary: Summary | None = Field(default=None, examples=["writing the configuration"])
    pid: Pid | None = Field(default=None, description="The watched process, where that is the evidence.", examples=[4242])
    progress: Progress | None = Field(default=None, description="How far the task has come.")


class InterruptFields(BaseModel):
    """The fields of a stop request."""

    mode: InterruptMode = InterruptMode.SOFT_STOP
    reason: Summary | None = Field(default=None, examples=["Wrong host"])
    requested_by: Title | None = Field(default=None, examples=["Mu"])


class ClosingFields(BaseModel):
    """How a person ends a task whose agent is gone."""

    status: ClosedStatus = ClosedStatus.FAILED
    summary: Summary | None = Field(default=None, examples=["the machine was replaced"])
    by: Title | None = Field(default=None, examples=["Mu"])


class AttentionFields(BaseModel):
    """Who has seen that a task failed or was lost."""

    by: Title | None = Field(default=None, examples=["Mu"])


class AcknowledgementFields(BaseModel):
    """The fields of an acknowledgement."""

    interrupt_id: Id | None = Field(default=None, description="The stop that it acknowledges; the open one, if left out.")
    summary: Summary | None = Field(default=None, examples=["stopped after the current step"])


_COMMON = {"event_id", "task_id", "kind", "at"}


class _Event(BaseModel):
    """The fields of every event."""

    model_config = ConfigDict(frozen=True)

    event_id: Id = Field(description="Chosen once by the caller; an event with an id seen before changes nothing.")
    task_id: Id
    at: UtcMs = Field(description="When it happened, by the agent's clock.")

    def detail(self) -> str:
        """Its own fields, without those of every event, as JSON: what its task's history stores of it."""
        return self.model_dump_json(exclude=_COMMON, exclude_none=True)


class TaskCreated(_Event, NewTaskFields):
    """A task was created."""

    kind: Literal["task_created"] = "task_created"

    def step_ids(self) -> list[str]:
        """The ids of its steps in order: the caller's, and assigned ones where there is none."""
        offered = ((position, step.step_id) for position, step in enumerate(self.steps, 1))
        return [step_id or assigned_id(self.event_id, f"step/{position}") for position, step_id in offered]


class TaskStatusChanged(_Event, TaskStatusFields):
    """The agent reported its task's status. `running` reopens a task that had ended."""

    kind: Literal["task_status"] = "task_status"


class StepStatusChanged(_Event, StepStatusFields):
    """The agent reported the status of a step."""

    kind: Literal["step_status"] = "step_status"
    step_id: Id


class Planned(_Event, PlanFields):
    """The plan as a whole, as it is from now on: what it does not list leaves it."""

    kind: Literal["plan"] = "plan"


class StepAdded(_Event):
    """One more step: behind `after`, or else at the end."""

    kind: Literal["step_added"] = "step_added"
    step_id: Id
    title: Title
    after: Id | None = Field(default=None, description="The id of the step that it follows.")


class MetadataChanged(_Event, MetadataFields):
    """Pairs of the task's metadata were set or removed; or it is about something else than was known when it was created."""

    kind: Literal["metadata"] = "metadata"
    title: Title | None = Field(default=None, description="The task's title from now on.")

    def detail(self) -> str:
        """As of every event; a pair that is removed has to stay in it."""
        title = None if self.title is None else {"title": self.title}
        return json.dumps({"metadata": self.metadata, **(title or {})}, ensure_ascii=False, separators=(",", ":"))


class Linked(_Event, LinkFields):
    """The task got a link; the same address again gets its new name."""

    kind: Literal["link"] = "link"


class Heartbeat(_Event, HeartbeatFields):
    """The sidecar reported that the agent is alive, and on what evidence."""

    kind: Literal["heartbeat"] = "heartbeat"


class AgentLost(_Event):
    """The watched process ended without finishing its task, or the lease ran out."""

    kind: Literal["agent_lost"] = "agent_lost"
    summary: Summary | None = Field(default=None, description="Why it is considered lost.")


class InterruptRequested(_Event, InterruptFields):
    """A person requested a stop. It has a route of its own, and is never in a batch."""

    kind: Literal["interrupt_requested"] = "interrupt_requested"


class InterruptSeen(_Event):
    """The sidecar received the stop."""

    kind: Literal["interrupt_seen"] = "interrupt_seen"
    interrupt_id: Id


class InterruptDelivered(_Event):
    """The stop was delivered to the agent."""

    kind: Literal["interrupt_delivered"] = "interrupt_delivered"
    interrupt_id: Id
    summary: Summary | None = Field(default=None, description="How, such as what was held back.")


class InterruptAcknowledged(_Event, AcknowledgementFields):
    """The agent stopped at a safe boundary."""

    kind: Literal["interrupt_ack"] = "interrupt_ack"


class TaskClosed(_Event, ClosingFields):
    """A person ended the task, whose agent is gone. It has a route of its own, and is never in a batch."""

    kind: Literal["task_closed"] = "task_closed"


class AttentionAcknowledged(_Event, AttentionFields):
    """A person has seen that the task failed or was lost. It has a route of its own, and is never in a batch."""

    kind: Literal["attention_acknowledged"] = "attention_acknowledged"


BatchEvent = (
    TaskCreated
    | TaskStatusChanged
    | StepStatusChanged
    | Planned
    | StepAdded
    | MetadataChanged
    | Linked
    | Heartbeat
    | AgentLost
    | InterruptSeen
    | InterruptDelivered
    | InterruptAcknowledged
)
Event = BatchEvent | InterruptRequested | TaskClosed | AttentionAcknowledged


class EventKind(StrEnum):
    """Every kind of event that a task's history can hold."""

    TASK_CREATED = "task_created"
    TASK_STATUS = "task_status"
    STEP_STATUS = "step_status"
    PLAN = "plan"
    STEP_ADDED = "step_added"
    METADATA = "metadata"
    LINK = "link"
    HEARTBEAT = "heartbeat"
    AGENT_LOST = "agent_lost"
    INTERRUPT_REQUESTED = "interrupt_requested"
    INTERRUPT_SEEN = "interrupt_seen"
    INTERRUPT_DELIVERED = "interrupt_delivered"
    INTERRUPT_ACK = "interrupt_ack"
    TASK_CLOSED = "task_closed"
    ATTENTION_ACKNOWLEDGED = "attention_acknowledged"


OF_PEOPLE = frozenset({EventKind.INTERRUPT_REQUESTED, EventKind.TASK_CLOSED, EventKind.ATTENTION_ACKNOWLEDGED})
"""The kinds that have routes of their own and are never in a batch."""


batch_event: TypeAdapter[BatchEvent] = TypeAdapter(Annotated[BatchEvent, Field(discriminator="kind")])
"""Parses one event of a batch."""
