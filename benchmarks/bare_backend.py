"""The limit that the backend is held against: FastAPI routes on SQLite that do nothing else.

They check nothing, derive nothing and remember nothing: insert the rows of a batch and commit them durably, select a page of
the list, hand the bytes they are given to everyone who waits. Run as ``python benchmarks/bare_backend.py DATABASE PORT_FILE``.
"""

import asyncio
import json
import resource
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

PAGE = "SELECT * FROM tasks ORDER BY n DESC LIMIT ?"
STEPS = "SELECT * FROM steps WHERE task_n >= ?"


class Database:
    """One connection in one thread, as the backend has it."""

    def __init__(self, path: str) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS bare (seq INTEGER PRIMARY KEY, event_id TEXT UNIQUE, task_id TEXT, kind TEXT, at TEXT, "
            "detail TEXT)"
        )

    async def insert(self, rows: list[tuple[Any, ...]]) -> None:
        def work() -> None:
            self._connection.execute("BEGIN")
            self._connection.executemany("INSERT INTO bare (event_id, task_id, kind, at, detail) VALUES (?, ?, ?, ?, ?)", rows)
            self._connection.execute("COMMIT")

        await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def page(self, limit: int) -> bytes:
        def work() -> bytes:
            tasks = [dict(row) for row in self._connection.execute(PAGE, (limit,))]
            steps = [dict(row) for row in self._connection.execute(STEPS, (tasks[-1]["n"],))]
            return json.dumps({"tasks": tasks, "steps": steps}).encode()

        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


class Waiters:
    """Those who wait for a change: streams for every one, polls for the next."""

    def __init__(self) -> None:
        self.streams: set[asyncio.Queue[bytes]] = set()
        self.polls: set[asyncio.Future[bytes]] = set()

    def tell(self, to_streams: bytes, to_polls: bytes) -> None:
        # In the backend's order: agents before spectators.
        for poll in self.polls:
            poll.set_result(to_polls)
        self.polls = set()
        for queue in self.streams:
            queue.put_nowait(to_streams)


def create_app(database: Database) -> FastAPI:
    app, waiters = FastAPI(), Waiters()

    @app.post("/api/events")
    async def events(request: Request) -> Response:
        offered = (await request.json())["events"]
        await database.insert(
            [(e["event_id"], e["task_id"], e["kind"], e["at"], json.dumps([e["step_id"], e["status"]])) for e in offered]
        )
        results = [{"event_id": e["event_id"], "status": "ok"} for e in offered]
        return Response(json.dumps({"results": results}), media_type="application/json")

    @app.get("/api/tasks")
    async def tasks(limit: int) -> Response:
        return Response(await database.page(limit), media_type="application/json")

    @app.get("/api/stream")
    async def stream() -> StreamingResponse:
        queue: asyncio.Queue[bytes] = asyncio.Queue()

        async def content() -> AsyncIterator[bytes]:
            waiters.streams.add(queue)
            try:
                while True:
                    yield await queue.get()
            finally:
                waiters.streams.discard(queue)

        return StreamingResponse(content(), media_type="text/event-stream")

    @app.post("/api/control/poll")
    async def poll(request: Request) -> Response:
        await request.json()
        waiting = asyncio.get_running_loop().create_future()
        waiters.polls.add(waiting)
        return Response(await waiting, media_type="application/json")

    @app.post("/change")
    async def change(request: Request) -> Response:
        body = await request.json()
        await database.insert([(body["id"], "t", "interrupt_requested", "", "")])
        waiters.tell(body["stream"].encode(), body["poll"].encode())
        return Response(status_code=204)

    @app.get("/waiting")
    async def waiting() -> dict[str, int]:
        return {"streams": len(waiters.streams), "polls": len(waiters.polls)}

    return app


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Named as TCP, for asyncio leaves Nagle's algorithm on otherwise, and then half of each answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    Path(sys.argv[2]).write_text(str(listener.getsockname()[1]))
    config = uvicorn.Config(
        create_app(Database(sys.argv[1])), log_level="warning", lifespan="off", access_log=False, timeout_graceful_shutdown=1
    )
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))
