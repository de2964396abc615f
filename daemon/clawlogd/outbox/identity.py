"""Which event an event id was minted for, in one number: so that a call with a used id is known for a repetition or a mistake.

The number is kept with the event after its body has gone. It has a part each for kind and status, task, step and stop, because
a call may leave some of them open: one without an id of its own for its task, or an acknowledgement of whatever stop is the
newest, is a repetition all the same. Texts are no part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

from clawlogd.model import Event, EventKind

_PART = 0xFFFF
_KIND_PART = 0x7FFF  # SQLite's integers have a sign


def identity_of(event: Event) -> int:
    """The number of an event."""
    kind = crc32(f"{event.kind.value} {event.status}".encode()) & _KIND_PART
    task = crc32(event.task_id.encode()) & _PART
    step = crc32(event.step_id.encode()) & _PART if event.step_id else 0
    interrupt = crc32(event.interrupt_id.encode()) & _PART if event.interrupt_id else 0
    return kind << 48 | task << 32 | step << 16 | interrupt


@dataclass(frozen=True, slots=True)
class Intent:
    """The event that a call would result in, as far as the call says. None stands for what it leaves open.

    Attributes:
        kind: What happens; None where that depends on what the daemon knows.
        status: The new status; None for a kind that has none.
        task_id: Whose.
        step_id: Of which step.
        interrupt_id: Which stop, by the backend's id.
    """

    kind: EventKind | None
    status: str | None = None
    task_id: str | None = None
    step_id: str | None = None
    interrupt_id: str | None = None

    def fits(self, identity: int | None) -> bool:
        """Whether an event with this number is the one that the call means; one without a number fits any call."""
        if identity is None:
            return True
        if self.kind is not None and identity >> 48 != crc32(f"{self.kind.value} {self.status}".encode()) & _KIND_PART:
            return False
        parts = ((self.task_id, identity >> 32), (self.step_id, identity >> 16), (self.interrupt_id, identity))
        return all(text is None or crc32(text.encode()) & _PART == number & _PART for text, number in parts)
