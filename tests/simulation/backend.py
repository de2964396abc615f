"""A backend: the embedded backend's own domain code over plain dictionaries, answering one request at a time.

Only what the daemon calls is here. Requests are in effect once, by their event's id, as the contract says. Nothing is on disk:
a restart keeps all, and a restore goes back to a copy.
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from clawlog_backend.domain import transitions
from clawlog_backend.domain.errors import Conflict, DomainError, NotFound, UnknownTask
from clawlog_backend.domain.events import (
    OF_PEOPLE,
    Event,
    EventKind,
    Heartbeat,
    InterruptAcknowledged,
    InterruptRequested,
    Linked,
    MetadataChanged,
    Planned,
    StepStatusChanged,
    TaskCreated,
    TaskStatusChanged,
    assigned_id,
    batch_event,
)
from clawlog_backend.domain.fields import ReportedStatus
from clawlog_backend.domain.state import TaskState
from clawlog_backend.domain.times import UtcMs

Reply = tuple[int, bytes]
"""A status and a body."""

_ROUTES = (
    ("PATCH", re.compile(r"/api/tasks/([^/]+)/steps/([^/]+)"), StepStatusChanged),
    ("POST", re.compile(r"/api/tasks/([^/]+)/heartbeat"), Heartbeat),
    ("PUT", re.compile(r"/api/tasks/([^/]+)/steps"), Planned),
    ("POST", re.compile(r"/api/tasks/([^/]+)/links"), Linked),
    ("POST", re.compile(r"/api/tasks/([^/]+)/interrupt/ack"), InterruptAcknowledged),
)
_TASK = re.compile(r"/api/tasks/([^/]+)")
_CONTROL = re.compile(r"/api/tasks/([^/]+)/control")
_DOCUMENT = json.dumps(
    {
        "openapi": "3.1.0",
        "info": {"title": "ClawLog", "version": "1"},
        "paths": {
            "/api/tasks": {"post": {}},
            "/api/tasks/{task_id}": {"patch": {}},
            "/api/tasks/{task_id}/steps": {"put": {}},
            "/api/tasks/{task_id}/steps/{step_id}": {"patch": {}},
            "/api/tasks/{task_id}/links": {"post": {}},
        },
        "x-clawlog": {
            "server": "clawlog-status-sync",
            "kinds": [kind.value for kind in EventKind if kind not in OF_PEOPLE],
            "statuses": [status.value for status in ReportedStatus],
            "members": {"metadata": ["title"]},
            "task_page": "/tasks/{task_id}",
        },
    }
).encode()
_adapters: dict[type[Any], TypeAdapter[Any]] = {}


@dataclass
class Held:
    """Everything that a backend keeps.

    Attributes:
        tasks: The tasks, by their ids.
        applied: Of each event that was applied its task and its detail, by its id.
        history: The events that were applied, in order.
        controls: The number of the last event that changed a task's control, by the task's id.
    """

    tasks: dict[str, TaskState] = field(default_factory=dict)
    applied: dict[str, tuple[str, str]] = field(default_factory=dict)
    history: list[Event] = field(default_factory=list)
    controls: dict[str, int] = field(default_factory=dict)


class Backend:
    """One backend.

    Args:
        url: Its address.
        has_batch: Whether it has the batch routes.
        clock: Milliseconds since 1970.
        heard: Called with each event that is applied.

    Attributes:
        held: What it keeps.
        restored: How often it was put back to a copy.
    """

    knows_keys = True

    def __init__(self, url: str, *, has_batch: bool, clock: Callable[[], int], heard: Callable[[Event], None]) -> None:
        self.url = url
        self.has_batch = has_batch
        self.held = Held()
        self.restored = 0
        self._clock = clock
        self._heard = heard
        self._copy: Held | None = None
        self._waiters: dict[asyncio.Future[None], frozenset[str]] = {}

    # ── What operators do ──────────────────────────────────────────────────────────────────────────────────────────

    def back_up(self) -> None:
        """Keeps a copy."""
        self._copy = copy.deepcopy(self.held)

    def restore(self) -> None:
        """Puts everything back to the copy, or to nothing."""
        self.held = self._copy or Held()
        self._copy = copy.deepcopy(self.held)
        self.restored += 1
        self.hang_up()

    def hang_up(self) -> None:
        """Ends the requests that are held."""
        for waiter in list(self._waiters):
            if not waiter.done():
                waiter.set_result(None)

    def request_stop(self, task_id: str, event_id: str, reason: str) -> str | None:
        """A person requests a stop. Returns its id; None where the task has ended or is not known."""
        event = InterruptRequested(event_id=event_id, task_id=task_id, at=UtcMs(self._clock()), reason=reason)
        try:
            self._apply(event)
        except DomainError:
            return None
        return self.held.tasks[task_id].stop_id

    # ── Requests ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def handle(self, method: str, path: str, body: bytes | None, key: str | None) -> Reply:
        """Answers one request; a poll may be held."""
        if path == "/openapi.json":
            return 200, _DOCUMENT
        if path == "/api/control/poll" and self.has_batch:
            return await self._poll(json.loads(body or b"{}"))
        try:
            return self._answer(method, path, body, key)
        except NotFound as error:
            return _problem(404, error)
        except Conflict as error:
            return _problem(409, error)
        except DomainError as error:
            return _problem(422, error)
        except ValidationError as error:
            return 422, json.dumps({"title": "invalid", "detail": str(error)[:200]}).encode()

    def _answer(self, method: str, path: str, body: bytes | None, key: str | None) -> Reply:
        if path == "/api/events" and self.has_batch:
            return 200, json.dumps({"results": [self._take(each) for each in json.loads(body or b"{}")["events"]]}).encode()
        if path == "/api/tasks":
            return self._create(json.loads(body or b"{}"), key) if method == "POST" else self._list()
        for verb, shape, kind in _ROUTES:
            if verb == method and (found := shape.fullmatch(path)):
                given = {"step_id": found[2]} if kind is StepStatusChanged else {}
                return self._write(kind, found[1], body, key, given)
        if method == "PATCH" and (found := _TASK.fullmatch(path)):
            return self._update(found[1], json.loads(body or b"{}"), key)
        if method == "GET" and (found := _CONTROL.fullmatch(path)):
            return 200, json.dumps(self._control(found[1])).encode()
        if method == "GET" and (found := _TASK.fullmatch(path)):
            task = self._task(found[1])
            steps = [
                {"step_id": each.step_id, "position": each.position, "title": each.title, "status": each.status}
                for each in task.steps.values()
            ]
            return 200, json.dumps(
                {"task_id": task.task_id, "title": task.title, "status": task.status, "steps": steps}
            ).encode()
        return 404, b'{"title": "not found", "detail": "no such route"}'

    def _take(self, offered: Any) -> dict[str, Any]:
        try:
            event = batch_event.validate_python(offered)
        except ValidationError as error:
            return {"event_id": offered.get("event_id"), "status": "rejected", "code": "invalid", "detail": str(error)[:200]}
        try:
            is_new = self._apply(event)
        except DomainError as error:
            return {"event_id": event.event_id, "status": "rejected", "code": error.code, "detail": str(error)}
        return {"event_id": event.event_id, "status": "ok" if is_new else "duplicate"}

    def _create(self, given: dict[str, Any], key: str | None) -> Reply:
        event_id = key or assigned_id(str(len(self.held.history)), "key")
        at = given.pop("at", None) or UtcMs(self._clock())
        event = TaskCreated(**{**given, "event_id": event_id, "at": at})
        self._apply(event)
        steps = [
            {"step_id": step_id, "position": position, "title": step.title, "status": "pending"}
            for position, (step_id, step) in enumerate(zip(event.step_ids(), event.steps, strict=True), 1)
        ]
        return 201, json.dumps({"task_id": event.task_id, "title": event.title, "status": "pending", "steps": steps}).encode()

    def _list(self) -> Reply:
        tasks = [{"task_id": each.task_id, "title": each.title} for each in self.held.tasks.values()]
        return 200, json.dumps({"tasks": tasks, "next_cursor": None}).encode()

    def _write(self, kind: type[Any], task_id: str, body: bytes | None, key: str | None, given: dict[str, Any]) -> Reply:
        fields = {**json.loads(body or b"{}"), **given}
        fields.setdefault("at", UtcMs(self._clock()))
        adapter = _adapters.get(kind) or _adapters.setdefault(kind, TypeAdapter(kind))
        event_id = key or assigned_id(f"{task_id}{len(self.held.history)}", "key")
        self._apply(
            adapter.validate_python(
                {**fields, "kind": kind.model_fields["kind"].default, "event_id": event_id, "task_id": task_id}
            )
        )
        return 200, json.dumps({"task_id": task_id, "status": self.held.tasks[task_id].status}).encode()

    def _update(self, task_id: str, given: dict[str, Any], key: str | None) -> Reply:
        at = given.get("at")
        key = key or assigned_id(f"{task_id}{len(self.held.history)}", "key")
        if (pairs := given.get("metadata")) is not None:
            its_key = key if given.get("status") is None else assigned_id(key, "metadata")
            self._write(
                MetadataChanged, task_id, json.dumps({"metadata": pairs, **({"at": at} if at else {})}).encode(), its_key, {}
            )
        if given.get("status") is not None:
            rest = {name: value for name, value in given.items() if name != "metadata" and value is not None}
            return self._write(TaskStatusChanged, task_id, json.dumps(rest).encode(), key, {})
        return 200, b"{}"

    # ── Events ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _apply(self, event: Event) -> bool:
        """Applies an event, once. Returns whether it is new.

        Raises:
            DomainError: It is refused; nothing was changed.
        """
        held, now = self.held, UtcMs(self._clock())
        if event.event_id in held.applied:
            return False
        task = held.tasks.get(event.task_id)
        if task is None:
            if not isinstance(event, TaskCreated):
                raise UnknownTask(event.task_id)
            before = _control_of(None)
            task = held.tasks[event.task_id] = transitions.create(event, now)
        else:
            before = _control_of(task)
            transitions.apply(event, task, now)
        held.applied[event.event_id] = (event.task_id, event.kind)
        if not isinstance(event, Heartbeat):
            held.history.append(event)
        self._heard(event)
        if before != _control_of(task):
            held.controls[task.task_id] = len(held.applied)
            for waiter, task_ids in list(self._waiters.items()):
                if task.task_id in task_ids and not waiter.done():
                    waiter.set_result(None)
        return True

    def _task(self, task_id: str) -> TaskState:
        task = self.held.tasks.get(task_id)
        if task is None:
            raise UnknownTask(task_id)
        return task

    def _control(self, task_id: str) -> dict[str, Any]:
        task = self._task(task_id)
        requested = task.stop_requested
        stop = task.interrupts[task.stop_id] if requested and task.stop_id else None
        return {
            "task_id": task_id,
            "interrupt_requested": requested,
            "mode": stop.mode if stop else None,
            "interrupt_id": stop.interrupt_id if stop else None,
            "reason": stop.reason if stop else None,
            "requested_at": stop.requested_ms.rfc3339() if stop else None,
            "closed": task.closed is not None,
            "acknowledged": task.attention_ack_ms is not None,
        }

    async def _poll(self, asked: dict[str, Any]) -> Reply:
        task_ids = frozenset(asked["task_ids"])
        answer = self._changed(task_ids, asked.get("cursor"))
        if not answer["controls"] and (wait_s := asked.get("wait_s") or 0):
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters[waiter] = task_ids
            try:
                await asyncio.wait([waiter], timeout=wait_s)
            finally:
                del self._waiters[waiter]
            answer = self._changed(task_ids, asked.get("cursor"))
        return 200, json.dumps(answer).encode()

    def _changed(self, task_ids: frozenset[str], cursor: str | None) -> dict[str, Any]:
        number = len(self.held.applied)
        since = int(cursor) if cursor and cursor.isdecimal() and int(cursor) <= number else None
        known = self.held.controls
        found = [each for each in sorted(task_ids) if each in self.held.tasks and (since is None or known.get(each, 0) > since)]
        return {"cursor": str(number), "controls": [self._control(each) for each in found]}


def _control_of(task: TaskState | None) -> tuple[object, ...]:
    if task is None:
        return (False, None, False, False)
    return task.stop_requested, task.stop_id, task.closed is not None, task.attention_ack_ms is not None


def _problem(status: int, error: DomainError) -> Reply:
    return status, json.dumps({"title": error.code, "detail": str(error), "code": error.code}).encode()
