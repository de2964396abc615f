"""The standard contract's routes: what is sent where, for each event, beat and question. Nothing is sent here.

The batch profile has one route for all events and beats, and one for many tasks' control states. The plain profile has a route
for each kind of event; what a kind says of a task is in its body. A contract of another shape is another module like this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from clawlogd.model import Beat, Event, EventKind

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request to a backend, not sent yet.

    Attributes:
        method: The HTTP method.
        path: The path, with each id quoted.
        body: The JSON body; None for a request without one.
        key: The ``Idempotency-Key``: the event's id.
        query: Names and values behind the path, not quoted yet.
        from_origin: Whether the path begins at the server's root, and not at the ``base_url``.
        route: What all requests of one kind have in common: the template of the path.
    """

    method: str
    path: str
    body: bytes | None = None
    key: str | None = None
    query: tuple[tuple[str, str], ...] = ()
    from_origin: bool = False
    route: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


# ── Batch profile ──────────────────────────────────────────────────────────────────────────────────────────────────


def batch(records: Sequence[bytes]) -> HttpRequest:
    """Events and beats in one request; they are JSON objects already."""
    return HttpRequest("POST", "/api/events", b'{"events":[' + b",".join(records) + b"]}")


def poll(task_ids: Sequence[str], cursor: str | None, wait_s: float) -> HttpRequest:
    """What changed about many tasks' control states since a cursor; the server may hold its answer for ``wait_s``."""
    body: dict[str, object] = {"task_ids": list(task_ids), "wait_s": wait_s}
    if cursor is not None:
        body["cursor"] = cursor
    return HttpRequest("POST", "/api/control/poll", _encode(body))


# ── Plain profile ──────────────────────────────────────────────────────────────────────────────────────────────────


def single(event: Event, task_id: str, step_id: str | None) -> HttpRequest | None:
    """One event by its own route; None for a kind that the plain profile has no route for.

    Args:
        event: What happened.
        task_id: The task's id, as the backend knows it.
        step_id: The step's id, as the backend knows it.
    """
    path_of_task = _task(task_id)
    common: dict[str, object] = {k: v for k, v in (("summary", event.summary), ("at", event.at)) if v is not None}
    body: dict[str, object]
    match event.kind:
        case EventKind.TASK_CREATED:
            method, path = "POST", "/api/tasks"
            steps = [{"step_id": step.step_id, "title": step.title} for step in event.steps or ()]
            given = (("summary", event.summary), ("metadata", event.metadata), ("parent_task_id", event.parent_task_id))
            extra = {k: v for k, v in given if v}
            body = {"task_id": event.task_id, "title": event.title, "steps": steps, **extra}
        case EventKind.TASK_STATUS:
            method, path = "PATCH", path_of_task
            body = {"status": event.status, **common}
        case EventKind.STEP_STATUS:
            method, path = "PATCH", f"{path_of_task}/steps/{_segment(step_id or event.step_id or '')}"
            body = {"status": event.status, **({"progress": event.progress} if event.progress else {}), **common}
        case EventKind.PLAN:
            method, path = "PUT", f"{path_of_task}/steps"
            body = {"steps": event.steps or (), **common}
        case EventKind.METADATA:
            method, path = "PATCH", path_of_task
            body = {"metadata": event.metadata, **common}
        case EventKind.LINK:
            method, path = "POST", f"{path_of_task}/links"
            body = {**({"name": event.name} if event.name else {}), "url": event.url}
        case EventKind.INTERRUPT_ACK:
            method, path = "POST", f"{path_of_task}/interrupt/ack"
            body = {**({"interrupt_id": event.interrupt_id} if event.interrupt_id else {}), **common}
        case _:
            return None
    return HttpRequest(method, path, _encode(body), event.event_id)


def heartbeat(beat: Beat, task_id: str) -> HttpRequest:
    """One heartbeat by its own route, which names the task."""
    body = msgspec.structs.asdict(beat)
    del body["task_id"]
    content = {key: value for key, value in body.items() if value is not None}
    return HttpRequest("POST", f"{_task(task_id)}/heartbeat", _encode(content))


def task(task_id: str) -> HttpRequest:
    """One task, to see whether the backend has it."""
    return HttpRequest("GET", _task(task_id))


def tasks() -> HttpRequest:
    """The newest of the backend's tasks: whether it has any."""
    return HttpRequest("GET", "/api/tasks?limit=1")


def control(task_id: str) -> HttpRequest:
    """One task's control state."""
    return HttpRequest("GET", f"{_task(task_id)}/control")


def _task(task_id: str) -> str:
    return f"/api/tasks/{_segment(task_id)}"


def _segment(text: str) -> str:
    return quote(text, safe="")
