"""What a backend's answers mean: pure functions from a status and a body to a value.

Everything that a server sends is untrusted: ids may be integers, fields may be missing, any text may be long. What is not in
the contract's form is no answer, and what was asked for is tried again.
"""

from __future__ import annotations

import email.utils
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import itemgetter
from typing import Any

import msgspec

from clawlogd.model import Event, EventKind

_NO_ROUTE = frozenset({404, 405, 501})
_PASSING = frozenset({408, 425, 429})
_STATUSES = ("ok", "duplicate", "rejected")
_MAX_ID_CHARS = 64
_MAX_TEXT_CHARS = 1000
_MAX_DETAIL_CHARS = 300


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
    """What a backend decided about one event of a batch."""

    accepted: bool
    code: str | None = None
    detail: str = ""


class Control(msgspec.Struct, frozen=True):
    """A task's control state, read from either of the backend's routes."""

    interrupt_requested: bool
    mode: str | None = None
    interrupt_id: str | None = None
    reason: str | None = None
    requested_at: str | None = None


@dataclass(frozen=True, slots=True)
class RemoteIds:
    """How a server that gives out its own ids names a task and its steps (by position); None where it took ours."""

    task_id: str | None
    steps: tuple[str | None, ...]


_ACCEPTED = Verdict(accepted=True)
_status_of = itemgetter("status")


# ── Any reply ──────────────────────────────────────────────────────────────────────────────────────────────────────


def read_reply(sent: str, status: int, content: bytes, retry_after_s: float | None = None) -> Answer:
    """Reads a reply by its status.

    Args:
        sent: Method and path of the request, for people.
        status: The HTTP status.
        content: The body.
        retry_after_s: For how long the server asks to be left alone, clamped.
    """
    if 200 <= status < 300:
        try:
            return Answer(Outcome.DELIVERED, status=status, body=msgspec.json.decode(content) if content.strip() else None)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            return Answer(Outcome.TRANSIENT, f"{sent}: HTTP {status}, and the body is not JSON: {error}", status)
    detail = f"{sent}: HTTP {status}{_problem(content)}"
    if status in {401, 403}:
        return Answer(Outcome.UNAUTHORIZED, detail, status)
    if 300 <= status < 400:
        return Answer(Outcome.TRANSIENT, f"{detail}; redirects are not followed: set base_url to where it leads", status)
    if status in _PASSING or status >= 500 or status < 200:
        return Answer(Outcome.TRANSIENT, detail, status, retry_after_s)
    return Answer(Outcome.REFUSED, detail, status)


def read_retry_after(value: str | None, *, now_ms: int, max_s: float) -> float | None:
    """Reads a ``Retry-After`` header (RFC 9110, section 10.2.3): seconds, or a date.

    Args:
        value: The header; None where there was none.
        now_ms: The time now, in milliseconds since 1970.
        max_s: What the result is clamped to.

    Returns:
        Seconds from now; None where there is no header that can be read.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), max_s)
    try:
        seconds = email.utils.parsedate_to_datetime(text).timestamp() - now_ms / 1000
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), max_s)


def without_route(answer: Answer) -> Answer | None:
    """The answer of a server that lacks an optional route; None where the answer is another."""
    return Answer(Outcome.NO_ROUTE, answer.detail, answer.status) if answer.status in _NO_ROUTE else None


# ── Batch profile ──────────────────────────────────────────────────────────────────────────────────────────────────


def read_batch(sent: str, answer: Answer, count: int) -> tuple[Answer, list[Verdict]]:
    """Reads the answer to a batch of ``count`` records.

    Returns:
        The answer, and when it is a delivery one verdict for each record.
    """
    if missing := without_route(answer):
        return missing, []
    if answer.outcome is not Outcome.DELIVERED:
        return answer, []
    results = answer.body.get("results") if isinstance(answer.body, dict) else None
    verdicts = _verdicts(results) if isinstance(results, list) else None
    if verdicts is None or len(verdicts) != count:
        return Answer(Outcome.TRANSIENT, f"{sent}: the answer does not list a result for each event", answer.status), []
    return answer, verdicts


def read_poll(sent: str, answer: Answer) -> tuple[Answer, dict[str, Control]]:
    """Reads the answer to a poll of many tasks' control states.

    Returns:
        The answer (its ``body`` is the next cursor), and what changed, by the backend's task ids.
    """
    if missing := without_route(answer):
        return missing, {}
    if answer.outcome is not Outcome.DELIVERED:
        return answer, {}
    try:
        controls = {_id(each["task_id"]): _control(each) for each in answer.body["controls"]}
        next_cursor = _text(answer.body.get("cursor"))
    except (KeyError, TypeError, ValueError) as error:
        return Answer(Outcome.TRANSIENT, f"{sent}: not in the contract's form: {error!r}", answer.status), {}
    return Answer(Outcome.DELIVERED, status=answer.status, body=next_cursor), controls


# ── Plain profile ──────────────────────────────────────────────────────────────────────────────────────────────────


def read_single(sent: str, event: Event, answer: Answer) -> Answer:
    """Reads the answer to one event that was sent by its own route.

    A conflict means that the backend has the event. A created task is delivered when the answer names one; where its route is
    missing, the address is no backend's, for no id is in it that could be unknown.
    """
    if answer.status == 409:
        return Answer(Outcome.DELIVERED, answer.detail, 409)
    if event.kind is not EventKind.TASK_CREATED:
        return answer
    if answer.status in _NO_ROUTE:
        return Answer(Outcome.TRANSIENT, f"{answer.detail}; is this a ClawLog backend, and base_url right?", answer.status)
    if answer.outcome is Outcome.DELIVERED and not _names_task(answer.body):
        return Answer(Outcome.TRANSIENT, f"{sent}: the answer names no task", answer.status)
    return answer


def read_control(sent: str, answer: Answer) -> tuple[Answer, Control | None]:
    """Reads the answer to a question about one task's control state; None where it holds none."""
    if answer.outcome is not Outcome.DELIVERED:
        return answer, None
    try:
        return answer, _control(answer.body)
    except (KeyError, TypeError, ValueError) as error:
        return Answer(Outcome.TRANSIENT, f"{sent}: not in the contract's form: {error!r}", answer.status), None


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


# ── Values ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _verdicts(results: Sequence[Any]) -> list[Verdict] | None:
    """A verdict for each result; None where one of them has no known status."""
    try:
        statuses = list(map(_status_of, results))
    except (TypeError, KeyError):
        return None
    if statuses.count("ok") == len(statuses):  # as they mostly are
        return [_ACCEPTED] * len(statuses)
    if any(status not in _STATUSES for status in statuses):
        return None
    return [
        Verdict(accepted=False, code=_text(each.get("code")), detail=_text(each.get("detail")) or "")
        if each["status"] == "rejected"
        else _ACCEPTED
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
    return str(value)[:_MAX_ID_CHARS] if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _text(value: object) -> str | None:
    return None if value is None else str(value)[:_MAX_TEXT_CHARS]


def _positioned(steps: list[Any]) -> bool:
    return all(isinstance(each, dict) and isinstance(each.get("position"), int) for each in steps)


def _position(step: Mapping[str, int]) -> int:
    return step["position"]


def _problem(content: bytes) -> str:
    """An error reply as one short line: the title and detail of a problem document, or its first words."""
    try:
        problem = json.loads(content)
        text = " ".join(str(problem[key]) for key in ("title", "detail") if problem.get(key)) or content.decode()
    except (ValueError, AttributeError, TypeError, RecursionError):
        text = content[:400].decode("utf-8", "replace")
    line = " ".join(text.split())[:_MAX_DETAIL_CHARS]
    return f": {line}" if line else ""
