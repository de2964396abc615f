"""What the outbox's file holds, as it is read from it; and what one commit writes to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from clawlogd.model import EventKind, Step, Task
from clawlogd.outbox.schema import EventState

# ── As it is read ──────────────────────────────────────────────────────────────────────────────────────────────────


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
class BlockedEvent:
    """An event that waits for a person's decision: a dead letter, or one that is held behind it."""

    seq: int
    event_id: bytes
    lane: int
    task_id: str
    size_bytes: int
    body: bytes


@dataclass(frozen=True, slots=True)
class DeadLetter(BlockedEvent):
    """An event that its backend did not take: the backend's status and reply, and when it refused."""

    status: int | None
    reply: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class WaitingCount:
    """How much of a task waits in a lane, in one state."""

    lane: int
    state: EventState
    task_id: str
    count: int
    size_bytes: int


class _EventHead(msgspec.Struct, frozen=True, gc=False):
    kind: EventKind


_decode_head = msgspec.json.Decoder(_EventHead).decode


def creates_task(body: bytes) -> bool:
    """Whether an event's JSON is that of a ``task_created``; one that is damaged is none."""
    try:
        return _decode_head(body).kind is EventKind.TASK_CREATED
    except msgspec.DecodeError:
        return False


@dataclass(frozen=True, slots=True)
class FirstCall:
    """What is kept of the call with which an event id came first.

    Attributes:
        reply: What it was answered, as JSON.
        identity: The number of its event; None for one of before these were kept.
    """

    reply: bytes
    identity: int | None


# ── As it is written ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a backend did not take an event, which becomes a dead letter by it.

    Attributes:
        seq: The event's number.
        status: The backend's HTTP status, where there was one.
        reply: What it said, cut to a line.
        at_ms: When.
    """

    seq: int
    status: int | None
    reply: str
    at_ms: int


@dataclass(slots=True)
class CommitGroup:
    """What one commit makes durable; the rows of events are in the order of their table's columns.

    Attributes:
        done: Resolved by the commit: with None, or with the error.
        events: New events.
        moved: Events whose state changes, by their number.
        tasks: Tasks that changed, the newest of each.
        steps: Steps that changed, the newest of each, by their task and id; None for one that left its plan.
        refusals: Why events became dead letters.
        forgotten: Tasks whose rows go.
        lanes: Lanes that have their first event, with their backends' addresses.
        undo: What puts memory back if the commit fails; run last first.
        after: What is due once the commit has held, in order.
    """

    done: asyncio.Future[None]
    events: list[tuple[int, bytes, int, str, int, int, int, bytes, bytes | None, int]] = field(default_factory=list)
    moved: dict[int, EventState] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    steps: dict[tuple[str, str], Step | None] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    lanes: dict[int, str] = field(default_factory=dict)
    undo: list[Callable[[], None]] = field(default_factory=list)
    after: list[Callable[[], None]] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
