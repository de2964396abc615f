"""A group of changes that become durable together, by one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from clawlogd.model import Step, Task
from clawlogd.outbox.schema import EventState


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a backend did not take an event.

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
class Group:
    """What one commit makes durable; the rows of events are in the order of their table's columns.

    Attributes:
        done: Resolved by the commit: with None, or with the error.
        events: New events.
        moved: Events whose state changes, by their number.
        tasks: Tasks that changed, the newest of each.
        steps: Steps that changed, the newest of each, by their task and position.
        dead: New dead letters.
        forgotten: Tasks whose rows go.
        lanes: Lanes that have their first event, with their backends' addresses.
        undo: What puts memory back if the commit fails; run last first.
        after: What is due once the commit has held, in order.
    """

    done: asyncio.Future[None]
    events: list[tuple[int, bytes, int, str, int, int, int, bytes, bytes | None]] = field(default_factory=list)
    moved: dict[int, EventState] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    steps: dict[tuple[str, int], Step] = field(default_factory=dict)
    dead: list[DeadLetter] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    lanes: dict[int, str] = field(default_factory=dict)
    undo: list[Callable[[], None]] = field(default_factory=list)
    after: list[Callable[[], None]] = field(default_factory=list)
