"""The parameters of each verb, parsed and bounded at the edge. Unknown names are refused, so that a typo is never dropped."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from clawlog.protocol import vocabulary
from clawlog.protocol.errors import INVALID_PARAMS, RpcError, invalid_params
from clawlog.protocol.types import ReportedTaskStatus, StepStatus

Id = Annotated[str, Meta(pattern=vocabulary.ID_PATTERN)]
KnownId = str
"""An id that something known must have: one that nothing could have is refused where it is looked for."""
EventId = str
"""A UUID, whose form is checked where it is turned into bytes."""
Uuid = Annotated[str, Meta(pattern=r"\A[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\Z")]
Title = Annotated[str, Meta(min_length=1, max_length=vocabulary.MAX_TITLE_CHARS)]
Lease = Annotated[float, Meta(ge=vocabulary.MIN_LEASE_S, le=vocabulary.MAX_LEASE_S)]
Pid = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Pair = Annotated[str, Meta(max_length=vocabulary.MAX_METADATA_CHARS)]


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Named parameters."""


class NoParams(Params, frozen=True):
    """None at all."""


class StepSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step that brings its own id."""

    title: Title
    step_id: Id | None = None


class TaskCreate(Params, frozen=True):
    """``task.create``."""

    title: Title
    steps: Annotated[list[Title | StepSpec], Meta(max_length=vocabulary.MAX_STEPS)] = []
    task_id: Id | None = None
    event_id: EventId | None = None
    base_url: Annotated[str, Meta(max_length=2000)] | None = None
    summary: str | None = None
    watch_pid: Pid | None = None
    lease_s: Lease | None = None
    metadata: Annotated[dict[Pair, Pair], Meta(max_length=vocabulary.MAX_METADATA_PAIRS)] = {}


class TaskUpdate(Params, frozen=True):
    """``task.update``."""

    task_id: KnownId
    status: ReportedTaskStatus
    summary: str | None = None
    event_id: EventId | None = None


class TaskGet(Params, frozen=True):
    """``task.get``, ``interrupt.watch``."""

    task_id: KnownId


class TaskList(Params, frozen=True):
    """``task.list``."""

    active: bool | None = None


class StepUpdate(Params, frozen=True):
    """``step.update``."""

    task_id: KnownId
    step: int | str
    status: StepStatus
    summary: str | None = None
    event_id: EventId | None = None


class Heartbeat(Params, frozen=True):
    """``task.heartbeat``."""

    task_id: KnownId
    summary: str | None = None
    lease_s: Lease | None = None
    watch_pid: Pid | None = None


class InterruptCheck(Params, frozen=True):
    """``interrupt.check``."""

    task_id: KnownId
    max_age_s: Annotated[float, Meta(ge=0, le=86_400)] = vocabulary.DEFAULT_MAX_AGE_S
    wait_s: Annotated[float, Meta(ge=0, le=vocabulary.MAX_WAIT_S)] = 0.0


class InterruptAck(Params, frozen=True):
    """``interrupt.ack``."""

    task_id: KnownId
    interrupt_id: Annotated[str, Meta(min_length=1, max_length=vocabulary.MAX_ID_CHARS)] | None = None
    summary: str | None = None
    event_id: EventId | None = None


class Flush(Params, frozen=True):
    """``daemon.flush``."""

    timeout_s: Annotated[float, Meta(ge=0, le=3600)] = 30.0
    task_id: KnownId | None = None


class DeadLetterChoice(Params, frozen=True):
    """``deadletter.retry`` and ``deadletter.drop``."""

    event_ids: Annotated[list[Uuid], Meta(min_length=1, max_length=1000)] | None = None
    all: bool = False


EVENT_ID_HINT = "expected a UUID, minted once by the caller"
_HINTS = {
    "title": f"expected 1 to {vocabulary.MAX_TITLE_CHARS} characters",
    "steps": f"expected at most {vocabulary.MAX_STEPS} titles of 1 to {vocabulary.MAX_TITLE_CHARS} characters, "
    "or objects with title and step_id",
    "task_id": vocabulary.ID_HINT,
    "step_id": vocabulary.ID_HINT,
    "step": "expected a step's id, its position from 1, or its title",
    "event_id": EVENT_ID_HINT,
    "event_ids": "expected 1 to 1,000 event ids, as deadletter.list gives them",
    "summary": "expected text",
    "base_url": "expected an http:// or https:// address",
    "watch_pid": "expected the number of a running process",
    "lease_s": f"expected {vocabulary.MIN_LEASE_S:g} to {vocabulary.MAX_LEASE_S:g} seconds",
    "metadata": f"expected at most {vocabulary.MAX_METADATA_PAIRS} pairs of strings",
    "max_age_s": "expected seconds from 0",
    "wait_s": f"expected 0 to {vocabulary.MAX_WAIT_S:g} seconds",
    "timeout_s": "expected 0 to 3600 seconds",
    "active": "expected true or false",
    "all": "expected true or false",
    "interrupt_id": "expected the id of the stop, as interrupt.check gives it",
}


def _listed(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


_STATUS_HINTS: dict[type[Params], str] = {
    TaskUpdate: f"expected {_listed(vocabulary.REPORTED_TASK_STATUSES)}",
    StepUpdate: f"expected {_listed(vocabulary.STEP_STATUSES)}",
}


P = TypeVar("P", bound=Params)


def parse(kind: type[P], given: object) -> P:
    """Reads a verb's parameters.

    Raises:
        RpcError: ``invalid_params``, naming the field and what would fit.
    """
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise _explain(kind, error) from None


def _explain(kind: type[Params], error: msgspec.ValidationError) -> RpcError:
    message, _, at = str(error).partition(" - at `$")
    path = at.rstrip("`").lstrip(".").split("[")[0].split(".")[0]
    quoted = message.split("`")[1] if "`" in message else ""
    accepted = f"expected only {', '.join(kind.__struct_fields__)}" if kind.__struct_fields__ else "expected no parameters"
    if "unknown field" in message:
        if path:
            return invalid_params(path, f"has an unknown member {quoted!r}", _HINTS.get(path, accepted))
        return invalid_params(quoted, "is not a parameter of this method", accepted)
    if "missing required field" in message and not path:
        return invalid_params(quoted, "is missing", _hint(kind, quoted))
    if not path:
        return RpcError(INVALID_PARAMS, f"params: {message}; {accepted}", field="params", hint=accepted)
    return invalid_params(path, _plain(message), _hint(kind, path))


def _plain(message: str) -> str:
    return "does not fit" if "regex" in message or "enum" in message else message[0].lower() + message[1:].replace("`", "")


def _hint(kind: type[Params], field: str) -> str:
    return _STATUS_HINTS.get(kind, "") if field == "status" else _HINTS.get(field, "see the protocol's table of methods")
