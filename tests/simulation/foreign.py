"""A ClawLog server of another shape: its own routes, names, words and ids, steps by their position, and no memory of keys.

What a repeated request does here, it does twice. It is learned from its OpenAPI document, or spoken to by a written contract.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clawlogd.clock import rfc3339

Reply = tuple[int, bytes]

STEP_WORDS = {"pending": "todo", "running": "in_progress", "done": "completed", "failed": "failed"}
TASK_WORDS = {"running": "in_progress", "done": "completed", "failed": "failed", "interrupted": "cancelled"}

CONTRACT = """
step_statuses = { pending = "todo", running = "in_progress", done = "completed", failed = "failed" }
task_statuses = { running = "in_progress", done = "completed", failed = "failed", interrupted = "cancelled" }

[create]
method = "POST"
path = "/v1/tasks"
body = { name = "{title}", steps = ["{step.title}"] }
answer = { task_id = ["/id"], steps = ["/steps"], step_id_from = "position" }

[step]
method = "PUT"
path = "/v1/tasks/{task_id}/steps/{step_id}"
body = { status = "{status}", message = "{summary}" }

[task]
method = "PATCH"
path = "/v1/tasks/{task_id}"
body = { status = "{status}", message = "{summary}" }

[heartbeat]
method = "POST"
path = "/v1/tasks/{task_id}/heartbeat"
body = { message = "{summary}" }

[control]
method = "GET"
path = "/v1/tasks/{task_id}/control"
answer = { stop = ["/stop_requested"] }

[ack]
method = "POST"
path = "/v1/tasks/{task_id}/interrupt/ack"
body = { message = "{summary}" }

[read]
method = "GET"
path = "/v1/tasks/{task_id}"

[list_tasks]
method = "GET"
path = "/v1/tasks"
answer = { tasks = [""], task_id = ["/id"], title = ["/name"], created_at = ["/created_at"] }
"""


def _text() -> dict[str, Any]:
    return {"type": "string"}


def _body(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _answer(properties: dict[str, Any]) -> dict[str, Any]:
    return {"responses": {"200": {"content": {"application/json": {"schema": {"type": "object", "properties": properties}}}}}}


def _document() -> bytes:
    task_id = {"name": "task_id", "in": "path", "required": True, "schema": {"type": "integer"}}
    position = {"name": "position", "in": "path", "required": True, "schema": {"type": "integer"}}
    step = {"position": {"type": "integer"}, "name": _text(), "status": _text()}
    task = {
        "id": {"type": "integer"},
        "name": _text(),
        "status": _text(),
        "created_at": _text(),
        "steps": {"type": "array", "items": {"type": "object", "properties": step}},
    }
    words, message = {"type": "string", "enum": [*STEP_WORDS.values()]}, {"message": _text()}
    of_tasks = {"type": "string", "enum": [*TASK_WORDS.values()]}
    stop = {"stop_requested": {"type": "boolean"}, "reason": _text(), "requested_at": _text()}
    schema = {"type": "array", "items": {"type": "object", "properties": task}}
    listed = {"200": {"content": {"application/json": {"schema": schema}}}}
    titles = {"name": _text(), "steps": {"type": "array", "items": _text()}}
    one = "/v1/tasks/{task_id}"
    paths = {
        "/v1/tasks": {
            "post": {"summary": "Create a task", **_body(titles, "name", "steps"), **_answer(task)},
            "get": {"summary": "List tasks", "responses": listed},
        },
        one: {
            "get": {"summary": "Get a task", "parameters": [task_id], **_answer(task)},
            "patch": {
                "summary": "Update a task's status",
                "parameters": [task_id],
                **_body({"status": of_tasks, **message}, "status"),
                **_answer(task),
            },
        },
        f"{one}/steps/{{position}}": {
            "put": {
                "summary": "Update a step's status",
                "parameters": [task_id, position],
                **_body({"status": words, **message}, "status"),
                **_answer(step),
            }
        },
        f"{one}/heartbeat": {"post": {"summary": "Heartbeat", "parameters": [task_id], **_body(message), **_answer({})}},
        f"{one}/control": {"get": {"summary": "Control state", "parameters": [task_id], **_answer(stop)}},
        f"{one}/interrupt/ack": {
            "post": {"summary": "Acknowledge an interrupt", "parameters": [task_id], **_body(message), **_answer({})}
        },
    }
    return json.dumps({"openapi": "3.1.0", "info": {"title": "Runs", "version": "1"}, "paths": paths}).encode()


DOCUMENT = _document()
_STEP = re.compile(r"/v1/tasks/(\d+)/steps/(\d+)")
_TASK = re.compile(r"/v1/tasks/(\d+)")
_OF_TASK = re.compile(r"/v1/tasks/(\d+)/(heartbeat|control|interrupt/ack)")


@dataclass
class Told:
    """One thing that the server was told, as the model reads it."""

    task_id: str
    kind: str
    event_id: str = ""
    summary: str | None = None
    status: str | None = None
    interrupt_id: str | None = None


@dataclass
class Run:
    """A task there."""

    number: int
    name: str
    created_ms: int
    steps: list[list[str]]
    status: str = "in_progress"
    stop: bool = False
    stop_at: str | None = None
    acknowledged: bool = False


@dataclass
class Held:
    """Everything that the server keeps."""

    tasks: dict[str, Run] = field(default_factory=dict)
    history: list[Told] = field(default_factory=list)


class ForeignServer:
    """The server.

    Args:
        url: Its address.
        flag_stays: Whether the flag of a stop stays after the acknowledgement.
        clock: Milliseconds since 1970.
        named: The model's id of a task by its name there.
        heard: Called with each thing that it is told.
    """

    has_batch = False
    knows_keys = False
    restored = 0

    def __init__(
        self,
        url: str,
        *,
        flag_stays: bool,
        clock: Callable[[], int],
        named: Callable[[str], str],
        heard: Callable[[Told], None],
    ) -> None:
        self.url = url
        self.held = Held()
        self._flag_stays = flag_stays
        self._clock = clock
        self._named = named
        self._heard = heard

    def hang_up(self) -> None:
        """It holds no requests."""

    def request_stop(self, task_id: str, event_id: str, reason: str) -> str | None:
        """A person requests a stop. Returns the daemon's own name for it; None where there is nothing to stop."""
        del event_id, reason
        runs = [run for run in self.held.tasks.values() if self._named(run.name) == task_id]
        if not runs or runs[-1].status in {"completed", "failed", "cancelled"}:
            return None
        at = rfc3339(self._clock())
        if runs[-1].stop and not runs[-1].acknowledged:
            return f"at:{runs[-1].stop_at}"
        for run in runs:  # of one whose creation was repeated, whichever the daemon knows
            run.stop, run.stop_at, run.acknowledged = True, at, False
        return f"at:{at}"

    async def handle(self, method: str, path: str, body: bytes | None, key: str | None) -> Reply:
        """Answers one request."""
        await asyncio.sleep(0)
        del key
        given = json.loads(body) if body else {}
        if path == "/openapi.json":
            return 200, DOCUMENT
        if path == "/v1/tasks":
            return (
                self._create(given) if method == "POST" else (200, json.dumps([_view(each) for each in self._runs()]).encode())
            )
        if (found := _STEP.fullmatch(path)) and method == "PUT":
            return self._step(found[1], int(found[2]), given)
        if found := _OF_TASK.fullmatch(path):
            return self._sign(found[1], found[2], given)
        if (found := _TASK.fullmatch(path)) and (run := self.held.tasks.get(found[1])) is not None:
            if method == "PATCH":
                run.status = given["status"]
                self._note(run, "task_status", given.get("message"), run.status)
            return 200, json.dumps(_view(run)).encode()
        return 404, b'{"detail": "Not Found"}'

    def _runs(self) -> list[Run]:
        return list(self.held.tasks.values())

    def _create(self, given: dict[str, Any]) -> Reply:
        number = len(self.held.tasks) + 1
        run = Run(number, given["name"], self._clock(), [[each, "todo"] for each in given["steps"]])
        self.held.tasks[str(number)] = run
        self._note(run, "task_created", None)
        return 200, json.dumps(_view(run)).encode()

    def _step(self, task_id: str, position: int, given: dict[str, Any]) -> Reply:
        run = self.held.tasks.get(task_id)
        if run is None or not 1 <= position <= len(run.steps):
            return 404, b'{"detail": "no such step"}'
        if given["status"] not in STEP_WORDS.values():
            return 422, b'{"detail": "status"}'
        run.steps[position - 1][1] = given["status"]
        self._note(run, "step_status", given.get("message"), given["status"])
        return 200, json.dumps({"position": position, "name": run.steps[position - 1][0], "status": given["status"]}).encode()

    def _sign(self, task_id: str, what: str, given: dict[str, Any]) -> Reply:
        run = self.held.tasks.get(task_id)
        if run is None:
            return 404, b'{"detail": "no such task"}'
        if what == "control":
            stop = {"stop_requested": run.stop, "reason": None, "requested_at": run.stop_at}
            return 200, json.dumps(stop).encode()
        if what == "interrupt/ack":
            if not self._flag_stays:
                run.stop = False
            run.status, run.acknowledged = "cancelled", True
            self._note(run, "interrupt_ack", given.get("message"))
        return 200, b"{}"

    def _note(self, run: Run, kind: str, message: str | None, status: str | None = None) -> None:
        told = Told(self._named(run.name), kind, summary=message, status=status)
        self.held.history.append(told)
        self._heard(told)


def _view(run: Run) -> dict[str, Any]:
    steps = [{"position": number, "name": name, "status": status} for number, (name, status) in enumerate(run.steps, 1)]
    at = rfc3339(run.created_ms)
    return {"id": run.number, "name": run.name, "status": run.status, "created_at": at, "steps": steps}
