"""Tasks' control states: whether a person wants one to stop, or has ended it; read from either of the backend's routes.

One that cannot be read hides no other, and is never taken for a "no".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from clawlog.protocol.vocabulary import ENDED_TASK_STATUSES
from clawlogd.text import clean_text, clean_word
from clawlogd.upstream.answers import MAX_ID_CHARS, Answer, Outcome, read_id, read_text, without_route

_MAX_CURSOR_CHARS = 4096
_EPOCH_MS_FROM = 1e11  # a number from here on counts milliseconds since 1970, one below it seconds
_YES = frozenset({"1", "true", "yes", "on", "soft_stop", "stop", "requested"})
_NO = frozenset({"", "0", "false", "no", "off", "none"})


class Control(msgspec.Struct, frozen=True):
    """A task's control state, read from either of the backend's routes.

    Attributes:
        interrupt_requested: Whether a person wants it to stop.
        mode: How.
        interrupt_id: The request's id; None where there is none that could be passed back.
        reason: The person's words.
        requested_at: When, RFC 3339.
        mark: Tells requests apart whose id or time could not be taken as it came.
        closed: Whether a person ended the task, because its agent seemed gone.
        acknowledged: Whether a person has seen that it failed or was lost.
        may_outlast: Whether the request may still stand after the agent has answered it: then it is no other one.
    """

    interrupt_requested: bool
    mode: str | None = None
    interrupt_id: str | None = None
    reason: str | None = None
    requested_at: str | None = None
    mark: str | None = None
    closed: bool = False
    acknowledged: bool = False
    may_outlast: bool = False


class Unreadable(msgspec.Struct, frozen=True):
    """What was said of a task in a form that cannot be read.

    Attributes:
        detail: Why not.
    """

    detail: str


def read_poll(sent: str, answer: Answer) -> tuple[Answer, dict[str, Control | Unreadable]]:
    """Reads the answer to a poll of many tasks' control states. One that cannot be read hides no other.

    Returns:
        The answer (its ``body`` is the next cursor), and what changed, by the backend's task ids.
    """
    if missing := without_route(answer):
        return missing, {}
    if answer.outcome is not Outcome.DELIVERED:
        return answer, {}
    listed = answer.body.get("controls") if isinstance(answer.body, dict) else None
    if not isinstance(listed, list):
        return Answer(Outcome.TRANSIENT, f"{sent}: the answer lists no controls", answer.status), {}
    controls: dict[str, Control | Unreadable] = {}
    for each in listed:
        if isinstance(each, dict) and (task_id := read_id(each.get("task_id"))):
            controls[task_id] = _readable(each)
    cursor = clean_word(answer.body.get("cursor"), _MAX_CURSOR_CHARS)
    return Answer(Outcome.DELIVERED, status=answer.status, body=cursor), controls


def read_closed(answer: Answer) -> tuple[str, str | None] | None:
    """Reads a task that may have been ended by a person: its status, and what that person said; None where it goes on."""
    if answer.outcome is not Outcome.DELIVERED or not isinstance(answer.body, Mapping):
        return None
    status, closed = answer.body.get("status"), answer.body.get("closed")
    if status not in ENDED_TASK_STATUSES or not closed:
        return None
    words = closed if isinstance(closed, Mapping) else {}
    summary, by = read_text(words.get("summary")), read_text(words.get("by"))
    return str(status), summary or (f"closed by {by}" if by else None)


def read_control(sent: str, answer: Answer) -> tuple[Answer, Control | None]:
    """Reads the answer to a question about one task's control state; None where it holds none."""
    if answer.outcome is not Outcome.DELIVERED:
        return answer, None
    control = _readable(answer.body)
    if isinstance(control, Unreadable):
        return Answer(Outcome.TRANSIENT, f"{sent}: {control.detail}", answer.status), None
    return answer, control


def _readable(value: object) -> Control | Unreadable:
    if not isinstance(value, Mapping):
        return Unreadable("the answer is no control state")
    if "interrupt_requested" not in value:
        return Unreadable("the control state lacks interrupt_requested")
    requested = _flag(value["interrupt_requested"])
    if requested is None:
        return Unreadable(f"interrupt_requested is neither yes nor no: {clean_text(value['interrupt_requested'], 40)!r}")
    given_id, given_time = value.get("interrupt_id"), value.get("requested_at")
    interrupt_id, requested_at = read_id(given_id), read_time(given_time)
    altered = [
        each for each, read in ((given_id, interrupt_id), (given_time, requested_at)) if each is not None and read is None
    ]
    return Control(
        interrupt_requested=requested,
        mode=read_text(value.get("mode")),
        interrupt_id=interrupt_id,
        reason=read_text(value.get("reason")),
        requested_at=requested_at,
        mark=_mark(altered) if altered else None,
        closed=_flag(value.get("closed")) is True,
        acknowledged=_flag(value.get("acknowledged")) is True,
    )


def _flag(value: object) -> bool | None:
    """Yes or no, as servers write it; None for what is neither."""
    if value is None:
        return False
    if isinstance(value, bool | int | float):
        return bool(value) if value in {0, 1} else None
    word = value.strip().lower() if isinstance(value, str) else "?"
    return True if word in _YES else False if word in _NO else None


def read_time(value: object) -> str | None:
    """A time in RFC 3339: as it came, or from seconds or milliseconds since 1970. None for what is none."""
    try:
        if isinstance(value, str):
            datetime.fromisoformat(value)
            return clean_word(value, MAX_ID_CHARS)
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if value >= _EPOCH_MS_FROM else value
            return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None
    return None


def read_moments(value: object) -> tuple[float, ...]:
    """The moments that a time can mean, in seconds since 1970: one without an offset may be universal time or the local one."""
    text = read_time(value)
    try:
        moment = datetime.fromisoformat(text) if text is not None else None
        if moment is None:
            return ()
        if moment.tzinfo is not None:
            return (moment.timestamp(),)
        return moment.replace(tzinfo=UTC).timestamp(), moment.timestamp()
    except (ValueError, OverflowError, OSError):
        return ()


def _mark(values: Sequence[object]) -> str:
    return hashlib.sha256(repr(values)[:10_000].encode("utf-8", "backslashreplace")).hexdigest()[:8]
