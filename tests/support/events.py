"""Events for tests that put some into an outbox."""

from __future__ import annotations

from clawlogd.model import Event, EventKind

URL = "http://backend.test"


def event(number: int, task_id: str = "t", **fields: str) -> Event:
    """An event whose id ends in a number."""
    return Event(f"01900000-0000-7000-8000-{number:012x}", task_id, EventKind.TASK_STATUS, "2026-02-28T08:00:00.000Z", **fields)


def raw_id(number: int) -> bytes:
    return bytes.fromhex(event(number).event_id.replace("-", ""))
