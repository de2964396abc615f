"""What a lane's policy hands out: the plan of a round, and what a round changed that an operator wants to know."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum


class ProfileName(StrEnum):
    """The two ways to send."""

    BATCH = "batch"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class RoundPlan:
    """A regular round: the events that are next in order, and the beats that are due.

    Attributes:
        profile: How they are sent.
        max_events: How many events at most.
        max_event_bytes: How much the events may take.
        max_records: How many events and beats together.
        max_bytes: How much they may take together.
        beats_beside_events: Whether beats go along with events; without events they go in any case.
        full_at: From how many events on the round is full: more may wait.
        reads_ahead: Whether the events behind these are read while these are on their way.
    """

    profile: ProfileName
    max_events: int
    max_event_bytes: int
    max_records: int
    max_bytes: int
    beats_beside_events: bool
    full_at: int
    reads_ahead: bool


@dataclass(frozen=True, slots=True)
class ParkedPlan:
    """A round for parked tasks alone.

    Attributes:
        profile: How their events are sent.
        task_ids: The tasks.
        max_events: How many events at most.
        max_bytes: How much they may take.
    """

    profile: ProfileName
    task_ids: tuple[str, ...]
    max_events: int
    max_bytes: int


class NoticeKind(Enum):
    """What a round changed that an operator wants to know."""

    PLAIN_PROFILE = "plain_profile"
    OUTAGE_BEGAN = "outage_began"
    OUTAGE_ENDED = "outage_ended"
    TASK_PARKED = "task_parked"
    EVENT_FORBIDDEN = "event_forbidden"
    """A parked task's event is given up: it is to become a dead letter."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A change, for the log.

    Attributes:
        kind: What changed.
        detail: The backend's words.
        task_id: The task that was parked.
        lasted_s: How long the outage was that ended.
    """

    kind: NoticeKind
    detail: str = ""
    task_id: str | None = None
    lasted_s: float | None = None
