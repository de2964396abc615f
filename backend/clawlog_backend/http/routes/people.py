"""What people do with tasks beside stopping one: put away what failed or whose agent is gone, and act on many at once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self
from uuid import uuid4

from fastapi import APIRouter
from pydantic import BaseModel, Field, model_validator

from clawlog_backend.domain.events import (
    AttentionAcknowledged,
    AttentionFields,
    ClosingFields,
    Event,
    InterruptRequested,
    TaskClosed,
    assigned_id,
)
from clawlog_backend.domain.fields import ACTION_TASKS, ClosedStatus, Id, Summary, TaskStatus, Title
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.http.bodies import JsonRoute
from clawlog_backend.http.dependencies import BackendDep
from clawlog_backend.http.problems import error_responses
from clawlog_backend.http.routes.lists import TaskFilter
from clawlog_backend.http.routes.writing import REUSED, WRITE_ERRORS, Accepted, Key, TaskId, accept
from clawlog_backend.storage import task_list
from clawlog_backend.storage.unit_of_work import EventOutcome, EventStatus

router = APIRouter(prefix="/api", tags=["people"], route_class=JsonRoute)


class Action(StrEnum):
    """What people can do to many tasks at once."""

    STOP = "stop"
    CLOSE = "close"
    ACKNOWLEDGE = "acknowledge"


class ActionOnMany(BaseModel):
    """What to do, to which tasks, and why."""

    action: Action
    task_ids: Annotated[list[Id], Field(min_length=1, max_length=ACTION_TASKS)] | None = None
    filter: TaskFilter | None = Field(default=None, description="As the list's query: every task that it would show.")
    status: ClosedStatus = Field(default=ClosedStatus.FAILED, description="Of tasks that are closed.")
    reason: Summary | None = Field(default=None, examples=["the machine was replaced"])
    by: Title | None = Field(default=None, examples=["Mu"])

    @model_validator(mode="after")
    def _names_tasks_in_one_way(self) -> Self:
        if (self.task_ids is None) == (self.filter is None):
            raise ValueError("name the tasks by task_ids or by filter: exactly one of them")
        if self.filter is not None and not self.filter.model_fields_set:
            raise ValueError("an empty filter means every task: say so with status 'all'")
        return self

    def event(self, event_id: str, task_id: str, at: UtcMs) -> Event:
        """What one of the tasks gets."""
        match self.action:
            case Action.STOP:
                return InterruptRequested(event_id=event_id, task_id=task_id, at=at, reason=self.reason, requested_by=self.by)
            case Action.CLOSE:
                return TaskClosed(
                    event_id=event_id, task_id=task_id, at=at, status=self.status, summary=self.reason, by=self.by
                )
        return AttentionAcknowledged(event_id=event_id, task_id=task_id, at=at, by=self.by)


class ActionResult(BaseModel):
    """The result for one task."""

    task_id: str
    status: EventStatus
    task_status: TaskStatus | None = None
    code: str | None = Field(default=None, description="Of what was rejected: why, for programs.", examples=["agent_alive"])
    detail: str | None = Field(default=None, description="Of what was rejected: why, for people.")


class ActionResults(BaseModel):
    """One result per task. `more`: the filter matches further tasks; ask again."""

    results: list[ActionResult]
    more: bool = False


@router.post("/tasks/{task_id}/close", responses=WRITE_ERRORS)
async def close(task_id: TaskId, body: ClosingFields, backend: BackendDep, key: Key = None) -> Accepted:
    """End a task whose agent is gone. 409 `agent_alive` while it is vouched for. Its agent's next command reopens it."""
    return await accept(backend, TaskClosed, ClosingFields, body, task_id=task_id, at=None, key=key)


@router.post("/tasks/{task_id}/acknowledge", responses=WRITE_ERRORS)
async def acknowledge_attention(task_id: TaskId, body: AttentionFields, backend: BackendDep, key: Key = None) -> Accepted:
    """Say that somebody has seen that a task failed or was lost. One that waits needs an answer instead (409)."""
    return await accept(backend, AttentionAcknowledged, AttentionFields, body, task_id=task_id, at=None, key=key)


@router.post("/actions", responses=error_responses(401, 403, 413, 415, 422, 429, 503), response_model_exclude_none=True)
async def act(body: ActionOnMany, backend: BackendDep, key: Key = None) -> ActionResults:
    """Stop, close or acknowledge up to 1,000 tasks. Those that cannot be are named, and the others are not affected."""
    at, more = backend.clock(), False
    if body.filter is not None:
        query = body.filter.query()
        if query.text is not None:
            await backend.search.catch_up()
        task_ids = await backend.database.read(
            lambda connection: task_list.task_ids(connection, query, now=at, limit=ACTION_TASKS + 1)
        )
        more, task_ids = len(task_ids) > ACTION_TASKS, task_ids[:ACTION_TASKS]
    else:
        task_ids = list(dict.fromkeys(body.task_ids or ()))
    key = key or str(uuid4())
    events = [body.event(assigned_id(key, f"{body.action}/{task_id}"), task_id, at) for task_id in task_ids]
    outcomes = await backend.writer.submit(events)
    return ActionResults(results=list(map(_result, task_ids, outcomes)), more=more)


def _result(task_id: str, outcome: EventOutcome) -> ActionResult:
    if not outcome.same:
        return ActionResult(
            task_id=task_id, status=EventStatus.REJECTED, code="key_reused", detail=f"Idempotency-Key: {REUSED}"
        )
    error = outcome.error
    if error is not None:
        return ActionResult(task_id=task_id, status=outcome.status, code=error.code, detail=str(error))
    return ActionResult(task_id=task_id, status=outcome.status, task_status=outcome.task_status)
