"""A real backend in a thread, with its own event loop, database and port, and the calls that tests make to it over TCP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from clawlog_backend.domain.times import UtcMs
from clawlog_backend.http.server import BackendServer
from clawlog_backend.notify.rules import NO_RULES, Rules
from clawlog_backend.settings import Settings

START_S = 10.0


class SteerableClock:
    """The wall clock, put forward by a test."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> UtcMs:
        return UtcMs.now().plus(ms=self.ahead_ms)


class RunningBackend:
    """A backend that listens on a free port of 127.0.0.1."""

    def __init__(self, settings: Settings, rules: Rules = NO_RULES) -> None:
        self.settings = settings
        self.rules = rules
        self.clock = SteerableClock()
        self.url = ""
        self._server: BackendServer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        listening = threading.Event()
        failed: list[BaseException] = []

        def on_listening(url: str, _port: int) -> None:
            self.url = url
            listening.set()

        async def run() -> None:
            self._loop = asyncio.get_running_loop()
            self._server = BackendServer(self.settings, rules=self.rules, clock=self.clock)
            await self._server.run(on_listening=on_listening)

        def body() -> None:
            try:
                asyncio.run(run())
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test has to see it
                failed.append(error)
            finally:
                listening.set()

        self._thread = threading.Thread(target=body, name="backend")
        self._thread.start()
        assert listening.wait(START_S), "the backend did not start"
        if failed:
            raise failed[0]

    async def pragma(self, text: str) -> int:
        """Set a limit on the database from within: no other connection can."""
        assert self._server is not None
        assert self._loop is not None
        database = self._server.backend.database
        work = database.read(lambda connection: connection.exec_driver_sql(f"PRAGMA {text}").scalar_one())
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def sweep(self) -> None:
        """Have it look now at who fell silent, as it does every few seconds."""
        assert self._server is not None
        assert self._loop is not None
        work = self._server.backend.maintenance.sweep()
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def stop(self) -> None:
        if self._thread is None or self._loop is None or self._server is None:
            return
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join(START_S)
        assert not self._thread.is_alive(), "the backend did not end"
        self._thread = None


class Api:
    """HTTP calls to one backend, answered as ``(status, decoded JSON)``."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def __call__(self, method: str, path: str, json: Any = None, **options: Any) -> tuple[int, Any]:
        async with self.session.request(method, self.url + path, json=json, **options) as response:
            body = await response.read()
            kind = response.headers.get("content-type", "")
            if response.status >= 400:
                assert kind == "application/problem+json", (response.status, kind, body)
            return response.status, await response.json(content_type=None) if "json" in kind else body

    async def task(self, task_id: str = "t1", steps: int = 3, **more: Any) -> dict[str, Any]:
        """A new task with steps s1, s2, …"""
        offered = [{"step_id": f"s{n}", "title": f"Step {n}"} for n in range(1, steps + 1)]
        status, body = await self("POST", "/api/tasks", {"task_id": task_id, "title": "Deploy", "steps": offered} | more)
        assert status == 201, body
        return body

    async def get(self, task_id: str = "t1") -> dict[str, Any]:
        status, body = await self("GET", f"/api/tasks/{task_id}")
        assert status == 200, body
        return body

    async def events(self, *events: dict[str, Any]) -> list[dict[str, Any]]:
        """The results of a batch."""
        status, body = await self("POST", "/api/events", {"events": list(events)})
        assert status == 200, body
        return body["results"]


def event(kind: str, event_id: str, task_id: str = "t1", at: str = "2026-02-28T09:00:00.000Z", **more: Any) -> dict[str, Any]:
    """One event of a batch."""
    return {"kind": kind, "event_id": event_id, "task_id": task_id, "at": at, **more}


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection, given up after 20 s."""
    port = int(url.rpartition(":")[2])
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
