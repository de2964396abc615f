"""Checksums of what the outbox keeps: SQLite itself passes over a flipped bit in a payload."""

from __future__ import annotations

import hashlib
import zlib


def of_event(seq: int, event_id: bytes, lane: int, task_id: str, at_ms: int, body: bytes) -> int:  # noqa: PLR0917 - as stored
    """The CRC-32 of everything that an event's delivery rests on."""
    return zlib.crc32(body, zlib.crc32(b"%d %s %d %s %d" % (seq, event_id, lane, task_id.encode(), at_ms)))


def of_row(key: str, body: bytes) -> int:
    """The CRC-32 of a task's or step's row, bound to its key."""
    return zlib.crc32(body, zlib.crc32(key.encode()))


def lane_number(base_url: str) -> int:
    """A backend's number: made from its address, so that the one vouches for the other (63 bits: they do not collide)."""
    return int.from_bytes(hashlib.sha256(base_url.encode()).digest()[:8], "big") >> 1
