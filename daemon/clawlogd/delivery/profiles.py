"""The two ways to send events and heartbeats to a backend: many in one request, or each by its own route.

Both return the same: what became of each event that was sent, and what kept the rest from being sent, if something did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from clawlog.protocol.ids import new_uuid
from clawlogd.logs import Log
from clawlogd.model import Beat, Event, EventKind, Task
from clawlogd.outbox.records import StoredEvent
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.client import Upstream

_decode = msgspec.json.Decoder(Event).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one event.

    Attributes:
        stored: The event.
        accepted: Whether the backend has it; if not, it will not take it.
        status: The HTTP status, where there was one for this event alone.
        detail: What the backend answered.
        body: The decoded reply to this event alone.
    """

    stored: StoredEvent
    accepted: bool
    status: int | None = None
    detail: str = ""
    body: Any = None


@dataclass(frozen=True, slots=True)
class Round:
    """What came of one attempt to send.

    Attributes:
        results: For each event whose fate is known, in order.
        failure: Why the fate of the others is not.
        unsent: Heartbeats that were not delivered.
    """

    results: list[Result]
    failure: Answer | None = None
    unsent: list[Beat] = field(default_factory=list)


class Profile(Protocol):
    """A way to send."""

    async def send(self, events: Sequence[StoredEvent], beats: Sequence[Beat]) -> Round:
        """Sends events, in order, and beats."""
        ...


class BatchProfile:
    """Everything in one request.

    Args:
        upstream: The backend.
        registry: Knows which tasks the backend calls by other ids.
    """

    def __init__(self, *, upstream: Upstream, registry: Registry) -> None:
        self._upstream = upstream
        self._registry = registry
        self._log = Log("lane", backend=upstream.base_url)

    async def send(self, events: Sequence[StoredEvent], beats: Sequence[Beat]) -> Round:
        """Sends all as one batch. A refusal of the batch as a whole settles an event only when it was alone."""
        records = [self._event(each) for each in events] + self._beats(beats)
        answer, verdicts = await self._upstream.send_batch(records)
        if answer.outcome is Outcome.REFUSED and len(records) == 1 and events:
            return Round([Result(events[0], accepted=False, status=answer.status, detail=answer.detail)])
        if answer.outcome is Outcome.REFUSED and not events:
            self._log.warning("heartbeat_refused", beats=len(beats), detail=answer.detail)
            return Round([])
        if answer.outcome is not Outcome.DELIVERED:
            return Round([], answer, list(beats))
        results = [
            Result(stored, verdict.accepted, _status(verdict.code), f"{verdict.code or 'rejected'}: {verdict.detail}")
            for stored, verdict in zip(events, verdicts, strict=False)
        ]
        for beat, verdict in zip(beats, verdicts[len(events) :], strict=True):
            if not verdict.accepted:
                self._log.warning("heartbeat_refused", task_id=beat.task_id, code=verdict.code, detail=verdict.detail)
        return Round(results)

    def _event(self, stored: StoredEvent) -> bytes:
        task = self._registry.find(stored.task_id)
        if task is None or not _renamed(task):
            return stored.body
        event = _decode(stored.body)
        return _encode(
            msgspec.structs.replace(event, task_id=task.remote_id or task.task_id, step_id=_step_id(task, event.step_id))
        )

    def _beats(self, beats: Sequence[Beat]) -> list[bytes]:
        # A heartbeat is no event: it has an id only because a batch's records have one. So the ids of a batch are counted up.
        minted = new_uuid()[:24]
        records: list[bytes] = []
        for number, beat in enumerate(beats):
            task = self._registry.find(beat.task_id)
            named = msgspec.structs.replace(beat, task_id=task.remote_id) if task and task.remote_id else beat
            records.append(b'{"kind":"heartbeat","event_id":"%s%012x",%s' % (minted.encode(), number, _encode(named)[1:]))
        return records


class PlainProfile:
    """Each event by its own route, one after the other.

    Args:
        upstream: The backend.
        registry: Knows which tasks the backend calls by other ids.
    """

    def __init__(self, *, upstream: Upstream, registry: Registry) -> None:
        self._upstream = upstream
        self._registry = registry
        self._log = Log("lane", backend=upstream.base_url)

    async def send(self, events: Sequence[StoredEvent], beats: Sequence[Beat]) -> Round:
        """Sends until something fails, or until a task has been created whose next event needs the ids that it was given."""
        results: list[Result] = []
        created: set[str] = set()
        for stored in events:
            if stored.task_id in created:
                return Round(results, unsent=list(beats))
            event = _decode(stored.body)
            task = self._registry.find(stored.task_id)
            remote_id = (task.remote_id if task else None) or stored.task_id
            answer = await self._upstream.send_event(event, remote_id, _step_id(task, event.step_id) if task else event.step_id)
            if answer.outcome is Outcome.DELIVERED:
                results.append(Result(stored, accepted=True, body=answer.body))
                if event.kind is EventKind.TASK_CREATED:
                    created.add(stored.task_id)
            elif answer.outcome is Outcome.REFUSED:
                results.append(Result(stored, accepted=False, status=answer.status, detail=answer.detail))
                if event.kind is EventKind.TASK_CREATED:
                    created.add(stored.task_id)
            else:
                return Round(results, answer, list(beats))
        for number, beat in enumerate(beats):
            task = self._registry.find(beat.task_id)
            answer = await self._upstream.send_heartbeat(beat, (task.remote_id if task else None) or beat.task_id)
            if answer.outcome is Outcome.REFUSED:
                self._log.warning("heartbeat_refused", task_id=beat.task_id, detail=answer.detail)
            elif answer.outcome is not Outcome.DELIVERED:
                return Round(results, answer, list(beats[number:]))
        return Round(results)


def _renamed(task: Task) -> bool:
    return task.remote_id is not None or any(step.remote_id for step in task.steps)


def _step_id(task: Task, step_id: str | None) -> str | None:
    if step_id is None:
        return None
    return next((step.remote_id or step_id for step in task.steps if step.step_id == step_id), step_id)


def _status(code: str | None) -> int | None:
    return int(code) if code and code.isdigit() else None
