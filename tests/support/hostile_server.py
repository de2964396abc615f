"""A ClawLog server that behaves until a test tells it otherwise, and then answers with whatever bytes it is told to.

It speaks HTTP/1.1 by hand, because no server library would send what a broken or hostile one sends. It has the batch profile
or the plain one, takes the ids that it is offered, and keeps what it was told. ``poison`` is called with each request: what it
returns is the answer, and nothing is applied; None leaves the request to the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from support.documents import MARKER

After = Literal["keep", "close", "reset", "hang"]
Json = Any

_NO_STOP: Mapping[str, object] = {"interrupt_requested": False}


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Json
    at: float

    @property
    def text(self) -> str:
        """Its body as text, to look for words in."""
        return json.dumps(self.body, ensure_ascii=False)

    @property
    def parts(self) -> list[str]:
        """Its path's segments."""
        return self.path.partition("?")[0].strip("/").split("/")


@dataclass(frozen=True)
class Answer:
    """An answer, down to its bytes.

    Attributes:
        status: The HTTP status.
        body: Bytes as they are, or a value that is sent as JSON.
        headers: Beside those that frame it.
        raw: The whole answer as it goes over the wire, in place of all the above.
        after: What becomes of the connection.
    """

    status: int = 200
    body: Json = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    after: After = "keep"

    def encoded(self) -> bytes:
        if self.raw is not None:
            return self.raw
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        headers = {"Content-Type": "application/json", **self.headers}
        if self.status != 204:
            headers["Content-Length"] = str(len(body))
        lines = [f"HTTP/1.1 {self.status} Answer", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode("latin-1", "replace") + (body if self.status != 204 else b"")


Poison = Callable[[Asked], Answer | None]


class HostileServer:
    """The server.

    Attributes:
        requests: Everything that came, in order.
        events: Every event that it took in the batch profile, in order.
        tasks: What it was told of each task, by id: title, status, steps (status by id).
        poison: Called with each request.
        disguise: Called with each answer of the server's own: what it returns is sent.
        batch: Whether it has the batch profile.
        has_document: Whether its document says that it is of the standard contract.
    """

    def __init__(self, *, batch: bool = True) -> None:
        self.batch = batch
        self.has_document = True
        self.requests: list[Asked] = []
        self.events: list[dict[str, Any]] = []
        self.tasks: dict[str, dict[str, Any]] = {}
        self.poison: Poison = lambda _: None
        self.disguise: Callable[[Answer], Answer] = lambda answer: answer
        self.controls: dict[str, dict[str, Any]] = {}
        self._number = 0
        self._seen: set[str] = set()
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> Self:
        """Listens; the second time on the port that it had before."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, limit=1 << 24)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Closes the port and every connection."""
        if self._server is not None:
            self._server.close()
            for conversation in self._conversations:
                conversation.cancel()
            await asyncio.gather(*self._conversations, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    # ── What a test says and sees ──────────────────────────────────────────────────────────────────────────────────

    def ask_to_stop(self, task_id: str, **control: Any) -> None:
        """A person asks for a soft stop; the control state is what is given."""
        self.controls[task_id] = {"interrupt_requested": True, "mode": "soft_stop", **control}
        self._change()

    def forget(self, *task_ids: str) -> None:
        """The server was put back to an older copy, in which these tasks (or none at all) are not."""
        for task_id in task_ids or tuple(self.tasks):
            self.tasks.pop(task_id, None)
            self.controls.pop(task_id, None)
        self._change()

    def told(self, task_id: str, kind: str | None = None) -> list[dict[str, Any]]:
        """The events of one task that were taken, in order."""
        return [each for each in self.events if each["task_id"] == task_id and kind in (None, each["kind"])]

    def asked(self, method: str, ending: str) -> list[Asked]:
        """The requests of a method whose path ends so."""
        return [each for each in self.requests if each.method == method and each.path.endswith(ending)]

    async def until(self, condition: Callable[[], Any], timeout_s: float = 10.0) -> None:
        """Returns when something that follows from requests holds."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                await self._changed.wait()

    def _change(self) -> None:
        self._number += 1
        self._changed.set()
        self._changed = asyncio.Event()

    # ── HTTP by hand ───────────────────────────────────────────────────────────────────────────────────────────────

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not a coroutine: asyncio would log each that is cancelled.
        conversation = asyncio.create_task(self._serve(reader, writer))
        self._conversations.add(conversation)

        def end(ended: asyncio.Task[None]) -> None:
            self._conversations.discard(ended)
            if not writer.transport.is_closing():  # it was cancelled before its first step
                writer.transport.abort()

        conversation.add_done_callback(end)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rest = head.split("\r\n")
        method, path, _ = line.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest if each)}
        content = await reader.readexactly(int(headers.get("content-length", "0")))
        asked = Asked(method, path, headers, json.loads(content) if content else None, asyncio.get_running_loop().time())
        self.requests.append(asked)
        answer = self.poison(asked)
        if answer is None:
            answer = self.disguise(await self._behave(asked))
        self._change()
        writer.write(answer.encoded())
        if answer.after == "reset":
            writer.transport.abort()
            return False
        await writer.drain()
        if answer.after == "hang":
            await reader.read()
        return answer.after == "keep"

    async def _behave(self, asked: Asked) -> Answer:
        match asked.method, asked.parts:
            case "GET", ["openapi.json"] if self.has_document:
                return Answer(body=MARKER)
            case "POST", ["api", "events"] if self.batch:
                return Answer(body={"results": [self._take(each) for each in asked.body["events"]]})
            case "POST", ["api", "control", "poll"] if self.batch:
                return await self._poll(asked.body)
            case "POST", ["api", "tasks"]:
                return self._create(asked.body)
            case "GET", ["api", "tasks", task_id]:
                return Answer(body=self._shown(task_id)) if task_id in self.tasks else _problem(404, "no such task")
            case "GET", ["api", "tasks"]:
                return Answer(body={"tasks": [self._shown(each) for each in self.tasks], "next_cursor": None})
            case "GET", ["api", "tasks", task_id, "control"]:
                known = task_id in self.tasks
                return Answer(body=self.controls.get(task_id, _NO_STOP)) if known else _problem(404, "no such task")
            case _, ["api", "tasks", task_id, *rest]:
                return self._write(task_id, rest, asked.body)
        return _problem(404, "no such route")

    # ── What it keeps ──────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, event: dict[str, Any]) -> dict[str, Any]:
        event_id, task_id, kind = event["event_id"], event["task_id"], event["kind"]
        if event_id in self._seen:
            return {"event_id": event_id, "status": "duplicate"}
        if kind == "task_created":
            if task_id in self.tasks:
                return {"event_id": event_id, "status": "rejected", "code": "task_exists", "detail": "it is there"}
            self._put(event)
        elif task_id not in self.tasks:
            return {"event_id": event_id, "status": "rejected", "code": "unknown_task", "detail": "no such task"}
        else:
            self._apply(task_id, kind, event)
        self._seen.add(event_id)
        self.events.append(event)
        return {"event_id": event_id, "status": "ok"}

    def _put(self, fields: dict[str, Any]) -> None:
        steps = {step["step_id"]: "pending" for step in fields.get("steps", ())}
        titles = {step["step_id"]: step["title"] for step in fields.get("steps", ())}
        self.tasks[fields["task_id"]] = {"title": fields["title"], "status": "pending", "steps": steps, "titles": titles}

    def _apply(self, task_id: str, kind: str, fields: dict[str, Any]) -> None:
        task = self.tasks[task_id]
        if kind == "step_status":
            task["steps"][fields["step_id"]] = fields["status"]
        elif kind == "task_status":
            task["status"] = fields["status"]
        elif kind == "interrupt_ack":
            task["status"] = "interrupted"
            self.controls.pop(task_id, None)

    def _create(self, body: dict[str, Any]) -> Answer:
        self._put(body)
        return Answer(201, self._shown(body["task_id"]))

    def _write(self, task_id: str, rest: list[str], body: dict[str, Any]) -> Answer:
        if task_id not in self.tasks:
            return _problem(404, "no such task")
        match rest:
            case []:
                self._apply(task_id, "task_status", body)
            case ["steps", step_id] if step_id in self.tasks[task_id]["steps"]:
                self._apply(task_id, "step_status", {**body, "step_id": step_id})
            case ["interrupt", "ack"]:
                self._apply(task_id, "interrupt_ack", body)
            case ["heartbeat"]:
                pass
            case _:
                return _problem(404, "no such step or route")
        return Answer(body=self._shown(task_id))

    def _shown(self, task_id: str) -> dict[str, Any]:
        task = self.tasks[task_id]
        steps = [
            {"step_id": step_id, "position": position, "title": task["titles"][step_id], "status": status}
            for position, (step_id, status) in enumerate(task["steps"].items(), 1)
        ]
        return {"task_id": task_id, "title": task["title"], "status": task["status"], "steps": steps}

    async def _poll(self, body: dict[str, Any]) -> Answer:
        # Every stop that stands is told in every answer: a client must bear that, and it keeps this server small.
        deadline = asyncio.get_running_loop().time() + body.get("wait_s", 0)
        cursor, at = body.get("cursor"), asyncio.get_running_loop().time
        while not (found := self._standing(body["task_ids"], cursor)) and (left_s := deadline - at()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._changed.wait()
        return Answer(body={"cursor": json.dumps(self.controls), "controls": found})

    def _standing(self, task_ids: list[str], cursor: str | None) -> list[dict[str, Any]]:
        if cursor == json.dumps(self.controls):
            return []
        return [{"task_id": each, **self.controls.get(each, _NO_STOP)} for each in task_ids]


def _problem(status: int, detail: str) -> Answer:
    return Answer(status, {"title": detail, "status": status, "detail": detail})
