"""What a backend's answers mean: pure functions from a status and a body to a value.

Everything that a server sends is untrusted: ids may be integers, fields may be missing, any text may be long, or hold what no
text may: all of it comes in through ``clawlogd.text``. What is not in the contract's form is no answer, and what was asked for
is tried again.
"""

from __future__ import annotations

import codecs
import email.utils
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from operator import itemgetter
from typing import Any, NoReturn

import msgspec

from clawlogd.model import Event, EventKind
from clawlogd.text import clean_text, clean_word

_NO_ROUTE = frozenset({404, 405, 501})
_PASSING = frozenset({408, 425, 429})
_OPTIONAL_KINDS = frozenset({EventKind.PLAN, EventKind.STEP_ADDED, EventKind.METADATA, EventKind.LINK})
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_STATUSES = ("ok", "duplicate", "rejected")
_GONE = frozenset({404, 410})
_UNKNOWN_TASK = frozenset({"unknown_task", "task_not_found", "404"})
MAX_ID_CHARS = 64
_MAX_TEXT_CHARS = 1000
_MAX_PROBLEM_CHARS = 300
_MAX_DETAIL_CHARS = 400
_STATUS_DIGITS = 3
_PAGE_BYTES = 1000


class Outcome(Enum):
    """What an answer means for what was sent."""

    DELIVERED = "delivered"
    TRANSIENT = "transient"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    """403: one event's fault, or the backend as a whole; what becomes of its neighbours tells."""
    REFUSED = "refused"
    NO_ROUTE = "no_route"
    NO_CONTRACT = "no_contract"
    """What was sent does not exist there, or is answered by something else than a ClawLog: how to speak to it is not known."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A backend's answer, or why there was none.

    Attributes:
        outcome: What it means.
        detail: One line for people; whatever it is made from, it has passed the door.
        status: The HTTP status; None when none came.
        retry_after_s: For how long the server asks to be left alone, clamped.
        body: The decoded reply of a delivery.
        with_token: Whether a token was sent.
        is_lost: Whether the request may have arrived though no answer came.
        etag: The version of a document, as the server names it; None where it names none.
    """

    outcome: Outcome
    detail: str = ""
    status: int | None = None
    retry_after_s: float | None = None
    body: Any = None
    with_token: bool = False
    is_lost: bool = False
    etag: str | None = None

    def __post_init__(self) -> None:
        """Passes the detail through the door, wherever its words are from."""
        if self.detail:
            object.__setattr__(self, "detail", clean_text(self.detail, _MAX_DETAIL_CHARS))

    @property
    def is_gone(self) -> bool:
        """Whether what was asked about does not exist there."""
        return self.status in _GONE


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What a backend decided about one event of a batch."""

    accepted: bool
    code: str | None = None
    detail: str = ""

    @property
    def status(self) -> int | None:
        """The HTTP status that the code is: three ASCII digits; None for any other code."""
        code = self.code
        digits = code is not None and len(code) == _STATUS_DIGITS and code.isascii() and code.isdigit()
        return int(code) if code and digits and code[0] != "0" else None

    @property
    def unknown_task(self) -> bool:
        """Whether the backend does not know the task."""
        return not self.accepted and self.code in _UNKNOWN_TASK


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
            return Answer(Outcome.DELIVERED, status=status, body=_decode(content))
        except (ValueError, RecursionError) as error:
            is_page = content[:_PAGE_BYTES].lstrip().lower().startswith((b"<!doctype html", b"<html"))
            found = "is a web page (to sign in?), not JSON" if is_page else f"is not JSON: {error}"
            return Answer(Outcome.TRANSIENT, f"{sent}: HTTP {status}, and the body {found}", status)
    detail = f"{sent}: HTTP {status}{_problem(content)}"
    if status == _UNAUTHORIZED:
        return Answer(Outcome.UNAUTHORIZED, detail, status)
    if status == _FORBIDDEN:
        return Answer(Outcome.FORBIDDEN, detail, status)
    if 300 <= status < 400:
        return Answer(Outcome.TRANSIENT, f"{detail}; redirects are not followed: set base_url to where it leads", status)
    if status in _PASSING or status >= 500 or status < 200:
        return Answer(Outcome.TRANSIENT, detail, status, retry_after_s)
    return Answer(Outcome.REFUSED, detail, status)


def _decode(content: bytes) -> Any:
    """A body's JSON; None for an empty one.

    A text in it that cannot be encoded does not make the rest unreadable: each text is cleaned where it is taken out.

    Raises:
        ValueError: It is not JSON.
        RecursionError: It is nested too deeply.
    """
    content = content.removeprefix(codecs.BOM_UTF8)
    if not content.strip():
        return None
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeError):
        return json.loads(content.decode("utf-8", "replace"), parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


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
    except (ValueError, OverflowError, TypeError, IndexError):
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


# ── Plain profile ──────────────────────────────────────────────────────────────────────────────────────────────────


def read_single(sent: str, event: Event, answer: Answer) -> Answer:
    """Reads the answer to one event that was sent by its own route.

    A conflict means that the backend has the event. A created task is delivered when the answer names one, or has no body at
    all: then it goes by the id that it was offered. Where its route is missing, the address is no backend's, for no id is in it
    that could be unknown. A route that a server may lack refuses the event, however it says so.
    """
    if answer.status == 409:
        return Answer(Outcome.DELIVERED, answer.detail, 409)
    if answer.status in _NO_ROUTE and event.kind in _OPTIONAL_KINDS:
        return Answer(Outcome.REFUSED, answer.detail, answer.status)
    if event.kind is not EventKind.TASK_CREATED:
        return answer
    if answer.status in _NO_ROUTE:
        return Answer(Outcome.NO_CONTRACT, f"{answer.detail}; is this a ClawLog backend, and base_url right?", answer.status)
    if answer.outcome is Outcome.DELIVERED and answer.body is not None and not names_task(answer.body):
        return Answer(Outcome.NO_CONTRACT, f"{sent}: the answer names no task", answer.status)
    return answer


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
        Verdict(accepted=False, code=read_text(each.get("code")), detail=read_text(each.get("detail")) or "")
        if each["status"] == "rejected"
        else _ACCEPTED
        for each in results
    ]


def names_task(body: object) -> bool:
    """Whether an answer names a task by an id that can be passed back."""
    return isinstance(body, dict) and read_id(body.get("task_id", body.get("id"))) is not None


def read_id(value: object) -> str | None:
    """An id; an integer is read as its digits. None for one that could not be passed back as it came."""
    return clean_word(value, MAX_ID_CHARS)


def read_text(value: object) -> str | None:
    """A text as one line of bounded length; None where nothing is left of it."""
    return None if value is None else clean_text(value, _MAX_TEXT_CHARS) or None


def _problem(content: bytes) -> str:
    """An error reply as one short line: the title and detail of a problem document, or its first words."""
    try:
        problem = json.loads(content)
        parts = [clean_text(problem[key], _MAX_PROBLEM_CHARS) for key in ("title", "detail") if problem.get(key)]
    except (ValueError, AttributeError, TypeError, RecursionError):
        parts = []
    line = " ".join(parts) or clean_text(content[: 4 * _MAX_PROBLEM_CHARS].decode("utf-8", "replace"), _MAX_PROBLEM_CHARS)
    return f": {line[:_MAX_PROBLEM_CHARS]}" if line else ""
