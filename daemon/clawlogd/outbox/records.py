"""What the outbox's file holds, as it is read from it."""

from __future__ import annotations

from dataclasses import dataclass

from clawlogd.outbox.schema import EventState


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it waits for delivery.

    Attributes:
        seq: Its number: gapless over the whole outbox.
        event_id: Its UUID, as 16 bytes.
        task_id: Whose it is.
        at_ms: When it happened.
        size_bytes: What it counts for in the outbox's bounds.
        body: The event's JSON.
        intact: Whether its checksum fits.
    """

    seq: int
    event_id: bytes
    task_id: str
    at_ms: int
    size_bytes: int
    body: bytes
    intact: bool


@dataclass(frozen=True, slots=True)
class StuckEvent:
    """An event that waits for a person, or behind one that does."""

    seq: int
    event_id: bytes
    lane: int
    task_id: str
    size_bytes: int
    body: bytes


@dataclass(frozen=True, slots=True)
class DeadEvent(StuckEvent):
    """A dead letter: the backend's status and reply, and when it refused."""

    status: int | None
    reply: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much of a task waits in a lane, in one state."""

    lane: int
    state: EventState
    task_id: str
    count: int
    size_bytes: int
