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
        poll_status: The answer to polls, where it is not 200.
        taking: While it is not set, what is sent to the events' route gets no answer.
        polls: Every poll, in order.
        asked_singly: The task of every question about one task, in order.
        events: Every event, in order.
    """

    holds: bool = True
    minds_cursor: bool = True
    poll_status: int = 200
    taking: asyncio.Event = field(default_factory=asyncio.Event)
    polls: list[PollRequest] = field(default_factory=list)
    asked_singly: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.taking.set()
        self._stops: dict[str, tuple[int, dict[str, Any]]] = {}
        self._number = 0
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
        self.events += events
        for event in events:
            if event["kind"] == "interrupt_ack":
                self.withdraw(event["task_id"])
        return web.json_response({"results": [{"event_id": event["event_id"], "status": "ok"} for event in events]})

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
        return web.json_response({"cursor": str(self._number), "controls": found})

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
