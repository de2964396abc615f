"""The plain profile: one route per kind of change to a task, and the reads that every client needs.

Every write becomes one of the events that the batch profile carries, with ``Idempotency-Key`` as its id. So a repeated write is
recognised in the same way, whichever profile it came through first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel, Field

from clawlog_backend.backend import Backend
from clawlog_backend.domain import views
from clawlog_backend.domain.events import (
    AcknowledgementFields,
    Event,
    EventKind,
    Heartbeat,
    HeartbeatFields,
    InterruptAcknowledged,
    InterruptFields,
    InterruptRequested,
    NewTaskFields,
    StepStatusChanged,
    StepStatusFields,
    TaskCreated,
    TaskStatusChanged,
    TaskStatusFields,
    assigned_id,
)
from clawlog_backend.domain.fields import TITLE_CHARS, Id, StepStatus, TaskStatus
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.http.bodies import JsonRoute
from clawlog_backend.http.dependencies import BackendDep
from clawlog_backend.http.problems import FieldError, Problem, error_responses
from clawlog_backend.storage import queries
from clawlog_backend.storage.unit_of_work import EventOutcome

router = APIRouter(prefix="/api/tasks", tags=["plain"], route_class=JsonRoute)

TaskId = Annotated[Id, Path(description="The task's id.")]
Key = Annotated[
    Id | None,
    Header(alias="Idempotency-Key", description="Makes a repeated request a no-op that gets the first one's answer."),
]
When = Annotated[UtcMs | None, Field(description="When it happened, by the agent's clock; now, if left out.")]

_READ = error_responses(401, 403, 404, 422, 429, 503)
_WRITE = error_responses(401, 403, 404, 409, 413, 415, 422, 429, 503)


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


class NewTaskStatus(TaskStatusFields):
    """A task's new status."""

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


class Accepted(BaseModel):
    """The answer to a write: the event that it became, and its task's status after it."""

    event_id: str
    task_id: str
    status: TaskStatus


@router.post("", status_code=201, responses=error_responses(401, 403, 409, 413, 415, 422, 429, 503))
async def create_task(body: NewTask, backend: BackendDep, key: Key = None) -> CreatedTask:
    """Create a task."""
    event_id = key or str(uuid4())
    task_id = body.task_id or assigned_id(event_id, "task")
    at = body.at or backend.clock()
    event = TaskCreated(event_id=event_id, task_id=task_id, at=at, **_fields(body, NewTaskFields))
    await _apply(backend, event)
    steps = [
        CreatedStep(step_id=step_id, position=position, title=step.title, status=StepStatus.PENDING)
        for position, (step_id, step) in enumerate(zip(event.step_ids(), event.steps, strict=True), 1)
    ]
    return CreatedTask(task_id=task_id, title=event.title, status=TaskStatus.PENDING, steps=steps)


@router.get("", response_model=views.TaskPage, responses=error_responses(401, 403, 422, 429, 503))
async def list_tasks(
    backend: BackendDep,
    status: Annotated[views.Filter, Query(description="`active`: not ended. `stopping`: a stop is open.")] = views.Filter.ALL,
    q: Annotated[str | None, Query(max_length=TITLE_CHARS, description="Text in the title, the summary or the id.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(pattern="^[0-9]{1,18}$", description="A page's `next_cursor`.")] = None,
) -> Response:
    """The tasks, the newest first, a page at a time, with the counts of all."""
    now = backend.clock()
    page = await backend.database.read(
        lambda connection: views.page_json.dump_json(
            queries.list_tasks(connection, now=now, which=status, text=q, limit=limit, cursor=cursor)
        )
    )
    return _json(page)


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


@router.patch("/{task_id}", responses=_WRITE)
async def update_task(task_id: TaskId, body: NewTaskStatus, backend: BackendDep, key: Key = None) -> Accepted:
    """Set a task's status. `running` reopens one that has ended."""
    return await _accept(backend, TaskStatusChanged, TaskStatusFields, body, task_id=task_id, at=body.at, key=key)


@router.patch("/{task_id}/steps/{step_id}", responses=_WRITE)
async def update_step(
    task_id: TaskId,
    step_id: Annotated[Id, Path(description="The step's id.")],
    body: NewStepStatus,
    backend: BackendDep,
    key: Key = None,
) -> Accepted:
    """Set a step's status."""
    return await _accept(
        backend, StepStatusChanged, StepStatusFields, body, task_id=task_id, at=body.at, key=key, step_id=step_id
    )


@router.post("/{task_id}/heartbeat", responses=_WRITE)
async def heartbeat(task_id: TaskId, body: NewHeartbeat, backend: BackendDep, key: Key = None) -> Accepted:
    """Report that the agent is alive, and on what evidence."""
    return await _accept(backend, Heartbeat, HeartbeatFields, body, task_id=task_id, at=body.at, key=key)


@router.get("/{task_id}/control", responses=_READ)
async def get_control(task_id: TaskId, backend: BackendDep) -> views.Control:
    """Whether a task's agent is to stop."""
    return await backend.database.read(lambda connection: queries.control(connection, task_id))


@router.post(
    "/{task_id}/interrupt",
    status_code=201,
    responses={200: {"model": views.StopView, "description": "A stop is open already: this one."}, **_WRITE},
)
async def interrupt(
    task_id: TaskId, body: InterruptFields, backend: BackendDep, response: Response, key: Key = None
) -> views.StopView:
    """Request a stop. While one is open (requested and not acknowledged), another request is answered with that one."""
    event_id = key or str(uuid4())
    event = InterruptRequested(event_id=event_id, task_id=task_id, at=backend.clock(), **_fields(body, InterruptFields))
    outcome = await _apply(backend, event)
    interrupt_id = outcome.interrupt_id or ""
    if interrupt_id != assigned_id(event_id, "interrupt"):
        response.status_code = 200
    return await backend.database.read(lambda connection: queries.stop(connection, interrupt_id))


@router.post("/{task_id}/interrupt/ack", responses=_WRITE)
async def acknowledge(task_id: TaskId, body: Acknowledgement, backend: BackendDep, key: Key = None) -> Accepted:
    """Acknowledge that the agent stopped at a safe boundary."""
    return await _accept(backend, InterruptAcknowledged, AcknowledgementFields, body, task_id=task_id, at=body.at, key=key)


async def _accept(
    backend: Backend,
    kind: Callable[..., Event],
    shape: type[BaseModel],
    body: BaseModel,
    *,
    task_id: str,
    at: UtcMs | None,
    key: str | None,
    **named: str,
) -> Accepted:
    event_id, at = key or str(uuid4()), at or backend.clock()
    outcome = await _apply(backend, kind(event_id=event_id, task_id=task_id, at=at, **named, **_fields(body, shape)))
    assert outcome.task_status is not None  # noqa: S101 - every event that was not rejected has one
    return Accepted(event_id=event_id, task_id=task_id, status=outcome.task_status)


async def _apply(backend: Backend, event: Event) -> EventOutcome:
    (outcome,) = await backend.writer.submit([event])
    if outcome.error is not None:
        raise outcome.error
    if not outcome.same:
        message = "this key was used before, with another request: mint a new one for each event"
        raise Problem(
            422, "key_reused", f"Idempotency-Key: {message}", errors=[FieldError(field="Idempotency-Key", message=message)]
        )
    return outcome


def _fields(body: BaseModel, shape: type[BaseModel]) -> dict[str, Any]:
    return {name: getattr(body, name) for name in shape.model_fields}


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")
