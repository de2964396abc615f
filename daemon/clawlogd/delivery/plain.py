"""The plain profile: each event by its own route, of each task one after the other, of several tasks a few at a time.

Routes that a server may lack, and members that it may refuse, are tried once; what it does not take goes in the nearest words,
at once and in its place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar, get_args

import anyio
import msgspec

from clawlog.protocol.types import StepStatus
from clawlogd.delivery.lost_creations import LostCreations
from clawlogd.delivery.naming import has_own_ids, named
from clawlogd.delivery.nearest import (
    Word,
    lacks_word,
    measured,
    nearest,
    nearest_beat,
    refused_members,
    unmapped,
    without,
    word_of,
)
from clawlogd.delivery.profiles import MOST_BAD_BEATS, Result, Round, is_about_content
from clawlogd.delivery.words import Words
from clawlogd.logs import Log
from clawlogd.model import Beat, Event, EventKind, NewStep, Task
from clawlogd.outbox.records import StoredEvent
from clawlogd.settings import LiveSettings
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.answers import Answer, Outcome, read_id, read_text
from clawlogd.upstream.client import Upstream
from clawlogd.upstream.controls import Control, Unreadable
from clawlogd.upstream.remote_ids import read_plan_ids

M = TypeVar("M", Event, Beat)
Hear = Callable[[str], Callable[[Control | Unreadable], None]]

_decode = msgspec.json.Decoder(Event).decode
_ROUND_S = 1.0
_OWN_ROUTES = frozenset({Word.PLAN, Word.STEP_ADDED, Word.LINK})
_NO_ROUTE = frozenset({405, 501})
_FORM = frozenset({400, 422})
_STATUSES: Mapping[str, StepStatus] = {status: status for status in get_args(StepStatus)}


Queue = deque[tuple[StoredEvent, Event]]
"""The events of one task, in order."""


@dataclass(slots=True)
class _Sending:
    """A round on its way.

    Attributes:
        creating: The tasks that are created in it.
        until: When no more is begun, monotonic: what became of the events is recorded when it is over.
        results: What became of events, those of each task in order.
        failure: The first answer that keeps others from being sent.
        failed: What it was the answer to.
        error: A fault of the daemon's own.
        unknown: The tasks that the server does not know.
    """

    creating: frozenset[str]
    until: float
    results: list[Result] = field(default_factory=list)
    failure: Answer | None = None
    failed: StoredEvent | None = None
    error: Exception | None = None
    unknown: set[str] = field(default_factory=set)

    @property
    def is_over(self) -> bool:
        """Whether no more is to be begun."""
        return self.failure is not None or self.error is not None or anyio.current_time() >= self.until

    def fail(self, why: Answer | Exception, stored: StoredEvent) -> None:
        """Notes what keeps the rest from being sent: the first that does counts."""
        if self.failed is not None:
            return
        self.failed = stored
        if isinstance(why, Answer):
            self.failure = why
        else:
            self.error = why


class PlainProfile:
    """Each event by its own route: of each task one after the other, of several tasks a few at a time.

    Args:
        upstream: The backend.
        registry: Knows which tasks the backend calls by other ids.
        words: What the server has words for.
        settings: How many requests are made at a time.
        hear: Called with a task right before its heartbeat; takes the control state that may come with the answer.
    """

    sends_many: ClassVar[bool] = False

    def __init__(self, *, upstream: Upstream, registry: Registry, words: Words, settings: LiveSettings, hear: Hear) -> None:
        self._upstream = upstream
        self._registry = registry
        self._words = words
        self._settings = settings
        self._hear = hear
        self._log = Log("lane", backend=upstream.base_url)
        self._creations = LostCreations(upstream=upstream, registry=registry)
        self._has_heartbeats = False  # whether the server ever took one: only then is a 404 about the task

    async def send(self, events: Sequence[StoredEvent], beats: Sequence[Beat]) -> Round:
        """Sends a few at a time until something fails, or the round has lasted; of each task one after the other.

        What follows a creation waits for the next round, in which the ids are known that were given.
        """
        self._words.refresh()
        queues: dict[str, Queue] = {}
        for stored in events:
            queues.setdefault(stored.task_id, deque()).append((stored, _decode(stored.body)))
        sending = _Sending(
            creating=frozenset(task_id for task_id, queue in queues.items() if queue[0][1].kind is EventKind.TASK_CREATED),
            until=anyio.current_time() + _ROUND_S,
        )
        in_turn = deque(queues.values())
        async with anyio.create_task_group() as group:
            for _ in range(min(len(queues), self._settings.now.http.max_parallel)):
                group.start_soon(self._send_in_turn, in_turn, sending)
        if sending.failure is not None or sending.error is not None:
            return Round(sending.results, sending.failure, list(beats), failed=sending.failed, error=sending.error)
        return await self._send_beats(sending, beats)

    async def _send_in_turn(self, queues: deque[Queue], sending: _Sending) -> None:
        """Sends one event of a task, then one of the next task that is in nobody's hands."""
        while queues and not sending.is_over:
            queue = queues.popleft()
            stored, _ = queue[0]
            try:
                if await self._send_next(queue, sending) and queue:
                    queues.append(queue)
            except Exception as error:  # noqa: BLE001 - it ends the round once the others have what they wait for
                sending.fail(error, stored)

    async def _send_next(self, queue: Queue, sending: _Sending) -> bool:
        """Sends one event. Returns whether the next of its task may follow in this round."""
        stored, event = queue.popleft()
        if stored.task_id in sending.unknown:
            sending.results.append(Result(stored, accepted=False, status=404, unknown_task=True))
            return True
        if event.parent_task_id in sending.creating:
            return False
        answer, new_steps = await self._send_event(event, stored.seq)
        if answer.outcome is Outcome.DELIVERED:
            sending.results.append(Result(stored, accepted=True, body=answer.body, new_steps=new_steps))
        elif answer.outcome is Outcome.REFUSED:
            is_unknown = answer.is_gone and event.kind is not EventKind.TASK_CREATED
            sending.results.append(
                Result(stored, accepted=False, status=answer.status, detail=answer.detail, unknown_task=is_unknown)
            )
            if is_unknown:
                sending.unknown.add(stored.task_id)
        else:
            sending.fail(answer, stored)
            return False
        return event.kind is not EventKind.TASK_CREATED and not new_steps

    async def send_new(self, events: Sequence[Event]) -> Answer:
        """Sends events that are in no outbox, in order, until one is not taken. Returns the last answer."""
        self._words.refresh()
        answer = Answer(Outcome.DELIVERED)
        for event in events:
            answer, _ = await self._send_event(event)
            if answer.outcome is not Outcome.DELIVERED:
                break
        return answer

    # ── One event ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _send_event(self, event: Event, seq: int = 0) -> tuple[Answer, Mapping[str, str | None] | None]:
        """Sends one event, in other words where the server does not take its own.

        Args:
            event: The event.
            seq: Its number; 0 for one that is not in the outbox.

        Returns:
            The answer, and of a plan that was taken the steps that the server learned of by it, with its ids for them.
        """
        task = self._registry.find(event.task_id)
        if task is None:
            return await self._upstream.send_event(event, event.task_id, event.step_id), None
        said = nearest(event, task, self._words.lacks, unmapped(task), self._words.told(task.task_id), seq=seq)
        if said[-1] is not event:
            return await self._send_said(event, said, task), None
        word = word_of(event)
        if word in {Word.PLAN, Word.STEP_ADDED}:
            answer, new_steps = await self._send_plan(event, task)
        else:
            answer, new_steps = await self._send_as_it_is(event, task), None
        if answer.outcome is Outcome.DELIVERED:
            self._words.note_told(event, said)
            if word is not None and word is not Word.PROGRESS:  # which is a member: it may have been passed over
                self._words.found(word)
        if answer.outcome is not Outcome.REFUSED:
            return answer, new_steps
        if word is not None and self._may_lack(word, answer):
            return await self._without_word(event, seq, task, word, answer), None
        if event.kind is EventKind.TASK_CREATED and (members := refused_members(event, answer.detail)):
            self._log.warning("created_without", task_id=task.task_id, members=",".join(sorted(members)))
            return await self._send_as_it_is(without(event, members), task), None
        return answer, None

    async def _send_as_it_is(self, event: Event, task: Task) -> Answer:
        event = self._measured(named(self._registry, event))
        if event.kind is EventKind.TASK_CREATED:
            return await self._creations.send(event, task.task_id)
        return await self._upstream.send_event(event, task.remote_id or task.task_id, event.step_id)

    def _measured(self, event: M) -> M:
        """What is said with a progress: in words, too, where the server does not say that it takes the member."""
        if event.progress is None or self._words.knows(Word.PROGRESS):
            return event
        return msgspec.structs.replace(event, summary=measured(event.summary, event.progress))

    async def _send_said(self, event: Event, said: list[Event], task: Task) -> Answer:
        """Sends what stands for an event. What is said of single steps is not waited for: the last says what cannot be said."""
        answer = Answer(Outcome.DELIVERED)
        for each in said:
            answer = await self._send_as_it_is(each, task)
            if answer.outcome not in {Outcome.DELIVERED, Outcome.REFUSED}:
                return answer
        if answer.outcome is Outcome.DELIVERED:
            self._words.note_told(event, said)
        return answer

    def _may_lack(self, word: Word, answer: Answer) -> bool:
        if word in _OWN_ROUTES:
            return True  # whatever is wrong with it there, the task's own route can say it
        known = self._words.knows(word)
        return lacks_word(word, known=known, status=answer.status, code=None, detail=answer.detail)

    async def _without_word(self, event: Event, seq: int, task: Task, word: Word, refusal: Answer) -> Answer:
        """Sends an event again, in other words. That they are taken shows that it was the word, and not the task."""

        def lacks(other: Word) -> bool:
            return other is word or self._words.lacks(other)

        said = nearest(event, task, lacks, unmapped(task), self._words.told(task.task_id), seq=seq)
        answer = await self._send_said(event, said, task)
        is_word = not self._words.knows(word) or word not in _OWN_ROUTES or refusal.status in _NO_ROUTE
        if answer.outcome is Outcome.DELIVERED and is_word and self._words.missed(word):
            self._log.info("word_lacking", word=word.value, detail=refusal.detail)
        return answer

    # ── Plans ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _send_plan(self, event: Event, task: Task) -> tuple[Answer, Mapping[str, str | None] | None]:
        """Replaces a task's steps. For one that is added the server is asked how the others stand there by now."""
        plan = named(self._registry, event)
        if event.kind is EventKind.STEP_ADDED:
            answer = await self._upstream.get_task(task.remote_id or task.task_id)
            if answer.outcome is not Outcome.DELIVERED and answer.status not in _NO_ROUTE:
                return answer, None
            steps = _with_step(plan, answer.body)
            if steps is None and self._words.knows(Word.STEP_ADDED) and not _is_task(answer.body):
                return Answer(Outcome.TRANSIENT, "the answer shows no task", answer.status), None
            if steps is None:
                return Answer(Outcome.REFUSED, "the server does not list the task's steps", 501), None
            plan = msgspec.structs.replace(plan, kind=EventKind.PLAN, steps=steps, step_id=None, title=None, after=None)
        answer = await self._upstream.send_event(plan, task.remote_id or task.task_id, None)
        if answer.outcome is not Outcome.DELIVERED:
            return answer, None
        new = unmapped(task) & {step.step_id for step in plan.steps or ()}
        return answer, read_plan_ids(plan.steps or (), new, answer.body, own_ids=has_own_ids(task)) if new else None

    # ── Heartbeats ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _send_beats(self, sending: _Sending, beats: Sequence[Beat]) -> Round:
        """Sends heartbeats: those of tasks that were created just now wait, for the ids that those were given."""
        sent = 0
        unsent = [beat for beat in beats if beat.task_id in sending.creating]
        failed: list[Beat] = []
        last: Answer | None = None
        broken: Answer | None = None
        unknown: list[str] = []

        async def send(beat: Beat) -> None:
            nonlocal sent, last, broken
            if broken is not None:
                unsent.append(beat)
                return
            if not self._registry.may_beat(beat.task_id):  # it has ended while others were sent
                return
            answer = await self._send_beat(beat)
            if answer.outcome is Outcome.DELIVERED:
                sent += 1
                self._has_heartbeats = True
            elif answer.outcome is Outcome.REFUSED:
                if answer.is_gone and self._has_heartbeats:
                    unknown.append(beat.task_id)
                else:
                    self._log.warning("heartbeat_refused", task_id=beat.task_id, detail=answer.detail)
            elif not is_about_content(answer) or (len(failed) + 1 >= MOST_BAD_BEATS and not sent and not sending.results):
                broken = broken or answer
                unsent.append(beat)
            else:
                last = answer
                failed.append(beat)

        left = deque(beat for beat in beats if beat.task_id not in sending.creating)

        async def send_in_turn() -> None:
            while left:
                await send(left.popleft())

        async with anyio.create_task_group() as group:
            for _ in range(min(len(left), self._settings.now.http.max_parallel)):
                group.start_soon(send_in_turn)
        if broken is not None:
            return Round(sending.results, broken, [*failed, *unsent], sent, unknown_tasks=unknown)
        return Round(sending.results, None, unsent, sent, beats_failed=failed, beats_answer=last, unknown_tasks=unknown)

    async def _send_beat(self, beat: Beat) -> Answer:
        task = self._registry.find(beat.task_id)
        task_id = (task.remote_id if task else None) or beat.task_id
        said = self._measured(nearest_beat(beat, self._words.lacks))
        take = self._hear(beat.task_id)
        answer = await self._upstream.send_heartbeat(said, task_id)
        if isinstance(answer.body, Control | Unreadable):
            take(answer.body)
        if said.progress is not None and answer.outcome is Outcome.REFUSED and answer.status in _FORM:
            answer = await self._upstream.send_heartbeat(nearest_beat(beat, lambda _: True), task_id)
            if answer.outcome is Outcome.DELIVERED:
                self._words.missed(Word.PROGRESS)
        return answer


def _is_task(body: object) -> bool:
    """Whether an answer shows a task, if without its steps. A proxy may answer anything, which says nothing of the server."""
    return isinstance(body, Mapping) and "title" in body


def _with_step(event: Event, body: object) -> tuple[NewStep, ...] | None:
    """The steps that a server lists of a task, and one more behind the one that is named, else the last; None for no list."""
    listed = body.get("steps") if isinstance(body, Mapping) else None
    if not isinstance(listed, list) or event.step_id is None or event.title is None:
        return None
    steps: list[NewStep] = []
    for each in listed:
        step_id = read_id(each.get("step_id", each.get("id"))) if isinstance(each, Mapping) else None
        title = read_text(each.get("title")) if step_id is not None else None
        if step_id is None or title is None:
            return None
        steps.append(NewStep(step_id, title, _STATUSES.get(str(each.get("status")), "pending")))
    ids = [step.step_id for step in steps]
    if event.step_id not in ids:
        place = ids.index(event.after) + 1 if event.after in ids else len(steps)
        steps.insert(place, NewStep(event.step_id, event.title, "pending"))
    return tuple(steps)
