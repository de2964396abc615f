"""A backend on a real socket that follows the HTTP contract to the letter, except when it is told to misbehave.

What it applied, in which order, stands in ``history``: the effective truth that the oracle judges by. An ``event_id`` seen
before changes nothing. Misbehaviour happens before or after a request is executed, never instead of the rules: a reply that
is lost belongs to an effect that has happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aiohttp import web

from faults.loop_thread import LoopThread
from faults.oracle import Change
from support.documents import STANDARD

HUGE_REPLY_BYTES = 8 * 1024**2


class Misbehaviour(StrEnum):
    """Everything that a backend may do to a request."""

    HANG = "hang"
    DRIP = "drip"
    TRUNCATE = "truncate"
    RESET_BEFORE = "reset before it executes"
    RESET_AFTER = "reset after it has executed"
    GARBAGE = "garbage instead of HTTP"
    NOT_JSON = "200 with a page"
    WRONG_FORM = "200 with JSON of another form"
    WRONG_LENGTH = "200 with too few results"
    HUGE = "a reply without end"
    REDIRECT = "302"
    UNAUTHORIZED = "401"
    TOO_MANY = "429"
    ERROR = "500"
    UNAVAILABLE = "503"


RETRY_AFTERS = (
    "0",
    "1",
    "  1 ",
    "-5",
    "1e9",
    "999999999999999999999",
    "soon",
    "",
    "1.5",
    "Wed, 21 Oct 2015 07:28:00 GMT",
    "\t",
)
"""Forms of ``Retry-After`` that servers have been seen to send; none may stall or crash a client."""

_EXECUTES = frozenset(
    {
        Misbehaviour.DRIP,
        Misbehaviour.TRUNCATE,
        Misbehaviour.RESET_AFTER,
        Misbehaviour.NOT_JSON,
        Misbehaviour.WRONG_FORM,
        Misbehaviour.WRONG_LENGTH,
        Misbehaviour.HUGE,
    }
)

Policy = Callable[[], Misbehaviour | None]
"""Asked once for each request: what to do to it."""


def always(what: Misbehaviour) -> Policy:
    """The same for every request."""
    return lambda: what


def at_random(share: float, seed: int, among: Iterable[Misbehaviour] = tuple(Misbehaviour)) -> Policy:
    """A share of the requests, each with one drawn from ``among``."""
    draw, choices = random.Random(seed), sorted(among)
    return lambda: draw.choice(choices) if draw.random() < share else None


def in_order(steps: Iterable[Misbehaviour | None]) -> Policy:
    """One after the other, then nothing more."""
    remaining = iter(tuple(steps))
    return lambda: next(remaining, None)


class Poison(StrEnum):
    """How a backend turns down an event that it cannot stomach."""

    REJECTED = "rejected"
    WHOLE_422 = "422 for the whole batch"
    WHOLE_500 = "500 for the whole batch"


@dataclass(slots=True)
class _Task:
    remote_id: str
    steps: dict[str, str]  # the id that this server uses, to the one that it was offered


@dataclass
class FaultyBackend:
    """The server, in a thread of its own.

    Attributes:
        token: The bearer token that it wants, if any.
        plain_only: Whether it lacks the batch routes.
        own_ids: Whether it gives out ids of its own (on the plain routes) instead of those it is offered.
        policy: What it does to requests.
        retry_afters: The ``Retry-After`` values that go with 429 and 503, in turn.
        is_poison: Which events it cannot stomach.
        poison: What it does about them.
        history: What it applied.
        heartbeats: How many beats it took.
        requests: How many requests came in for events.
        delay_s: How long it takes over each of them.
    """

    token: str | None = None
    plain_only: bool = False
    own_ids: bool = False
    policy: Policy = lambda: None
    retry_afters: tuple[str, ...] = ("0",)
    is_poison: Callable[[Change], bool] = lambda _: False
    poison: Poison = Poison.REJECTED
    history: list[Change] = field(default_factory=list)
    heartbeats: int = 0
    requests: int = 0
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._seen: dict[str, Any] = {}
        self._tasks: dict[str, _Task] = {}
        self._numbers = itertools.count(1)
        self._retry_after = itertools.count()
        self._thread = LoopThread("faulty-backend")
        self._runner: web.AppRunner | None = None

    # ── Up and down ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def base_url(self) -> str:
        """Its address, the same whenever it is up."""
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> None:
        """Serves from now on."""
        if self._runner is None:
            self._thread.run(self._start())

    def down(self) -> None:
        """Refuses connections from now on, and cuts those that are open."""
        if self._runner is not None:
            self._thread.run(self._stop())

    def close(self) -> None:
        """Ends for good."""
        self.down()
        self._thread.close()
        self._socket.close()

    def forget(self) -> None:
        """Begins with an empty history, as another backend would."""
        self.history, self._seen, self._tasks = [], {}, {}

    def accept_task(self, task_id: str, step_ids: Iterable[str]) -> None:
        """Knows a task from before."""
        self._tasks[task_id] = _Task(task_id, {step_id: step_id for step_id in step_ids})

    @contextlib.contextmanager
    def misbehaving(self, policy: Policy) -> Iterator[None]:
        """Misbehaves for a while."""
        self.policy = policy
        try:
            yield
        finally:
            self.policy = lambda: None

    async def _start(self) -> None:
        app = web.Application(client_max_size=4 * 1024**2, middlewares=[self._misbehave])
        app.add_routes([STANDARD])
        app.router.add_post("/api/events", self._events)
        app.router.add_post("/api/control/poll", self._poll)
        app.router.add_post("/api/tasks", self._create)
        app.router.add_patch("/api/tasks/{task_id}", self._update_task)
        app.router.add_patch("/api/tasks/{task_id}/steps/{step_id}", self._update_step)
        app.router.add_post("/api/tasks/{task_id}/heartbeat", self._heartbeat)
        app.router.add_get("/api/tasks/{task_id}/control", self._control)
        app.router.add_post("/api/tasks/{task_id}/interrupt/ack", self._ack)
        self._runner = web.AppRunner(app, shutdown_timeout=0.05, access_log=None, handler_cancellation=True)
        await self._runner.setup()
        # A new socket each time: a listening one that nobody accepts from would let callers hang instead of refusing them.
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.close()
        listening.bind(("127.0.0.1", self.port))
        await web.SockSite(self._runner, listening).start()

    async def _stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    # ── Misbehaviour ───────────────────────────────────────────────────────────────────────────────────────────────

    @web.middleware
    async def _misbehave(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            return _problem(401, "the token is not known here")
        if request.method == "GET" or request.path == "/api/control/poll":
            return await handler(request)  # type: ignore[no-any-return]
        self.requests += 1
        await asyncio.sleep(self.delay_s)
        what = self.policy()
        if what is None:
            return await handler(request)  # type: ignore[no-any-return]
        body = b"{}"
        if what in _EXECUTES:
            answer: web.Response = await handler(request)
            body = answer.body if isinstance(answer.body, bytes) else b"{}"
        return await self._spoil(what, request, body)

    async def _spoil(self, what: Misbehaviour, request: web.Request, body: bytes) -> web.StreamResponse:
        """Breaks the connection instead of answering, or answers wrongly."""
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        match what:
            case Misbehaviour.HANG:
                await asyncio.sleep(3600)
            case Misbehaviour.DRIP:
                transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
                while not transport.is_closing():
                    transport.write(b" ")
                    await asyncio.sleep(0.05)
            case Misbehaviour.TRUNCATE:
                transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body) + 1, body[:-1]))
                transport.close()
            case Misbehaviour.RESET_BEFORE | Misbehaviour.RESET_AFTER:
                _reset(transport)
            case Misbehaviour.GARBAGE:
                transport.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 220 mail.example ESMTP\r\n" * 3)
                transport.close()
            case _:
                return self._answer_wrongly(what, body)
        return web.Response()  # to a connection that is closed by now

    def _answer_wrongly(self, what: Misbehaviour, body: bytes) -> web.Response:
        match what:
            case Misbehaviour.NOT_JSON:
                return web.Response(text="<html>Welcome to the hotel's network</html>", content_type="text/html")
            case Misbehaviour.WRONG_FORM:
                return web.json_response({"results": [{"status": "maybe"}] * len(json.loads(body).get("results", [0]))})
            case Misbehaviour.WRONG_LENGTH:
                return web.json_response({"results": json.loads(body).get("results", [])[:-1]})
            case Misbehaviour.HUGE:
                return web.Response(body=b" " * HUGE_REPLY_BYTES + body, content_type="application/json")
            case Misbehaviour.REDIRECT:
                return web.Response(status=302, headers={"Location": f"{self.base_url}/healthz"})
            case Misbehaviour.TOO_MANY | Misbehaviour.UNAVAILABLE:
                value = self.retry_afters[next(self._retry_after) % len(self.retry_afters)]
                return _problem(int(what), "not now", {"Retry-After": value})
            case _:
                return _problem(int(what), "for no reason")

    # ── The contract ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _events(self, request: web.Request) -> web.Response:
        if self.plain_only:
            return _problem(404, "no such route")
        events = (await request.json())["events"]
        assert len(events) <= 1000, "more than the contract allows"
        assert (request.content_length or 0) <= 1024**2, "larger than the contract allows"
        if self.poison is not Poison.REJECTED and any(self.is_poison(_change(each)) for each in events):
            return _problem(int(self.poison[:3]), "one of these cannot be stomached")
        return web.json_response({"results": [self._take(each) for each in events]})

    def _take(self, event: dict[str, Any]) -> dict[str, Any]:
        event_id = event["event_id"]
        if event["kind"] == "heartbeat":
            self.heartbeats += 1
            return {"event_id": event_id, "status": "ok"}
        if event_id in self._seen:
            return {"event_id": event_id, "status": "duplicate"}
        change = _change(event)
        if self.is_poison(change):
            return {"event_id": event_id, "status": "rejected", "code": "422", "detail": "cannot be stomached"}
        if change.kind == "task_created":
            self._tasks[change.task_id] = _Task(change.task_id, {each["step_id"]: each["step_id"] for each in event["steps"]})
        elif change.task_id not in self._tasks:
            return {"event_id": event_id, "status": "rejected", "code": "404", "detail": "no such task"}
        self._seen[event_id] = None
        self.history.append(change)
        return {"event_id": event_id, "status": "ok"}

    async def _poll(self, request: web.Request) -> web.Response:
        if self.plain_only:
            return _problem(404, "no such route")
        await asyncio.sleep(float((await request.json()).get("wait_s", 0)))
        return web.json_response({"cursor": "1", "controls": []})

    async def _create(self, request: web.Request) -> web.Response:
        offered = await request.json()

        def create() -> dict[str, Any]:
            task_id = offered["task_id"]
            number = next(self._numbers)
            own = {each["step_id"]: f"{number * 1000 + place}" for place, each in enumerate(offered["steps"])}
            names = {step_id: own[step_id] if self.own_ids else step_id for step_id in own}
            remote_id = str(number) if self.own_ids else task_id
            self._tasks[remote_id] = _Task(task_id, {name: step_id for step_id, name in names.items()})
            steps = [
                {"step_id": int(names[each["step_id"]]) if self.own_ids else each["step_id"], "position": place}
                for place, each in enumerate(offered["steps"], 1)
            ]
            return {"task_id": int(remote_id) if self.own_ids else task_id, "status": "pending", "steps": steps}

        return self._once(
            request, Change(_key(request), offered["task_id"], "task_created", summary=offered.get("summary")), create
        )

    async def _update_task(self, request: web.Request) -> web.Response:
        return await self._apply(request, "task_status")

    async def _update_step(self, request: web.Request) -> web.Response:
        return await self._apply(request, "step_status")

    async def _ack(self, request: web.Request) -> web.Response:
        return await self._apply(request, "interrupt_ack")

    async def _heartbeat(self, request: web.Request) -> web.Response:
        self.heartbeats += 1
        return web.json_response({})

    async def _control(self, request: web.Request) -> web.Response:
        return web.json_response({"interrupt_requested": False})

    async def _apply(self, request: web.Request, kind: str) -> web.Response:
        given = await request.json()
        task = self._tasks.get(request.match_info["task_id"])
        step_id = request.match_info.get("step_id")
        if task is None or (step_id is not None and step_id not in task.steps):
            return _problem(404, "no such task or step")
        offered = None if step_id is None else task.steps[step_id]
        change = Change(_key(request), task.remote_id, kind, offered, given.get("status"), given.get("summary"))
        return self._once(request, change, lambda: {"status": given.get("status")})

    def _once(self, request: web.Request, change: Change, effect: Callable[[], dict[str, Any]]) -> web.Response:
        if change.event_id in self._seen:
            return web.json_response(self._seen[change.event_id])
        if self.is_poison(change):
            return _problem(500 if self.poison is Poison.WHOLE_500 else 422, "cannot be stomached")
        answer = self._seen[change.event_id] = effect()
        self.history.append(change)
        return web.json_response(answer, status=201 if change.kind == "task_created" else 200)


def _change(event: dict[str, Any]) -> Change:
    fields = (event.get(name) for name in ("step_id", "status", "summary"))
    return Change(event["event_id"], event["task_id"], event["kind"], *fields)


def _key(request: web.Request) -> str:
    return request.headers["Idempotency-Key"]


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(
        {"title": "No", "detail": detail}, status=status, headers=headers, content_type="application/problem+json"
    )


def _reset(transport: asyncio.Transport) -> None:
    """Closes with a TCP reset instead of an orderly end."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    transport.abort()
