"""A ClawLog server that has the plain profile alone and gives out integer ids of its own: the smallest that a user may have.

It is a real HTTP server on a free port of 127.0.0.1, in the test's own event loop. It keeps the tasks that it was told of,
ignores the ids that it is offered, applies each ``Idempotency-Key`` once, and records every request in the order it came. A
test asks for stops through ``ask_to_stop``, and makes it fail through ``intercept``. Of what the contract allows a server to
lack it has nothing, until a test gives it some.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

STATUSES = {
    "task": {"pending", "running", "done", "failed", "interrupted"},
    "step": {"pending", "running", "done", "failed", "skipped"},
}


@dataclass(frozen=True)
class Recorded:
    """A request as it came."""

    method: str
    path: str
    body: Any
    headers: Mapping[str, str]

    @property
    def key(self) -> str | None:
        return self.headers.get("Idempotency-Key")

    @property
    def is_event(self) -> bool:
        """Whether it is a write of the plain profile; a beat is none, and so is a try of a batch route."""
        is_write = self.method in {"POST", "PATCH", "PUT"}
        return is_write and self.path.startswith("/api/tasks") and not self.path.endswith("/heartbeat")


@dataclass
class Stop:
    """A request to stop a task."""

    interrupt_id: int
    reason: str | None
    requested_at: str
    acknowledged: bool = False


@dataclass
class Step:
    """A step as this server keeps it."""

    step_id: int
    title: str
    status: str = "pending"
    summary: str | None = None


@dataclass
class Task:
    """A task as this server keeps it."""

    task_id: int
    title: str
    steps: list[Step]
    status: str = "pending"
    summary: str | None = None
    beats: list[dict[str, Any]] = field(default_factory=list)
    stop: Stop | None = None
    ack_summary: str | None = None
    parent_task_id: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    links: list[dict[str, str]] = field(default_factory=list)
    summaries: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        steps = [
            {"step_id": step.step_id, "position": position, "title": step.title, "status": step.status}
            for position, step in enumerate(self.steps, 1)
        ]
        return {"task_id": self.task_id, "title": self.title, "status": self.status, "steps": steps}


class PlainServer:
    """The server.

    Attributes:
        requests: Everything that came, in order.
        tasks: By the ids that it gave out.
        intercept: Called with each request; a status that it returns is the answer, and nothing is applied.
        retry_after: The header ``Retry-After`` of such an answer.
        location: Its header ``Location``.
        statuses: The statuses that it knows for a task.
        refused_members: Members for which it refuses a body, naming them.
        has_plans: Whether a task's steps can be listed and replaced.
        has_links: Whether a task may have links.
        document: What it serves as its OpenAPI document; None for none.
        closed: The tasks that a person has closed.
    """

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.tasks: dict[int, Task] = {}
        self.intercept: Callable[[Recorded], int | None] = lambda _: None
        self.retry_after: str | None = None
        self.location: str | None = None
        self.statuses = set(STATUSES["task"])
        self.refused_members: frozenset[str] = frozenset()
        self.has_plans = False
        self.has_links = False
        self.document: dict[str, Any] | None = {"x-clawlog-contract": "standard"}
        self.closed: set[int] = set()
        self._last_id = 0
        self._replies: dict[str, tuple[int, Any]] = {}
        self._arrived = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0

    # ── Its life ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> Self:
        """Listens; the second time on the port that it had before."""
        app = web.Application(middlewares=[self._record])
        app.add_routes(
            [
                web.post("/api/tasks", self._create),
                web.patch("/api/tasks/{task}", self._update_task),
                web.get("/openapi.json", self._document),
                web.get("/api/tasks/{task}", self._show),
                web.put("/api/tasks/{task}/steps", self._replace_steps),
                web.post("/api/tasks/{task}/links", self._add_link),
                web.patch("/api/tasks/{task}/steps/{step}", self._update_step),
                web.post("/api/tasks/{task}/heartbeat", self._beat),
                web.get("/api/tasks/{task}/control", self._control),
                web.post("/api/tasks/{task}/interrupt", self._interrupt),
                web.post("/api/tasks/{task}/interrupt/ack", self._ack),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        """Closes the port and every connection; what was told is kept."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    # ── For tests ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def events(self) -> list[Recorded]:
        """The plain profile's writes but for beats, in order."""
        return [each for each in self.requests if each.is_event]

    @property
    def only_task(self) -> Task:
        (task,) = self.tasks.values()
        return task

    def ask_to_stop(self, task_id: int, reason: str | None = None) -> Stop:
        """A person asks for a soft stop."""
        self._last_id += 1
        stop = self.tasks[task_id].stop = Stop(self._last_id, reason, f"2026-02-28T09:00:00.{self._last_id:03d}Z")
        return stop

    async def until(self, condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
        """Waits until a condition holds; looked at after each request."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            seen = "\n".join(f"{each.method} {each.path} {each.body}" for each in self.requests[-20:])
            raise AssertionError(f"the server did not come to that in {timeout_s:g} s; the last requests:\n{seen}") from None

    async def until_events(self, count: int) -> list[Recorded]:
        """The writes, once there are so many."""
        await self.until(lambda: len(self.events) >= count)
        return self.events

    # ── The plain profile ───────────────────────────────────────────────────────────────────────────────────────────

    @web.middleware
    async def _record(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        text = await request.text()
        recorded = Recorded(request.method, request.path, json.loads(text) if text else None, dict(request.headers))
        try:
            status = self.intercept(recorded)
            if status is not None:
                headers = {"Retry-After": self.retry_after, "Location": self.location}
                return _problem(status, "made to fail by the test", {name: value for name, value in headers.items() if value})
            if recorded.key is not None and recorded.key in self._replies:
                return _json(*self._replies[recorded.key])
            try:
                for member in sorted(self.refused_members & set(recorded.body or ())):
                    raise web.HTTPUnprocessableEntity(reason=f"{member}: not known here")
                status, body = await handler(request)
            except web.HTTPException as refusal:
                return _problem(refusal.status, refusal.reason)
            if recorded.key is not None:
                self._replies[recorded.key] = (status, body)
            return _json(status, body)
        finally:
            self.requests.append(recorded)
            # Told when the handler is done, so that a waiting test sees what the request changed.
            self._arrived.set()

    async def _create(self, request: web.Request) -> tuple[int, Any]:
        body = await request.json()
        title = body.get("title")
        if not isinstance(title, str) or not title:
            raise web.HTTPUnprocessableEntity(reason="title: expected a text")
        steps = [Step(self._new_id(), each["title"]) for each in body.get("steps", [])]
        task = Task(self._new_id(), title, steps, summary=body.get("summary"))
        task.parent_task_id, task.metadata = body.get("parent_task_id"), body.get("metadata", {})
        self.tasks[task.task_id] = task
        return 201, task.shown()

    async def _update_task(self, request: web.Request) -> tuple[int, Any]:
        task, body = self._task(request), await request.json()
        if body.get("status") not in self.statuses:
            raise web.HTTPUnprocessableEntity(reason="status: not one of this server's")
        task.status = str(body["status"])
        task.summary = body.get("summary", task.summary)
        task.summaries += [body["summary"]] if body.get("summary") else []
        return 200, task.shown()

    async def _show(self, request: web.Request) -> tuple[int, Any]:
        task = self._task(request)
        closed = {"by": "Mu", "summary": "its machine is gone"} if task.task_id in self.closed else None
        shown = {**task.shown(), "closed": closed, "status": "failed" if closed else task.status}
        return 200, shown if self.has_plans else {**shown, "steps": None}

    async def _replace_steps(self, request: web.Request) -> tuple[int, Any]:
        if not self.has_plans:
            raise web.HTTPNotFound(reason="no such route")
        task, body = self._task(request), await request.json()
        before = {str(step.step_id): step for step in task.steps}
        task.steps = []
        for each in body["steps"]:
            step = before.get(each["step_id"]) or Step(self._new_id(), "")
            step.title, step.status = each["title"], each["status"]
            task.steps.append(step)
        return 200, task.shown()

    async def _add_link(self, request: web.Request) -> tuple[int, Any]:
        if not self.has_links:
            raise web.HTTPNotFound(reason="no such route")
        task = self._task(request)
        task.links.append(await request.json())
        return 200, task.shown()

    async def _document(self, request: web.Request) -> tuple[int, Any]:
        del request
        if self.document is None:
            raise web.HTTPNotFound(reason="no document")
        return 200, self.document

    async def _update_step(self, request: web.Request) -> tuple[int, Any]:
        task, body = self._task(request), await request.json()
        step = next((each for each in task.steps if str(each.step_id) == request.match_info["step"]), None)
        if step is None:
            raise web.HTTPNotFound(reason=f"no step {request.match_info['step']}")
        step.status = _status("step", body)
        step.summary = body.get("summary", step.summary)
        return 200, task.shown()

    async def _beat(self, request: web.Request) -> tuple[int, Any]:
        self._task(request).beats.append(await request.json())
        return 200, {}

    async def _control(self, request: web.Request) -> tuple[int, Any]:
        task = self._task(request)
        stop, closed = task.stop, task.task_id in self.closed
        if stop is None or stop.acknowledged:
            nothing = {"interrupt_requested": False, "mode": None, "interrupt_id": None, "reason": None, "requested_at": None}
            return 200, {**nothing, "closed": closed}
        return 200, {
            "interrupt_requested": True,
            "mode": "soft_stop",
            "interrupt_id": stop.interrupt_id,
            "reason": stop.reason,
            "requested_at": stop.requested_at,
        }

    async def _interrupt(self, request: web.Request) -> tuple[int, Any]:
        task = self._task(request)
        self.ask_to_stop(task.task_id, (await request.json()).get("reason"))
        return 200, task.shown()

    async def _ack(self, request: web.Request) -> tuple[int, Any]:
        task = self._task(request)
        if task.stop is not None:
            task.stop.acknowledged = True
        task.status = "interrupted"
        task.ack_summary = (await request.json()).get("summary")
        return 200, task.shown()

    def _task(self, request: web.Request) -> Task:
        wanted = request.match_info["task"]
        task = self.tasks.get(int(wanted)) if wanted.isdecimal() else None
        if task is None:
            raise web.HTTPNotFound(reason=f"no task {wanted}")
        return task

    def _new_id(self) -> int:
        self._last_id += 1
        return self._last_id


def _status(kind: str, body: Mapping[str, Any]) -> str:
    status = body.get("status")
    if status not in STATUSES[kind]:
        raise web.HTTPUnprocessableEntity(reason="status: not one of this server's")
    return str(status)


def _json(status: int, body: Any) -> web.Response:
    return web.json_response(body, status=status)


def _problem(status: int, detail: str | None, headers: Mapping[str, str] | None = None) -> web.Response:
    problem = {"status": status, "detail": detail}
    return web.json_response(problem, status=status, headers=headers, content_type="application/problem+json")
