"""The plain profile: one route per kind of change to a task, and the reads that every client needs.

Every write becomes one of the events that the batch profile carries, with ``Idempotency-Key`` as its id. So a repeated write is
recognised in the same way, whichever profile it came through first.
"""

from __future__ import annotations

from typing import Annotated, Self
from uuid import uuid4

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from clawlog_backend.domain import views
from clawlog_backend.domain.events import (
    AcknowledgementFields,
    EventKind,
    Heartbeat,
    HeartbeatFields,
    InterruptAcknowledged,
    InterruptFields,
    InterruptRequested,
    Linked,
    LinkFields,
    MetadataChanged,
    MetadataFields,
    NewTaskFields,
    PlanFields,
    Planned,
    StepStatusChanged,
    StepStatusFields,
    TaskCreated,
    TaskStatusChanged,
    TaskStatusFields,
    assigned_id,
)
from clawlog_backend.domain.fields import ChangedMetadata, Id, ReportedStatus, StepStatus, Summary, TaskStatus
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.http.bodies import JsonRoute
from clawlog_backend.http.dependencies import BackendDep
from clawlog_backend.http.problems import error_responses
from clawlog_backend.http.routes.writing import WRITE_ERRORS, Accepted, Key, TaskId, When, accept, apply, fields_of
from clawlog_backend.storage import queries

router = APIRouter(prefix="/api/tasks", tags=["plain"], route_class=JsonRoute)

_READ = error_responses(401, 403, 404, 422, 429, 503)


class NewTask(NewTaskFields):
    """A task to create."""

    task_id: Id | None = Field(default=None, description="Taken as it is; assigned if left out.")
    at: When = None


class CreatedStep(BaseModel):
    """A step of a task that was just created."""

    step_id: str
    position: int
    title: str
    status: StepStatus


class CreatedTask(BaseModel):
    """The answer to a new task."""

    task_id: str
    title: str
    status: TaskStatus
    steps: list[CreatedStep]


class ChangedTask(BaseModel):
    """A task's new status, the pairs of its metadata that change, or both."""

    status: ReportedStatus | None = None
    summary: Summary | None = Field(default=None, description="Goes with a status.", examples=["nginx.conf generated"])
    metadata: ChangedMetadata | None = Field(default=None, description="`null` removes a pair.")
    at: When = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.status is None and (self.metadata is None or self.summary is not None):
            raise PydanticCustomError("missing_status", "name a status, or metadata to change; a summary goes with a status")
        return self


class NewPlan(PlanFields):
    """A task's whole plan from now on, in order."""

    at: When = None


class NewLink(LinkFields):
    """Something to look at beside a task."""

    at: When = None


class NewStepStatus(StepStatusFields):
    """A step's new status."""

    at: When = None


class NewHeartbeat(HeartbeatFields):
    """The sidecar has evidence that the agent is alive."""

    at: UtcMs


class Acknowledgement(AcknowledgementFields):
    """The agent stopped."""

    at: When = None


@router.post("", status_code=201, responses=error_responses(401, 403, 409, 413, 415, 422, 429, 503))
async def create_task(body: NewTask, backend: BackendDep, key: Key = None) -> CreatedTask:
    """Create a task."""
    event_id = key or str(uuid4())
    task_id = body.task_id or assigned_id(event_id, "task")
    at = body.at or backend.clock()
    event = TaskCreated(event_id=event_id, task_id=task_id, at=at, **fields_of(body, NewTaskFields))
    await apply(backend, event)
    steps = [
        CreatedStep(step_id=step_id, position=position, title=step.title, status=StepStatus.PENDING)
        for position, (step_id, step) in enumerate(zip(event.step_ids(), event.steps, strict=True), 1)
    ]
    return CreatedTask(task_id=task_id, title=event.title, status=TaskStatus.PENDING, steps=steps)


@router.get("/{task_id}", response_model=views.TaskDetail, responses=_READ)
async def get_task(task_id: TaskId, backend: BackendDep) -> Response:
    """One task with its steps, liveness, the receipts of its stop, and its newest events."""
    now = backend.clock()
    return _json(
        await backend.database.read(
            lambda connection: views.detail_json.dump_json(queries.task_detail(connection, task_id, now=now))
        )
    )


@router.get("/{task_id}/events", response_model=views.EventPage, responses=_READ)
async def get_events(
    task_id: TaskId,
    backend: BackendDep,
    before: Annotated[int | None, Query(ge=1, le=2**62, description="Only events with a smaller `seq`.")] = None,
    kind: Annotated[list[EventKind] | None, Query(description="Only events of these kinds.")] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = queries.RECENT_EVENTS,
) -> Response:
    """A part of a task's history, the newest last."""
    return _json(
        await backend.database.read(
            lambda connection: views.events_json.dump_json(
                queries.task_events(connection, task_id, before=before, kinds=kind or (), limit=limit)
            )
        )
    )


@router.patch("/{task_id}", responses=WRITE_ERRORS)
async def update_task(task_id: TaskId, body: ChangedTask, backend: BackendDep, key: Key = None) -> Accepted:
    """Set a task's status, change its metadata, or both. `running` reopens one that has ended."""
    key = key or str(uuid4())
    answer = None
    if body.metadata is not None:  # first, so that pairs that do not fit refuse the request before anything changed
        its_key = key if body.status is None else assigned_id(key, "metadata")
        answer = await accept(backend, MetadataChanged, MetadataFields, body, task_id=task_id, at=body.at, key=its_key)
    if body.status is not None:
        answer = await accept(backend, TaskStatusChanged, TaskStatusFields, body, task_id=task_id, at=body.at, key=key)
    assert answer is not None  # noqa: S101 - the body has one or the other
    return answer


@router.put("/{task_id}/steps", responses=WRITE_ERRORS)
async def plan(task_id: TaskId, body: NewPlan, backend: BackendDep, key: Key = None) -> Accepted:
    """Make this the whole plan, in this order. Steps are known by their ids; those that it does not list leave the plan."""
    return await accept(backend, Planned, PlanFields, body, task_id=task_id, at=body.at, key=key)


@router.post("/{task_id}/links", responses=WRITE_ERRORS)
async def link(task_id: TaskId, body: NewLink, backend: BackendDep, key: Key = None) -> Accepted:
    """Add something to look at, such as a pull request or a log. The same address again gets its new name."""
    return await accept(backend, Linked, LinkFields, body, task_id=task_id, at=body.at, key=key)


@router.patch("/{task_id}/steps/{step_id}", responses=WRITE_ERRORS)
async def update_step(
    task_id: TaskId,
    step_id: Annotated[Id, Path(description="The step's id.")],
    body: NewStepStatus,
    backend: BackendDep,
    key: Key = None,
) -> Accepted:
    """Set a step's status."""
    return await accept(
        backend, StepStatusChanged, StepStatusFields, body, task_id=task_id, at=body.at, key=key, step_id=step_id
    )


@router.post("/{task_id}/heartbeat", responses=WRITE_ERRORS)
async def heartbeat(task_id: TaskId, body: NewHeartbeat, backend: BackendDep, key: Key = None) -> Accepted:
    """Report that the agent is alive, and on what evidence."""
    return await accept(backend, Heartbeat, HeartbeatFields, body, task_id=task_id, at=body.at, key=key)


@router.get("/{task_id}/control", responses=_READ)
async def get_control(task_id: TaskId, backend: BackendDep) -> views.Control:
    """Whether a task's agent is to stop, and whether a person closed the task."""
    return await backend.database.read(lambda connection: queries.control(connection, task_id))


@router.post(
    "/{task_id}/interrupt",
    status_code=201,
    responses={200: {"model": views.StopView, "description": "A stop is open already: this one."}, **WRITE_ERRORS},
)
async def interrupt(
    task_id: TaskId, body: InterruptFields, backend: BackendDep, response: Response, key: Key = None
) -> views.StopView:
    """Request a stop. While one is open (requested and not acknowledged), another request is answered with that one."""
    event_id = key or str(uuid4())
    event = InterruptRequested(event_id=event_id, task_id=task_id, at=backend.clock(), **fields_of(body, InterruptFields))
    outcome = await apply(backend, event)
    interrupt_id = outcome.interrupt_id or ""
    if interrupt_id != assigned_id(event_id, "interrupt"):
        response.status_code = 200
    return await backend.database.read(lambda connection: queries.stop(connection, interrupt_id))


@router.post("/{task_id}/interrupt/ack", responses=WRITE_ERRORS)
async def acknowledge(task_id: TaskId, body: Acknowledgement, backend: BackendDep, key: Key = None) -> Accepted:
    """Acknowledge that the agent stopped at a safe boundary."""
    return await accept(backend, InterruptAcknowledged, AcknowledgementFields, body, task_id=task_id, at=body.at, key=key)


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")
