"""A task's life told to a foreign server through a contract, and the oracle that compares what it holds with what was said.

The application is called in this process, without a socket: what is tried here is what a contract makes of reports and answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

from fastapi import FastAPI

from clawlogd.model import Beat, Event, EventKind, Evidence, NewStep
from clawlogd.upstream.answers import Answer, Outcome, read_reply
from clawlogd.upstream.contracts.contract import Contract
from clawlogd.upstream.contracts.interpreter import Interpreter
from clawlogd.upstream.controls import Control, Unreadable
from clawlogd.upstream.remote_ids import RemoteIds
from clawlogd.upstream.routes import HttpRequest
from support.foreign.held import Held

AT = "2026-11-26T10:00:00.000Z"
TITLE = "部署 Nginx 服务"
STEPS = ("检查本地环境", "编写配置文件", "启动并测试")
LONG = "starting config generation " * 20
_CONFLICT = 409


class Server(Protocol):
    """What the oracle needs of a server."""

    app: FastAPI
    held: Held


@dataclass
class Said:
    """What was said, and what came of it.

    Attributes:
        task_id: The server's id of the task.
        refused: Requests that were not taken.
        stops: What the question for a stop was answered: before, after, and behind the acknowledgement.
    """

    task_id: str = ""
    refused: list[str] = field(default_factory=list)
    stops: list[Control | Unreadable] = field(default_factory=list)


async def conversation(server: Server, contract: Contract) -> Said:
    """Creates two tasks, reports on the second, asks for a stop, acknowledges it."""
    said, interpreter = Said(), Interpreter(contract)

    async def send(request: HttpRequest) -> Answer:
        status, content = await call(server.app, request)
        answer = interpreter.judge(str(request), read_reply(str(request), status, content))
        if answer.outcome is not Outcome.DELIVERED:
            said.refused.append(f"{request}: {answer.detail}")
        return answer

    ids = RemoteIds(None, ())
    for _ in range(2):
        steps = tuple(NewStep(f"T-{number}", title) for number, title in enumerate(STEPS, 1))
        created = _event(EventKind.TASK_CREATED, title=TITLE, steps=steps)
        answer = await send(interpreter.create(created))
        ids = interpreter.remote_ids(created, answer.body) or ids
    said.task_id = ids.task_id or ""

    async def step(position: int, status: str, summary: str | None = None) -> None:
        event = _event(EventKind.STEP_STATUS, status=status, summary=summary)
        request = interpreter.step(event, said.task_id, ids.steps[position - 1] or "")
        if request is None:
            said.refused.append(f"nothing can be told of step {position}")
        elif (await send(request)).status == _CONFLICT:
            said.refused.pop()
            await step(position, "running")
            await send(request)

    async def control() -> None:
        question = interpreter.control(said.task_id)
        assert question is not None
        said.stops.append(interpreter.read_control((await send(question)).body))

    await step(1, "running")
    await step(1, "done", "ok")
    await step(2, "running", LONG)
    await step(2, "failed", "nginx.conf is wrong")
    beat = Beat(
        task_id="T", at=AT, agent_seen_at=AT, evidence=Evidence.COMMAND, stalled=False, summary="writing config template"
    )
    heartbeat = interpreter.heartbeat(beat, said.task_id)
    assert heartbeat is not None
    await send(heartbeat)
    await control()
    if said.task_id in server.held.tasks:
        server.held.press_stop(said.task_id)
    await control()
    acknowledgement = interpreter.ack(_event(EventKind.INTERRUPT_ACK, summary="stopped after current step"), said.task_id)
    assert acknowledgement is not None
    await send(acknowledgement)
    await control()
    await step(3, "skipped")
    for request in interpreter.task(_event(EventKind.TASK_STATUS, status="interrupted", summary="2 of 3"), said.task_id):
        await send(request)
    return said


def faults(server: Server, said: Said) -> list[str]:
    """Where what a server holds differs from what was said; empty when all is right."""
    found = [*said.refused, *server.held.misused]
    if len(server.held.tasks) != 2 or said.task_id not in server.held.tasks:
        return [*found, f"the task {said.task_id!r} is not one of {list(server.held.tasks)}"]
    task = server.held.tasks[said.task_id]
    if len(task.steps) != len(STEPS):
        return [*found, f"the steps are {task.steps}"]
    first, second, third = task.steps
    if (task.title, *(each.title for each in task.steps)) != (TITLE, *STEPS):
        found.append(f"titles {task.title!r}, {[each.title for each in task.steps]}")
    if [status for status, _ in first.told] != ["running", "done"] or first.told[-1][1] != "ok":
        found.append(f"the first step was told {first.told}")
    if [status for status, _ in second.told] != ["running", "failed"] or second.told[-1][1] != "nginx.conf is wrong":
        found.append(f"the second step was told {second.told}")
    if second.told and not LONG.startswith((second.told[0][1] or "").removesuffix("…")):
        found.append(f"the long summary became {second.told[0][1]!r}")
    if (
        third.status not in {"skipped", "done"}
        or not third.told
        or (third.status == "done" and "skipped" not in (third.told[-1][1] or ""))
    ):
        found.append(f"the third step is {third.told}")
    if not task.beats or "writing config template" not in task.summaries:
        found.append(f"heartbeats {task.beats}, {task.summaries}")
    if task.acks != ["stopped after current step"]:
        found.append(f"acknowledgements {task.acks}")
    asked = [each.interrupt_requested if isinstance(each, Control) else each for each in said.stops]
    if asked[:2] != [False, True] or not isinstance(asked[2], bool):
        found.append(f"stops {asked}")
    return found


async def call(app: FastAPI, request: HttpRequest) -> tuple[int, bytes]:
    """Calls an application as a server would; returns status and body."""
    path, sent, status = request.path, iter([request.body or b""]), 0
    content = bytearray()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": next(sent), "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            content.extend(message.get("body", b""))

    headers = [(b"content-type", b"application/json")] if request.body is not None else []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": request.method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": urlencode(request.query).encode(), "headers": headers,
        "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    return status, bytes(content)


def _event(kind: EventKind, **members: Any) -> Event:
    return Event(event_id="01930000-0000-7000-8000-000000000000", task_id="T", kind=kind, at=AT, **members)
