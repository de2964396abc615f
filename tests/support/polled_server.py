"""A server with the batch profile whose way of answering polls a test chooses: it holds them or not, minds its cursor or not.

It is a real HTTP server on a free port of 127.0.0.1, in the test's own event loop. It takes every event, and keeps those that
tell of life and of stops.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from support.documents import MARKER


@dataclass(frozen=True)
class PollRequest:
    """A poll as it came."""

    task_ids: frozenset[str]
    cursor: str | None
    wait_s: float
    at: float


@dataclass
class PolledServer:
    """The server.

    Attributes:
        holds: Whether a poll is held until something changes.
        minds_cursor: Whether only what changed since the cursor is told.
        late_s: For how long an answer to a held poll is on its way.
        poll_status: The answer to polls, where it is not 200.
        lacks: Words that it rejects as an earlier version of the embedded backend does: kinds, and statuses of tasks.
        refused_members: Members for which it rejects an event, naming them.
        knows_steps: Whether it rejects what is reported of a step that no event has told it of.
        document: What its OpenAPI document says beside that the server is of the standard contract.
        shown: What it answers of single tasks, by id.
        taking: While it is not set, what is sent to the events' route gets no answer.
        polls: Every poll, in order.
        asked_singly: The task of every question about one task's stop, in order.
        asked: The task of every question about a task itself, in order.
        events: Every event that it took, in order.
        rejected: Every one that it did not.
    """

    holds: bool = True
    minds_cursor: bool = True
    late_s: float = 0.0
    poll_status: int = 200
    lacks: frozenset[str] = frozenset()
    refused_members: frozenset[str] = frozenset()
    knows_steps: bool = False
    document: dict[str, Any] | None = None
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)
    taking: asyncio.Event = field(default_factory=asyncio.Event)
    polls: list[PollRequest] = field(default_factory=list)
    asked_singly: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.taking.set()
        self._stops: dict[str, tuple[int, dict[str, Any]]] = {}
        self._number = 0
        self._steps: set[tuple[str, str]] = set()
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> Self:
        """Listens; the second time on the port that it had before."""
        app = web.Application(client_max_size=1 << 24)
        app.add_routes(
            [
                web.post("/api/events", self._take),
                web.post("/api/control/poll", self._poll),
                web.get("/api/tasks/{task}/control", self._control),
                web.get("/api/tasks/{task}", self._show),
                web.get("/openapi.json", self._document),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=0.05)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        """Closes the port and every connection; what was asked for is kept."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def ask_to_stop(self, task_id: str, interrupt_id: str) -> None:
        """A person asks for a soft stop."""
        self._set(task_id, {"interrupt_requested": True, "mode": "soft_stop", "interrupt_id": interrupt_id})

    def close(self, task_id: str, **shown: Any) -> None:
        """A person ends a task whose agent seems gone."""
        self.shown[task_id] = {**shown, "task_id": task_id}
        self._set(task_id, {"interrupt_requested": False, "closed": True})

    def withdraw(self, task_id: str) -> None:
        """A person thinks better of it."""
        self._set(task_id, {"interrupt_requested": False})

    def kinds(self, *kinds: str) -> list[dict[str, Any]]:
        """The events of some kinds, in order."""
        return [event for event in self.events if event["kind"] in kinds]

    def _set(self, task_id: str, control: dict[str, Any]) -> None:
        self._number += 1
        self._stops[task_id] = self._number, control
        self._changed.set()
        self._changed = asyncio.Event()

    async def _take(self, request: web.Request) -> web.Response:
        await self.taking.wait()
        events = (await request.json())["events"]
        return web.json_response({"results": [{"event_id": event["event_id"], **self._result(event)} for event in events]})

    def _result(self, event: dict[str, Any]) -> dict[str, str]:
        kind, task_id = event["kind"], event["task_id"]
        if kind in self.lacks:
            return self._reject(event, "invalid", f"kind: Input tag '{kind}' found using 'kind' does not match")
        if kind == "task_status" and event["status"] in self.lacks:
            return self._reject(event, "invalid", "status: Input should be 'running', 'done' or 'failed'")
        for member in sorted(self.refused_members & event.keys()):
            return self._reject(event, "invalid", f"{member}: Extra inputs are not permitted")
        if self.knows_steps and kind == "step_status" and (task_id, event["step_id"]) not in self._steps:
            return self._reject(event, "unknown_step", "the task has no such step")
        told = [event["step_id"]] if kind == "step_added" else [step["step_id"] for step in event.get("steps", ())]
        self._steps |= {(task_id, step_id) for step_id in told}
        self.events.append(event)
        if kind == "interrupt_ack":
            self.withdraw(task_id)
        return {"status": "ok"}

    def _reject(self, event: dict[str, Any], code: str, detail: str) -> dict[str, str]:
        self.rejected.append(event)
        return {"status": "rejected", "code": code, "detail": detail}

    async def _show(self, request: web.Request) -> web.Response:
        self.asked.append(request.match_info["task"])
        found = self.shown.get(request.match_info["task"])
        return web.json_response(found or {"title": "no such task"}, status=200 if found else 404)

    async def _document(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({**MARKER, **(self.document or {})})

    async def _poll(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        task_ids, cursor, wait_s = frozenset(body["task_ids"]), body.get("cursor"), body.get("wait_s", 0)
        self.polls.append(PollRequest(task_ids, cursor, wait_s, asyncio.get_running_loop().time()))
        if self.poll_status != 200:
            return web.json_response({"title": "made to fail by the test"}, status=self.poll_status)
        since = int(cursor) if cursor is not None and self.minds_cursor else -1
        found = self._found(task_ids, since)
        if not found and self.holds:
            try:
                async with asyncio.timeout(wait_s):
                    while not found:
                        await self._changed.wait()
                        found = self._found(task_ids, since)
            except TimeoutError:
                pass
        answer = web.json_response({"cursor": str(self._number), "controls": found})
        if wait_s:
            await asyncio.sleep(self.late_s)
        return answer

    def _found(self, task_ids: frozenset[str], since: int) -> list[dict[str, Any]]:
        return [
            {"task_id": task_id, **control}
            for task_id, (number, control) in self._stops.items()
            if task_id in task_ids and number > since
        ]

    async def _control(self, request: web.Request) -> web.Response:
        task_id = request.match_info["task"]
        self.asked_singly.append(task_id)
        return web.json_response(self._stops.get(task_id, (0, {"interrupt_requested": False}))[1])
