"""The two ways to send events and heartbeats to a backend: many in one request, or each by its own route.

Both return the same: what became of each event that was sent, and what kept the rest from being sent, if something did. A
heartbeat at which the backend fails while it takes others is dropped: the next one comes soon, and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import msgspec

from clawlog.protocol.ids import new_uuid
from clawlogd.logs import Log
from clawlogd.model import UNMAPPED, Beat, Event, EventKind, Task, TaskStatus
from clawlogd.outbox.records import StoredEvent
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.answers import Answer, Outcome, Verdict
from clawlogd.upstream.client import Upstream

_decode = msgspec.json.Decoder(Event).decode
_encode = msgspec.json.Encoder().encode
_TASK_EXISTS = "task_exists"
_MOST_BAD_BEATS = 3  # single heartbeats that fail while none gets through: then it is the backend
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
    """

    stored: StoredEvent
    accepted: bool
    status: int | None = None
    detail: str = ""
    body: Any = None
    unknown_task: bool = False


@dataclass(frozen=True, slots=True)
class Round:
    """What came of one attempt to send.

    Attributes:
        results: For each event whose fate is known, in order.
        failure: Why the fate of the others is not.
        unsent: Heartbeats that were not delivered, to be sent again.
        beats_sent: How many heartbeats the backend took.
        beats_failed: The single ones at which it failed.
        beats_answer: What it answered to the last of those.
        unknown_tasks: Tasks of heartbeats that the backend does not know.
    """

    results: list[Result]
    failure: Answer | None = None
    unsent: list[Beat] = field(default_factory=list)
    beats_sent: int = 0
    beats_failed: list[Beat] = field(default_factory=list)
    beats_answer: Answer | None = None
    unknown_tasks: list[str] = field(default_factory=list)


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


class BatchProfile:
    """Everything in one request.

    Args:
        upstream: The backend.
        registry: Knows which tasks the backend calls by other ids.
    """

    sends_many: ClassVar[bool] = True

    def __init__(self, *, upstream: Upstream, registry: Registry) -> None:
        self._upstream = upstream
        self._registry = registry
        self._log = Log("lane", backend=upstream.base_url)

    async def send(self, events: Sequence[StoredEvent], beats: Sequence[Beat]) -> Round:
        """Sends all as one batch. A refusal of the batch as a whole settles an event only when it was alone."""
        if not events:
            return await self._send_beats(beats)
        records = [self._event(each) for each in events] + self._beats(beats)
        answer, verdicts = await self._upstream.send_batch(records)
        if answer.outcome is Outcome.REFUSED and len(records) == 1:
            return Round([Result(events[0], accepted=False, status=answer.status, detail=answer.detail)])
        if answer.outcome is not Outcome.DELIVERED:
            return Round([], answer, list(beats))
        results = [
            Result(stored, accepted=True) if verdict.accepted else _refusal(stored, verdict)
            for stored, verdict in zip(events, verdicts, strict=False)
        ]
        unknown = self._refused(beats, verdicts[len(events) :])
        return Round(results, beats_sent=len(beats), unknown_tasks=unknown)

    async def send_new(self, events: Sequence[Event]) -> Answer:
        """Sends events that are in no outbox, as one batch. One that is refused is the answer, unless its task is there."""
        answer, verdicts = await self._upstream.send_batch([_encode(_named(self._registry, each)) for each in events])
        if answer.outcome is not Outcome.DELIVERED:
            return answer
        for verdict in verdicts:
            if not verdict.accepted and verdict.code != _TASK_EXISTS:
                return Answer(Outcome.REFUSED, f"{verdict.code or 'rejected'}: {verdict.detail}", verdict.status)
        return Answer(Outcome.DELIVERED)

    async def _send_beats(self, beats: Sequence[Beat]) -> Round:
        """Heartbeats alone; in halves, down to single ones, where the backend fails at them with an answer."""
        rest, sent = [list(beats)], 0
        failed: list[Beat] = []
        last: Answer | None = None
        unknown: list[str] = []
        while rest:
            part = rest.pop()
            answer, verdicts = await self._upstream.send_batch(self._beats(part))
            if answer.outcome is Outcome.DELIVERED:
                sent += len(part)
                unknown += self._refused(part, verdicts)
                continue
            last = answer
            if not _is_about_content(answer) or (len(failed) + 1 >= _MOST_BAD_BEATS and not sent):
                unsent = [*failed, *part, *(each for other in rest for each in other)]
                return Round([], answer, unsent, sent, unknown_tasks=unknown)
            if len(part) == 1:
                failed += part
            else:
                middle = len(part) // 2
                rest += [part[middle:], part[:middle]]
        return Round([], beats_sent=sent, beats_failed=failed, beats_answer=last if failed else None, unknown_tasks=unknown)

    def _refused(self, beats: Sequence[Beat], verdicts: Sequence[Verdict]) -> list[str]:
        """Logs what was refused. Returns the tasks that the backend does not know."""
        unknown = []
        for beat, verdict in zip(beats, verdicts, strict=True):
            if verdict.unknown_task:
                unknown.append(beat.task_id)
            elif not verdict.accepted:
                self._log.warning("heartbeat_refused", task_id=beat.task_id, code=verdict.code, detail=verdict.detail)
        return unknown

    def _event(self, stored: StoredEvent) -> bytes:
        task = self._registry.find(stored.task_id)
        if task is None or not _renamed(task):
            return stored.body
        return _encode(_named(self._registry, _decode(stored.body)))

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

    sends_many: ClassVar[bool] = False

    def __init__(self, *, upstream: Upstream, registry: Registry) -> None:
        self._upstream = upstream
        self._registry = registry
        self._log = Log("lane", backend=upstream.base_url)
        self._has_heartbeats = False  # whether the server ever took one: only then is a 404 about the task

    async def send(self, events: Sequence[StoredEvent], beats: Sequence[Beat]) -> Round:
        """Sends until something fails, or until a task has been created whose next event needs the ids that it was given."""
        results: list[Result] = []
        created: set[str] = set()
        unknown: set[str] = set()
        for stored in events:
            if stored.task_id in created:
                return Round(results, unsent=list(beats))
            if stored.task_id in unknown:
                results.append(Result(stored, accepted=False, status=404, unknown_task=True))
                continue
            event = _decode(stored.body)
            answer = await self._send_event(event)
            if answer.outcome is Outcome.DELIVERED:
                results.append(Result(stored, accepted=True, body=answer.body))
            elif answer.outcome is Outcome.REFUSED:
                is_unknown = answer.is_gone and event.kind is not EventKind.TASK_CREATED
                results.append(
                    Result(stored, accepted=False, status=answer.status, detail=answer.detail, unknown_task=is_unknown)
                )
                if is_unknown:
                    unknown.add(stored.task_id)
            else:
                return Round(results, answer, list(beats))
            if event.kind is EventKind.TASK_CREATED:
                created.add(stored.task_id)
        return await self._send_beats(results, beats)

    async def send_new(self, events: Sequence[Event]) -> Answer:
        """Sends events that are in no outbox, in order, until one is not taken. Returns the last answer."""
        answer = Answer(Outcome.DELIVERED)
        for event in events:
            answer = await self._send_event(event)
            if answer.outcome is not Outcome.DELIVERED:
                break
        return answer

    async def _send_event(self, event: Event) -> Answer:
        task = self._registry.find(event.task_id)
        if task is None:
            return await self._upstream.send_event(event, event.task_id, event.step_id)
        event = _told_of_the_task(task, event)
        return await self._upstream.send_event(event, task.remote_id or task.task_id, _step_id(task, event.step_id))

    async def _send_beats(self, results: list[Result], beats: Sequence[Beat]) -> Round:
        sent = 0
        failed: list[Beat] = []
        last: Answer | None = None
        unknown: list[str] = []
        for number, beat in enumerate(beats):
            task = self._registry.find(beat.task_id)
            answer = await self._upstream.send_heartbeat(beat, (task.remote_id if task else None) or beat.task_id)
            if answer.outcome is Outcome.DELIVERED:
                sent += 1
                self._has_heartbeats = True
            elif answer.outcome is Outcome.REFUSED:
                if answer.is_gone and self._has_heartbeats:
                    unknown.append(beat.task_id)
                else:
                    self._log.warning("heartbeat_refused", task_id=beat.task_id, detail=answer.detail)
            elif not _is_about_content(answer) or (len(failed) + 1 >= _MOST_BAD_BEATS and not sent and not results):
                return Round(results, answer, [*failed, *beats[number:]], sent, unknown_tasks=unknown)
            else:
                last = answer
                failed.append(beat)
        return Round(results, beats_sent=sent, beats_failed=failed, beats_answer=last, unknown_tasks=unknown)


def _is_about_content(answer: Answer) -> bool:
    """Whether a failure may be the fault of what was sent, and not of the way to the backend or of who asks."""
    return answer.status not in {None, _BUSY} and answer.outcome not in {Outcome.NO_ROUTE, Outcome.UNAUTHORIZED}


def _refusal(stored: StoredEvent, verdict: Verdict) -> Result:
    detail = f"{verdict.code or 'rejected'}: {verdict.detail}"
    return Result(stored, accepted=False, status=verdict.status, detail=detail, unknown_task=verdict.unknown_task)


def _renamed(task: Task) -> bool:
    return task.remote_id is not None or any(step.remote_id for step in task.steps)


def _named(registry: Registry, event: Event) -> Event:
    """An event with the ids by which the backend knows its task and its step."""
    task = registry.find(event.task_id)
    if task is None or not _renamed(task):
        return event
    return msgspec.structs.replace(event, task_id=task.remote_id or task.task_id, step_id=_step_id(task, event.step_id))


def _step_id(task: Task, step_id: str | None) -> str | None:
    if step_id is None:
        return None
    return next((step.remote_id or step_id for step in task.steps if step.step_id == step_id), step_id)


def _told_of_the_task(task: Task, event: Event) -> Event:
    """What is to be said of a step that the backend names in a way that is not known is said of its task, in words."""
    step = next((each for each in task.steps if each.step_id == event.step_id), None)
    if step is None or step.remote_id != UNMAPPED:
        return event
    words = f"{step.position} {step.title}: {event.status}" + (f", {event.summary}" if event.summary else "")
    return msgspec.structs.replace(
        event, kind=EventKind.TASK_STATUS, status=TaskStatus.RUNNING, step_id=None, summary=words[:1000]
    )
