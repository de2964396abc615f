"""The bounds and forms of what comes from outside, written once and used by both profiles.

Nothing here touches a task: a value is either of the form that the contract gives it, or it is refused with its field's name.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

ID_CHARS = 64
TITLE_CHARS = 200
SUMMARY_CHARS = 1_000
STEPS = 200
METADATA_PAIRS = 20
METADATA_KEY_CHARS = 64
METADATA_VALUE_CHARS = 1_000
BATCH_EVENTS = 1_000
BODY_BYTES = 1024 * 1024
POLL_TASKS = 25_000  # ids of a task that fit into one body
POLL_WAIT_S = 55.0


class TaskStatus(StrEnum):
    """Where a task stands. ``stale`` is never stored: it is what a task becomes when nobody vouches for it."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    STALE = "stale"


class ReportedStatus(StrEnum):
    """What an agent may say of its task."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class StepStatus(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class Evidence(StrEnum):
    """On what the sidecar vouches for an agent."""

    PROCESS = "process"
    COMMAND = "command"


class StopMode(StrEnum):
    """How an agent is asked to stop: at its next safe boundary."""

    SOFT_STOP = "soft_stop"


ENDED = frozenset({TaskStatus.DONE, TaskStatus.FAILED, TaskStatus.INTERRUPTED})
STEP_ENDED = frozenset({StepStatus.DONE, StepStatus.FAILED, StepStatus.SKIPPED})


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
Title = Annotated[str, StringConstraints(min_length=1, max_length=TITLE_CHARS), AfterValidator(_not_blank)]
Summary = Annotated[str, StringConstraints(max_length=SUMMARY_CHARS)]
Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=METADATA_KEY_CHARS)],
        Annotated[str, StringConstraints(max_length=METADATA_VALUE_CHARS)],
    ],
    Field(max_length=METADATA_PAIRS),
]
Pid = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
