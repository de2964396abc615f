"""The events of the contract: what can happen to a task, as it comes over the wire and as it is kept.

Both profiles end here. A plain route turns its body into one of these, and the batch route reads them directly; what an event
then does to a task is written once, in :mod:`clawlog_backend.domain.transitions`.
"""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field, StrictBool, TypeAdapter, field_validator

from clawlog_backend.domain.fields import (
    STEPS,
    Evidence,
    Id,
    Metadata,
    Pid,
    ReportedStatus,
    StepStatus,
    StopMode,
    Summary,
    Title,
)
from clawlog_backend.domain.times import UtcMs

# Ids that the backend has to assign are derived from the event's own: a repeated request gets the same ids without a look-up.
_ASSIGNED = UUID("8d6a6d5e-6f0b-4c0e-9a53-5b1b6f1d7c11")


def assigned_id(event_id: str, part: str) -> str:
    """The id that this backend gives to ``part`` of an event that came without one."""
    return str(uuid5(_ASSIGNED, f"{event_id}/{part}"))


class NewStep(BaseModel):
    """A step as it is offered with a new task."""

    model_config = ConfigDict(frozen=True)

    title: Title
    step_id: Id | None = None


class NewTaskFields(BaseModel):
    """What describes a new task."""

    title: Title = Field(examples=["Deploy the web server"])
    steps: Annotated[tuple[NewStep, ...], Field(max_length=STEPS)] = Field(
        default=(), examples=[[{"title": "Check"}, {"title": "Write the configuration"}, {"title": "Start"}]]
    )
    summary: Summary | None = None
    metadata: Metadata = Field(default_factory=dict, examples=[{"host": "build-7"}])

    @field_validator("steps")
    @classmethod
    def _steps_are_told_apart(cls, steps: tuple[NewStep, ...]) -> tuple[NewStep, ...]:
        ids = [step.step_id for step in steps if step.step_id is not None]
        if len(ids) != len(set(ids)):
            raise ValueError("two steps have the same step_id")
        return steps


class TaskStatusFields(BaseModel):
    """Where a task stands."""

    status: ReportedStatus
    summary: Summary | None = Field(default=None, examples=["nginx.conf generated and validated"])


class StepStatusFields(BaseModel):
    """Where a step stands."""

    status: StepStatus
    summary: Summary | None = Field(default=None, examples=["nginx.conf generated and validated"])


class HeartbeatFields(BaseModel):
    """That somebody vouches for an agent."""

    agent_seen_at: UtcMs = Field(description="The agent's own last sign, never the sidecar's clock tick.")
    evidence: Evidence
    stalled: StrictBool = Field(default=False, description="The process runs, but has said nothing for long.")
    summary: Summary | None = Field(default=None, examples=["writing the configuration"])
    pid: Pid | None = Field(default=None, description="The watched process, where that is the evidence.", examples=[4242])


class StopFields(BaseModel):
    """That a person wants a stop."""

    mode: StopMode = StopMode.SOFT_STOP
    reason: Summary | None = Field(default=None, examples=["Wrong host"])
    requested_by: Title | None = Field(default=None, examples=["Mu"])


class AcknowledgementFields(BaseModel):
    """That an agent stopped."""

    interrupt_id: Id | None = Field(default=None, description="The stop that it answers; the open one, if left out.")
    summary: Summary | None = Field(default=None, examples=["stopped after the current step"])


_COMMON = {"event_id", "task_id", "kind", "at"}


class _Event(BaseModel):
    """What every event has."""

    model_config = ConfigDict(frozen=True)

    event_id: Id = Field(description="Minted once by the caller; an id seen before changes nothing.")
    task_id: Id
    at: UtcMs = Field(description="When it happened, by the agent's clock.")

    def detail(self) -> str:
        """The fields beside the common ones, as JSON: what is kept of it in its task's history."""
        return self.model_dump_json(exclude=_COMMON, exclude_none=True)


class TaskCreated(_Event, NewTaskFields):
    """A task begins."""

    kind: Literal["task_created"] = "task_created"

    def step_ids(self) -> list[str]:
        """The ids of its steps in order: those offered, and assigned ones where none was."""
        offered = ((position, step.step_id) for position, step in enumerate(self.steps, 1))
        return [step_id or assigned_id(self.event_id, f"step/{position}") for position, step_id in offered]


class TaskStatusChanged(_Event, TaskStatusFields):
    """The agent says where its task stands. ``running`` reopens a task that had ended."""

    kind: Literal["task_status"] = "task_status"


class StepStatusChanged(_Event, StepStatusFields):
    """The agent says where one step stands."""

    kind: Literal["step_status"] = "step_status"
    step_id: Id


class Heartbeat(_Event, HeartbeatFields):
    """The sidecar vouches for the agent, and says on what evidence."""

    kind: Literal["heartbeat"] = "heartbeat"


class AgentLost(_Event):
    """The watched process ended without finishing its task, or the lease ran out."""

    kind: Literal["agent_lost"] = "agent_lost"
    summary: Summary | None = Field(default=None, description="Why it is taken for lost.")


class InterruptRequested(_Event, StopFields):
    """A person asks for a stop. Comes by its own route only, never in a batch."""

    kind: Literal["interrupt_requested"] = "interrupt_requested"


class InterruptSeen(_Event):
    """The sidecar knows of the stop."""

    kind: Literal["interrupt_seen"] = "interrupt_seen"
    interrupt_id: Id


class InterruptDelivered(_Event):
    """The agent was told of the stop."""

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
"""Reads one event of a batch."""
