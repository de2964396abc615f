"""What the two ways to send events and heartbeats share: many in one request (``batch``), or each by its route (``plain``).

Both return the same: what became of each event that was sent, and what kept the rest from being sent, if something did. A
heartbeat at which the backend fails while it takes others is dropped: the next one comes soon, and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from clawlogd.model import Beat, Event
from clawlogd.outbox.records import StoredEvent
from clawlogd.upstream.answers import Answer, Outcome

MOST_BAD_BEATS = 3  # single heartbeats that fail while none gets through: then it is the backend
_BUSY = 429


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one event.

    Attributes:
        stored: The event.
        accepted: Whether the backend has it; if not, it will not take it.
        status: The HTTP status, where there was one for this event alone.
        detail: What the backend answered.
        body: The decoded reply to this event alone.
        unknown_task: Whether it was refused because the backend does not know its task.
        new_steps: Of an accepted change of a plan: the steps that the backend learned of by it, with its ids for them, None for
            one that it took as offered.
    """

    stored: StoredEvent
    accepted: bool
    status: int | None = None
    detail: str = ""
    body: Any = None
    unknown_task: bool = False
    new_steps: Mapping[str, str | None] | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """What came of one attempt to send.

    Attributes:
        results: For each event whose fate is known, in order. One that is to be sent again in other words, or that has to wait
            for such a one, is not among them.
        failure: Why the fate of the others is not.
        unsent: Heartbeats that were not delivered, to be sent again.
        beats_sent: How many heartbeats the backend took.
        beats_failed: The single ones at which it failed.
        beats_answer: What it answered to the last of those.
        unknown_tasks: Tasks of heartbeats that the backend does not know.
        failed: The event whose sending failed; None where that is not known.
        error: The fault of the daemon's own that kept the others from being sent.
    """

    results: list[Result]
    failure: Answer | None = None
    unsent: list[Beat] = field(default_factory=list)
    beats_sent: int = 0
    beats_failed: list[Beat] = field(default_factory=list)
    beats_answer: Answer | None = None
    unknown_tasks: list[str] = field(default_factory=list)
    failed: StoredEvent | None = None
    error: Exception | None = None

    def undecided(self, events: Sequence[StoredEvent]) -> list[StoredEvent]:
        """The events whose fate is not known, in order, but the one that failed first."""
        known = {each.stored.seq for each in self.results}
        left = [each for each in events if each.seq not in known]
        return left if self.failed is None else sorted(left, key=lambda each: each is not self.failed)


class Profile(Protocol):
    """A way to send.

    Attributes:
        sends_many: Whether many events go in one request.
    """

    sends_many: ClassVar[bool]

    async def send(self, events: Sequence[StoredEvent], beats: Sequence[Beat]) -> Round:
        """Sends events, in order, and beats."""
        ...

    async def send_new(self, events: Sequence[Event]) -> Answer:
        """Sends events that are in no outbox, in order, until one is not taken. Returns the last answer."""
        ...


def is_about_content(answer: Answer) -> bool:
    """Whether a failure may be the fault of what was sent, and not of the way to the backend or of who asks."""
    return answer.status not in {None, _BUSY} and answer.outcome not in {Outcome.NO_ROUTE, Outcome.UNAUTHORIZED}
