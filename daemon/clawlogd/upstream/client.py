"""The only code that speaks HTTP to a backend, and the only one that knows the contract's routes and shapes.

Every answer is read into an ``Answer``: what it means for what was sent. Redirects are never followed (a token and a body would
go elsewhere), replies are capped, and every request has a total timeout.
"""

from __future__ import annotations

import email.utils
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import itemgetter
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from clawlogd import __version__
from clawlogd.clock import Clock
from clawlogd.interrupts.state import Control
from clawlogd.model import Beat, Event, EventKind
from clawlogd.settings import LiveSettings
from clawlogd.upstream.tokens import TokenSource

_NO_ROUTE = frozenset({404, 405, 501})
_PASSING = frozenset({408, 425, 429})


class Outcome(Enum):
    """What an answer means for what was sent."""

    DELIVERED = "delivered"
    TRANSIENT = "transient"
    UNAUTHORIZED = "unauthorized"
    REFUSED = "refused"
    NO_ROUTE = "no_route"


@dataclass(frozen=True, slots=True)
class Answer:
    """A backend's answer, or why there was none.

    Attributes:
        outcome: What it means.
        detail: One line for people.
        status: The HTTP status; None when none came.
        retry_after_s: For how long the server asks to be left alone, clamped.
        body: The decoded reply of a delivery.
    """

    outcome: Outcome
    detail: str = ""
    status: int | None = None
    retry_after_s: float | None = None
    body: Any = None


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What a backend says of one event of a batch."""

    accepted: bool
    code: str | None = None
    detail: str = ""


_TAKEN = Verdict(accepted=True)
_STATUSES = ("ok", "duplicate", "rejected")
_status_of = itemgetter("status")


@dataclass(frozen=True, slots=True)
class RemoteIds:
    """How a server that gives out its own ids names a task and its steps (by position); None where it took ours."""

    task_id: str | None
    steps: tuple[str | None, ...]


class Upstream:
    """One backend, over one connection pool.

    Args:
        base_url: Its address, without a slash at the end.
        tokens: Where its token comes from.
        settings: Bounds of time and size, and how far a ``Retry-After`` is believed.
        clock: For a ``Retry-After`` that is a date.
    """

    def __init__(self, *, base_url: str, tokens: TokenSource, settings: LiveSettings, clock: Clock) -> None:
        self.base_url = base_url
        self._tokens = tokens
        self._settings = settings
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    # ── Batch profile ──────────────────────────────────────────────────────────────────────────────────────────────

    async def post_events(self, records: Sequence[bytes]) -> tuple[Answer, list[Verdict]]:
        """Sends events and beats as one batch.

        Args:
            records: Their JSON objects, in order.

        Returns:
            The answer, and when it is a delivery one verdict for each record.
        """
        answer = await self._request("POST", "/api/events", b'{"events":[' + b",".join(records) + b"]}")
        if answer.status in _NO_ROUTE:
            return Answer(Outcome.NO_ROUTE, answer.detail, answer.status), []
        if answer.outcome is not Outcome.DELIVERED:
            return answer, []
        results = answer.body.get("results") if isinstance(answer.body, dict) else None
        verdicts = _verdicts(results) if isinstance(results, list) else None
        if verdicts is None or len(verdicts) != len(records):
            detail = "POST /api/events: the answer does not list a result for each event"
            return Answer(Outcome.TRANSIENT, detail, answer.status), []
        return answer, verdicts

    async def poll_controls(
        self, task_ids: Sequence[str], cursor: str | None, wait_s: float
    ) -> tuple[Answer, dict[str, Control]]:
        """Asks what changed about the stops of many tasks, letting the server hold the answer until something does.

        Returns:
            The answer (its ``body`` is the next cursor), and what changed, by the backend's task ids.
        """
        body: dict[str, object] = {"task_ids": list(task_ids), "wait_s": wait_s}
        if cursor is not None:
            body["cursor"] = cursor
        answer = await self._request("POST", "/api/control/poll", msgspec.json.encode(body), wait_s=wait_s)
        if answer.status in _NO_ROUTE:
            return Answer(Outcome.NO_ROUTE, answer.detail, answer.status), {}
        if answer.outcome is not Outcome.DELIVERED:
            return answer, {}
        try:
            controls = {_id(each["task_id"]): _control(each) for each in answer.body["controls"]}
            next_cursor = _text(answer.body.get("cursor"))
        except (KeyError, TypeError, ValueError) as error:
            return Answer(
                Outcome.TRANSIENT, f"POST /api/control/poll: not in the contract's form: {error!r}", answer.status
            ), {}
        return Answer(Outcome.DELIVERED, status=answer.status, body=next_cursor), controls

    # ── Plain profile ──────────────────────────────────────────────────────────────────────────────────────────────

    async def send_event(self, event: Event, remote_task_id: str, remote_step_id: str | None) -> Answer:
        """Sends one event by its own route. A kind that has none in the plain profile counts as delivered."""
        route = _route(event, remote_task_id, remote_step_id)
        if route is None:
            return Answer(Outcome.DELIVERED)
        method, path, body = route
        answer = await self._request(method, path, msgspec.json.encode(body), key=event.event_id)
        if answer.status == 409:
            return Answer(Outcome.DELIVERED, answer.detail, 409)
        if event.kind is EventKind.TASK_CREATED and answer.status in _NO_ROUTE:
            # No id is in this address that could be unknown: the route is missing, as when a proxy has lost its server.
            return Answer(Outcome.TRANSIENT, f"{answer.detail}; is this a ClawLog backend, and base_url right?", answer.status)
        if event.kind is EventKind.TASK_CREATED and answer.outcome is Outcome.DELIVERED and not _names_task(answer.body):
            return Answer(Outcome.TRANSIENT, f"{method} {path}: the answer names no task", answer.status)
        return answer

    async def beat(self, beat: Beat, remote_task_id: str) -> Answer:
        """Sends one heartbeat by its own route."""
        body = msgspec.structs.asdict(beat)
        del body["task_id"]
        content = {key: value for key, value in body.items() if value is not None}
        return await self._request("POST", f"/api/tasks/{_segment(remote_task_id)}/heartbeat", msgspec.json.encode(content))

    async def control(self, remote_task_id: str, timeout_s: float | None = None) -> tuple[Answer, Control | None]:
        """Asks whether a stop is wanted for one task."""
        path = f"/api/tasks/{_segment(remote_task_id)}/control"
        answer = await self._request("GET", path, timeout_s=timeout_s)
        if answer.outcome is not Outcome.DELIVERED:
            return answer, None
        try:
            return answer, _control(answer.body)
        except (KeyError, TypeError, ValueError) as error:
            return Answer(Outcome.TRANSIENT, f"GET {path}: not in the contract's form: {error!r}", answer.status), None

    # ── One request ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        key: str | None = None,
        wait_s: float = 0.0,
        timeout_s: float | None = None,
    ) -> Answer:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            token = self._tokens.read(self.base_url)
        except (OSError, ValueError) as error:
            return Answer(Outcome.UNAUTHORIZED, f"the token cannot be read: {error}")
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        timeout = aiohttp.ClientTimeout(
            total=timeout_s or self._settings.now.http.total_timeout_s + wait_s,
            sock_connect=self._settings.now.http.connect_timeout_s,
        )
        where = f"{method} {path}"
        try:
            async with self._open_session().request(
                method, self.base_url + path, data=body, headers=headers, allow_redirects=False, timeout=timeout
            ) as response:
                content = await self._read(response)
        except TimeoutError:
            return Answer(Outcome.TRANSIENT, f"{where}: no answer within {timeout.total:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(Outcome.TRANSIENT, f"{where}: {_reason(error)}")
        if token is not None and content is not None:
            # A server that repeats what it was sent must not bring the token into the log, the outbox or a status.
            content = content.replace(token.encode(), b"[token]")
        return self._classify(where, response, content)

    def _classify(self, where: str, response: aiohttp.ClientResponse, content: bytes | None) -> Answer:
        status = response.status
        if content is None:
            return Answer(
                Outcome.TRANSIENT, f"{where}: the reply is over {self._settings.now.http.max_reply_bytes} bytes", status
            )
        if 200 <= status < 300:
            try:
                return Answer(Outcome.DELIVERED, status=status, body=msgspec.json.decode(content) if content.strip() else None)
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                return Answer(Outcome.TRANSIENT, f"{where}: HTTP {status}, and the body is not JSON: {error}", status)
        said = f"{where}: HTTP {status}{_said(content)}"
        if status in {401, 403}:
            return Answer(Outcome.UNAUTHORIZED, said, status)
        if 300 <= status < 400:
            return Answer(Outcome.TRANSIENT, f"{said}; redirects are not followed: set base_url to where it leads", status)
        if status in _PASSING or status >= 500 or status < 200:
            return Answer(Outcome.TRANSIENT, said, status, self._retry_after(response.headers.get("Retry-After")))
        return Answer(Outcome.REFUSED, said, status)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes | None:
        content = bytearray()
        async for chunk in response.content.iter_any():
            content += chunk
            if len(content) > self._settings.now.http.max_reply_bytes:
                response.close()
                return None
        return bytes(content)

    def _retry_after(self, value: str | None) -> float | None:
        if value is None:
            return None
        text = value.strip()
        if text.isascii() and text.isdigit():
            return min(float(text[:12]), self._settings.now.retry.max_retry_after_s)
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - self._clock.wall_ms() / 1000
        except (ValueError, OverflowError):
            return None
        return min(max(seconds, 0.0), self._settings.now.retry.max_retry_after_s)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=8),
                headers={"User-Agent": f"clawlogd/{__version__}"},
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
            )
        return self._session


def remote_ids(event: Event, body: object) -> RemoteIds:
    """Reads the ids that a server gave to a created task, where they differ from those that it was offered."""
    if not isinstance(body, dict):
        return RemoteIds(None, ())
    task_id = _id(body.get("task_id", body.get("id")))
    own = task_id if task_id and task_id != event.task_id else None
    listed = body.get("steps")
    offered = [step.step_id for step in event.steps or ()]
    if not isinstance(listed, list) or len(listed) != len(offered):
        return RemoteIds(own, ())
    found = sorted((each for each in listed if isinstance(each, dict)), key=_position) if _positioned(listed) else listed
    ids = [_id(each.get("step_id", each.get("id"))) if isinstance(each, dict) else "" for each in found]
    return RemoteIds(
        own, tuple(remote if remote and remote != local else None for remote, local in zip(ids, offered, strict=True))
    )


def _route(event: Event, task_id: str, step_id: str | None) -> tuple[str, str, dict[str, object]] | None:
    task = f"/api/tasks/{_segment(task_id)}"
    said = {key: value for key, value in (("summary", event.summary), ("at", event.at)) if value is not None}
    match event.kind:
        case EventKind.TASK_CREATED:
            steps = [{"step_id": step.step_id, "title": step.title} for step in event.steps or ()]
            extra = {key: value for key, value in (("summary", event.summary), ("metadata", event.metadata)) if value}
            return "POST", "/api/tasks", {"task_id": event.task_id, "title": event.title, "steps": steps, **extra}
        case EventKind.TASK_STATUS:
            return "PATCH", task, {"status": event.status, **said}
        case EventKind.STEP_STATUS:
            return "PATCH", f"{task}/steps/{_segment(step_id or event.step_id or '')}", {"status": event.status, **said}
        case EventKind.INTERRUPT_ACK:
            answered = {"interrupt_id": event.interrupt_id} if event.interrupt_id else {}
            return "POST", f"{task}/interrupt/ack", {**answered, **said}
        case _:
            return None


def _verdicts(results: list[Any]) -> list[Verdict] | None:
    """What becomes of each event; None where that is not said of each."""
    try:
        statuses = list(map(_status_of, results))
    except (TypeError, KeyError):
        return None
    if statuses.count("ok") == len(statuses):  # as they mostly are
        return [_TAKEN] * len(statuses)
    if any(status not in _STATUSES for status in statuses):
        return None
    return [
        Verdict(accepted=False, code=_text(each.get("code")), detail=_text(each.get("detail")) or "")
        if each["status"] == "rejected"
        else _TAKEN
        for each in results
    ]


def _names_task(body: object) -> bool:
    return isinstance(body, dict) and bool(_id(body.get("task_id", body.get("id"))))


def _control(value: Mapping[str, Any]) -> Control:
    requested = value["interrupt_requested"]
    if not isinstance(requested, bool):
        raise TypeError("interrupt_requested is not a boolean")
    return Control(
        interrupt_requested=requested,
        mode=_text(value.get("mode")),
        interrupt_id=_id(value.get("interrupt_id")) or None,
        reason=_text(value.get("reason")),
        requested_at=_text(value.get("requested_at")),
    )


def _id(value: object) -> str:
    # An integer id is read as its digits.
    return str(value)[:64] if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _text(value: object) -> str | None:
    return None if value is None else str(value)[:1000]


def _segment(text: str) -> str:
    return quote(text, safe="")


def _positioned(steps: list[Any]) -> bool:
    return all(isinstance(each, dict) and isinstance(each.get("position"), int) for each in steps)


def _position(step: Mapping[str, int]) -> int:
    return step["position"]


def _said(content: bytes) -> str:
    """What an error reply says, as one short line: the title and detail of a problem document, or its first words."""
    try:
        problem = json.loads(content)
        text = " ".join(str(problem[key]) for key in ("title", "detail") if problem.get(key)) or content.decode()
    except (ValueError, AttributeError, TypeError, RecursionError):
        text = content[:400].decode("utf-8", "replace")
    line = " ".join(text.split())[:300]
    return f": {line}" if line else ""


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {error.os_error.strerror or error.os_error}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection without an answer"
    return f"{type(error).__name__}: {error}"[:300]
