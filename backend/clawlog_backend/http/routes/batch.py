"""The batch profile: many events in one request (its poll for stops is :mod:`clawlog_backend.http.routes.polls`)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from clawlog_backend.domain.events import BatchEvent, batch_event
from clawlog_backend.domain.fields import BATCH_EVENTS
from clawlog_backend.http.bodies import body_of, parse_json, read_body, require_json
from clawlog_backend.http.dependencies import BackendDep
from clawlog_backend.http.problems import error_responses, field_errors, invalid, summarise, too_large
from clawlog_backend.storage.unit_of_work import EventOutcome, EventStatus

router = APIRouter(prefix="/api", tags=["batch"])


class EventBatch(BaseModel):
    """Events of any tasks; those of one task in the order in which they happened."""

    events: Annotated[list[BatchEvent], Field(max_length=BATCH_EVENTS)]


class EventResult(BaseModel):
    """The result of one event."""

    event_id: str | None = Field(description="`null` where the event had none that could be read.")
    status: EventStatus
    code: str | None = Field(default=None, description="Of a rejected event: why, for programs.", examples=["unknown_task"])
    detail: str | None = Field(default=None, description="Of a rejected event: why, for people.")


class BatchResult(BaseModel):
    """One result per event, in order."""

    results: list[EventResult]


_results: TypeAdapter[BatchResult] = TypeAdapter(BatchResult)


@router.post(
    "/events",
    response_model=BatchResult,
    responses=error_responses(401, 403, 413, 415, 422, 429, 503),
    openapi_extra=body_of(EventBatch),
)
async def post_events(request: Request, backend: BackendDep) -> Response:
    """Take up to 1,000 events. One that does not fit is rejected by itself; its neighbours are applied."""
    require_json(request.headers)
    offered = _events_in(parse_json(await read_body(request)))
    parsed = [_parse(event) for event in offered]
    outcomes = iter(await backend.writer.submit([event for event in parsed if not isinstance(event, EventResult)]))
    results = [event if isinstance(event, EventResult) else _result(next(outcomes)) for event in parsed]
    return Response(_results.dump_json(BatchResult(results=results), exclude_defaults=True), media_type="application/json")


def _events_in(body: Any) -> list[Any]:
    if not isinstance(body, dict) or not isinstance(body.get("events"), list):
        raise invalid("events", "expected an object with a list of events")
    events: list[Any] = body["events"]
    if len(events) > BATCH_EVENTS:
        raise too_large(f"A batch holds at most {BATCH_EVENTS} events, this one has {len(events)}: send them in several.")
    return events


def _parse(offered: Any) -> BatchEvent | EventResult:
    try:
        return batch_event.validate_python(offered)
    except ValidationError as error:
        event_id = offered.get("event_id") if isinstance(offered, dict) else None
        detail = summarise(field_errors([_without_tag(found) for found in error.errors(include_url=False)]))
        return EventResult(
            event_id=event_id if isinstance(event_id, str) else None,
            status=EventStatus.REJECTED,
            code="invalid",
            detail=detail,
        )


def _without_tag(found: ErrorDetails) -> ErrorDetails:
    # Pydantic names the kind first, which is not a place in what the caller sent.
    found["loc"] = found["loc"][1:] or (("kind",) if found["type"].startswith("union_tag") else ())
    return found


def _result(outcome: EventOutcome) -> EventResult:
    error = outcome.error
    if error is None:
        return EventResult(event_id=outcome.event_id, status=outcome.status)
    return EventResult(event_id=outcome.event_id, status=outcome.status, code=error.code, detail=str(error))
