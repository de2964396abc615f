"""The contract's words and bounds, written once and used by both profiles.

Nothing here touches a task: a value is either of the form that the contract gives it, or it is refused with its field's name.
The backend may not import the client's ``protocol.vocabulary``, which has the same words: a test holds the two equal.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StringConstraints

from clawlog_backend.domain.texts import one_line, web_address

T = TypeVar("T", str, str | None)

ID_CHARS = 64
TITLE_CHARS = 200
SUMMARY_CHARS = 1_000
STEPS = 200
METADATA_PAIRS = 20
METADATA_KEY_CHARS = 64
METADATA_VALUE_CHARS = 1_000
LINKS = 50
LINK_NAME_CHARS = 100
URL_CHARS = 2_000
UNIT_CHARS = 20
ID_SUFFIX_CHARS = 4  # at least; fewer end too many ids
ACTION_TASKS = 1_000
BATCH_EVENTS = 1_000
BODY_BYTES = 1024 * 1024
POLL_TASKS = 25_000  # as many task ids as fit into one body
POLL_WAIT_S = 55.0


class TaskStatus(StrEnum):
    """A task's status. `stale` is never stored: so an active task is shown after a minute without a sign of life."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    STALE = "stale"


class ReportedStatus(StrEnum):
    """The statuses that an agent may report for its task. `waiting`: for a person, and its summary is the question."""

    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class StepStatus(StrEnum):
    """A step's status."""

    # A new one is added here and, where it ends a step, to ENDED_STEP_STATUSES: no other Python of the backend has to name it.

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class Evidence(StrEnum):
    """What a heartbeat is based on: the agent's process was seen running, or the agent gave a command within its lease."""

    PROCESS = "process"
    COMMAND = "command"


class Liveness(StrEnum):
    """Whether an agent is alive, as far as is known."""

    ALIVE = "alive"
    WAITING = "waiting"
    QUIET = "quiet"
    STALLED = "stalled"
    LOST = "lost"
    ENDED = "ended"
    UNKNOWN = "unknown"


class AttentionReason(StrEnum):
    """Why a task needs a person: its agent waits for one, it failed, or its agent is gone."""

    WAITING = "waiting"
    FAILED = "failed"
    LOST = "lost"


class ClosedStatus(StrEnum):
    """How a person may end a task whose agent is gone."""

    FAILED = "failed"
    INTERRUPTED = "interrupted"
    DONE = "done"


class InterruptMode(StrEnum):
    """How an agent is asked to stop: at its next safe boundary."""

    SOFT_STOP = "soft_stop"


ENDED_TASK_STATUSES = frozenset({TaskStatus.DONE, TaskStatus.FAILED, TaskStatus.INTERRUPTED})
ACTIVE_TASK_STATUSES = frozenset(TaskStatus) - ENDED_TASK_STATUSES - {TaskStatus.STALE}
"""The stored statuses of a task that has not ended."""
FALLS_SILENT = ACTIVE_TASK_STATUSES - {TaskStatus.WAITING}
"""The statuses in which signs of life are expected: while a task waits for a person, none are."""

ENDED_STEP_STATUSES = frozenset({StepStatus.DONE, StepStatus.FAILED, StepStatus.SKIPPED})
OPEN_STEP_STATUSES = frozenset(StepStatus) - ENDED_STEP_STATUSES - {StepStatus.PENDING}
"""The statuses of a step that has begun and has not ended."""


def _not_dots(value: str) -> str:
    # "." and ".." name folders in a URL's path: clients resolve them away before they send.
    if value in {".", ".."}:
        raise ValueError("an id cannot be '.' or '..'")
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must have at least one visible character")
    return value


Id = Annotated[
    str,
    # No slash, so that an id is one segment of a path; no space or control character, so that it survives logs and shells.
    StringConstraints(min_length=1, max_length=ID_CHARS, pattern=r"^[^/\s\x00-\x1f\x7f]+$"),
    AfterValidator(_not_dots),
]


def _clean_pairs(value: dict[str, T]) -> dict[str, T]:
    pairs = {one_line(key): one_line(text) if isinstance(text, str) else text for key, text in value.items()}
    if "" in pairs or len(pairs) < len(value):
        raise ValueError("keys must differ, and each have at least one visible character")
    return pairs


Title = Annotated[
    str,
    StringConstraints(min_length=1, max_length=TITLE_CHARS),
    AfterValidator(one_line),
    AfterValidator(_not_blank),
]
Summary = Annotated[str, StringConstraints(max_length=SUMMARY_CHARS), AfterValidator(one_line)]
Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=METADATA_KEY_CHARS)],
        Annotated[str, StringConstraints(max_length=METADATA_VALUE_CHARS)],
    ],
    Field(max_length=METADATA_PAIRS),
    AfterValidator(_clean_pairs),
]
ChangedMetadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=METADATA_KEY_CHARS)],
        Annotated[str, StringConstraints(max_length=METADATA_VALUE_CHARS)] | None,
    ],
    Field(max_length=2 * METADATA_PAIRS),
    AfterValidator(_clean_pairs),
]
"""Pairs to set; a value of ``None`` removes its pair."""
LinkName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LINK_NAME_CHARS),
    AfterValidator(one_line),
    AfterValidator(_not_blank),
]
Url = Annotated[str, StringConstraints(min_length=1, max_length=URL_CHARS), AfterValidator(web_address)]
Unit = Annotated[str, StringConstraints(max_length=UNIT_CHARS), AfterValidator(one_line)]
Amount = Annotated[StrictInt | StrictFloat, Field(ge=0, le=1e308, allow_inf_nan=False)]
"""A number of things, which stays an integer where it was one."""


class Progress(BaseModel):
    """How far something has come, in the agent's own count."""

    model_config = ConfigDict(frozen=True)

    done: Amount = Field(examples=[318])
    total: Amount | None = Field(default=None, examples=[2480])
    unit: Unit | None = Field(default=None, examples=["files"])


Pid = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
