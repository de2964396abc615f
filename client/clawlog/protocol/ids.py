"""Identifiers: UUIDs of version 7 (RFC 9562), whose leading 48 bits are the time of their creation.

The daemon uses that time to know, without a look-up, that an event cannot have been seen by an earlier process. The ``uuid``
module is not imported: it would cost a script a third of its run time.
"""

import os
import time


def new_uuid() -> str:
    """Returns a UUID v7 in its canonical form: milliseconds since 1970 in front, then random bits."""
    text = f"{time.time_ns() // 1_000_000:012x}7{os.urandom(10).hex()}"
    # The 17th digit holds the variant in its upper two bits (binary 10).
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{variant}{text[17:20]}-{text[20:32]}"


def uuid_bytes(text: str) -> bytes:
    """Returns the 16 bytes of a UUID in its canonical form (upper case is accepted, too).

    Raises:
        ValueError: The text is not a UUID.
    """
    raw = bytes.fromhex(text.replace("-", ""))  # skips white space, which then leaves too few bytes
    if len(raw) != 16 or len(text) != 36 or not text[8] == text[13] == text[18] == text[23] == "-":
        raise ValueError(f"{text[:40]!r} is not a UUID")
    return raw


def minted_at_ms(uuid_bytes: bytes) -> int | None:
    """Returns the time in a UUID v7, in milliseconds since 1970; None for other versions, which hold no such time."""
    if uuid_bytes[6] >> 4 != 7:
        return None
    return int.from_bytes(uuid_bytes[:6], "big")


def step_id(task_id: str, position: int) -> str:
    """Returns the id of a step for which the caller chose none."""
    candidate = f"{task_id}-{position}"
    return candidate if len(candidate) <= 64 else new_uuid()
