"""What every route that changes a task has in common: its path, its key, and how its body becomes an event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Header, Path
from pydantic import BaseModel, Field

from clawlog_backend.backend import Backend
from clawlog_backend.domain.events import Event
from clawlog_backend.domain.fields import Id, TaskStatus
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.http.problems import FieldError, Problem, error_responses
from clawlog_backend.storage.unit_of_work import EventOutcome

TaskId = Annotated[Id, Path(description="The task's id.")]
Key = Annotated[
    Id | None,
    Header(alias="Idempotency-Key", description="Makes a repeated request a no-op that gets the first one's answer."),
]
When = Annotated[UtcMs | None, Field(description="When it happened, by the agent's clock; now, if left out.")]

WRITE_ERRORS = error_responses(401, 403, 404, 409, 413, 415, 422, 429, 503)
REUSED = "this key was used before, with another request: mint a new one for each event"


class Accepted(BaseModel):
    """The answer to a write: the event that it became, and its task's status after it."""

    event_id: str
    task_id: str
    status: TaskStatus


async def accept(
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
    """Apply the event that a request becomes.

    Args:
        backend: What applies it.
        kind: Makes the event.
        shape: The fields that the event takes from the body.
        body: What was sent.
        task_id: Its task.
        at: When it happened; now, where that was not said.
        key: The request's ``Idempotency-Key``.
        **named: Further fields of the event.

    Raises:
        DomainError: It was rejected.
        Problem: The key was used for another request.
    """
    event_id, at = key or str(uuid4()), at or backend.clock()
    event = kind(event_id=event_id, task_id=task_id, at=at, **named, **fields_of(body, shape))
    outcome = await apply(backend, event)
    assert outcome.task_status is not None  # noqa: S101 - every event that was not rejected has one
    return Accepted(event_id=event_id, task_id=task_id, status=outcome.task_status)


async def apply(backend: Backend, event: Event) -> EventOutcome:
    """Apply one event.

    Raises:
        DomainError: It was rejected.
        Problem: Its id was used for another event.
    """
    (outcome,) = await backend.writer.submit([event])
    if outcome.error is not None:
        raise outcome.error
    if not outcome.same:
        raise Problem(
            422, "key_reused", f"Idempotency-Key: {REUSED}", errors=[FieldError(field="Idempotency-Key", message=REUSED)]
        )
    return outcome


def fields_of(body: BaseModel, shape: type[BaseModel]) -> dict[str, Any]:
    """The part of a body that has this shape, by its fields' names."""
    return {name: getattr(body, name) for name in shape.model_fields}
