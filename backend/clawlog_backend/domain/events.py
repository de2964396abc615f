"""The events of the contract: what can happen to a task, as it is sent and as it is stored.

Both profiles end here. A plain route turns its body into one of these, and the batch route reads them directly; what an event
then does to a task is written once, in :mod:`clawlog_backend.domain.transitions`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field, StrictBool, TypeAdapter, field_validator

from clawlog_backend.domain.fields import (
    STEPS,
    Evidence,
    Id,
    InterruptMode,
    Metadata,
    Pid,
    ReportedStatus,
    StepStatus,
    Summary,
    Title,
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


class HeartbeatFields(BaseModel):
    """The fields of a heartbeat."""

    agent_seen_at: UtcMs = Field(description="The agent's own last sign of life, never the time of the heartbeat.")
    evidence: Evidence
    stalled: StrictBool = Field(default=False, description="The process runs, but has not reported for long.")
    summary: Summary | None = Field(default=None, examples=["writing the configuration"])
    pid: Pid | None = Field(default=None, description="The watched process, where that is the evidence.", examples=[4242])


class InterruptFields(BaseModel):
    """The fields of a stop request."""

    mode: InterruptMode = InterruptMode.SOFT_STOP
    reason: Summary | None = Field(default=None, examples=["Wrong host"])
    requested_by: Title | None = Field(default=None, examples=["Mu"])


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


class InterruptAcknowledged(_Event, AcknowledgementFields):
    """The agent stopped at a safe boundary."""

    kind: Literal["interrupt_ack"] = "interrupt_ack"


BatchEvent = (
    TaskCreated
    | TaskStatusChanged
    | StepStatusChanged
    | Heartbeat
    | AgentLost
    | InterruptSeen
    | InterruptDelivered
    | InterruptAcknowledged
)
Event = BatchEvent | InterruptRequested


class EventKind(StrEnum):
    """Every kind of event that a task's history can hold."""

    TASK_CREATED = "task_created"
    TASK_STATUS = "task_status"
    STEP_STATUS = "step_status"
    HEARTBEAT = "heartbeat"
    AGENT_LOST = "agent_lost"
    INTERRUPT_REQUESTED = "interrupt_requested"
    INTERRUPT_SEEN = "interrupt_seen"
    INTERRUPT_DELIVERED = "interrupt_delivered"
    INTERRUPT_ACK = "interrupt_ack"


batch_event: TypeAdapter[BatchEvent] = TypeAdapter(Annotated[BatchEvent, Field(discriminator="kind")])
"""Parses one event of a batch."""
