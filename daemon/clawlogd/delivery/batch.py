"""The batch profile: everything in one request, as the bytes that the outbox keeps.

What a server has no word for goes in the nearest words. While it is not known whether it has a word, an event that needs it is
the last of its task in a request: if it is refused, its place in the order is still there for the other words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec

from clawlog.protocol.ids import new_uuid
from clawlogd.delivery.naming import is_special, mark, named
from clawlogd.delivery.nearest import (
    Word,
    lacks_word,
    nearest,
    nearest_beat,
    needs_words,
    refused_members,
    unmapped,
    without,
    word_in,
    word_of,
)
from clawlogd.delivery.profiles import MOST_BAD_BEATS, Result, Round, is_about_content
from clawlogd.delivery.words import Words
from clawlogd.logs import Log
from clawlogd.model import UNMAPPED, Beat, Event, EventKind
from clawlogd.outbox.records import StoredEvent
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.answers import Answer, Outcome, Verdict
from clawlogd.upstream.client import Upstream

_decode = msgspec.json.Decoder(Event).decode
_encode = msgspec.json.Encoder().encode
_TASK_EXISTS = "task_exists"
_UNKNOWN_STEP = "unknown_step"
_MOST_TRIES = 8  # of events that are in no outbox, each in other words


@dataclass(slots=True)
class _Said:
    """What is sent for one event, where that is more than its bytes.

    Attributes:
        event: The event, with the ids that callers know.
        said: What is sent for it, with those ids.
        word: The word that it needs, and in which it is sent; None for none, or other words.
        new_steps: The steps that the server learns of by it.
    """

    event: Event
    said: list[Event]
    word: Word | None = None
    new_steps: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Outgoing:
    """One request.

    Attributes:
        events: The events in it.
        records: Their JSON objects; one event may have several.
        said: Of those that are not sent as their bytes, by their place among the events.
    """

    events: list[StoredEvent] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    said: dict[int, _Said] = field(default_factory=dict)


class BatchProfile:
    """Everything in one request.

    Args:
        upstream: The backend.
        registry: Knows which tasks the backend calls by other ids.
        words: What the server has words for.
    """

    sends_many: ClassVar[bool] = True

    def __init__(self, *, upstream: Upstream, registry: Registry, words: Words) -> None:
        self._upstream = upstream
        self._registry = registry
        self._words = words
        self._without: dict[int, frozenset[str]] = {}  # creations' members that were refused, by number of event
        self._log = Log("lane", backend=upstream.base_url)

    async def send(self, events: Sequence[StoredEvent], beats: Sequence[Beat]) -> Round:
        """Sends all as one batch. A refusal of the batch as a whole settles an event only when it was alone."""
        self._words.refresh()
        if not events:
            return await self._send_beats(beats)
        beats = self._of_living(beats)
        outgoing = self._prepare(events)
        answer, verdicts = await self._upstream.send_batch(outgoing.records + self._beats(beats))
        if answer.outcome is Outcome.REFUSED and len(outgoing.events) == 1 and not beats:
            code = str(answer.status) if answer.status is not None else None
            refusal = Verdict(accepted=False, code=code, detail=answer.detail)
            return Round(self._judge(outgoing, [refusal] * len(outgoing.records), answer.detail))
        if answer.outcome is not Outcome.DELIVERED:
            return Round([], answer, list(beats))
        results = self._judge(outgoing, verdicts)
        unknown = self._refused(beats, verdicts[len(outgoing.records) :])
        return Round(results, beats_sent=len(beats), unknown_tasks=unknown)

    async def send_new(self, events: Sequence[Event]) -> Answer:
        """Sends events that are in no outbox, as one batch. One that is refused is the answer, unless its task is there."""
        self._words.refresh()
        answer = Answer(Outcome.DELIVERED)
        for _ in range(_MOST_TRIES):
            sent = [said for event in events for said in self._in_other_words(event, events)]
            answer, verdicts = await self._upstream.send_batch([_encode(named(self._registry, each)) for each in sent])
            if answer.outcome is Outcome.REFUSED:
                verdicts = [Verdict(accepted=False, code=str(answer.status), detail=answer.detail)] * len(sent)
            elif answer.outcome is not Outcome.DELIVERED:
                return answer
            refused = [
                pair for pair in zip(sent, verdicts, strict=True) if not pair[1].accepted and pair[1].code != _TASK_EXISTS
            ]
            if not refused:
                return Answer(Outcome.DELIVERED)
            verdict = refused[0][1]
            answer = Answer(Outcome.REFUSED, f"{verdict.code or 'rejected'}: {verdict.detail}", verdict.status)
            if not sum(self._is_missing(word_of(event), verdict) for event, verdict in refused):
                break
        return answer

    # ── What is sent ───────────────────────────────────────────────────────────────────────────────────────────────

    def _prepare(self, events: Sequence[StoredEvent]) -> _Outgoing:
        outgoing, words = _Outgoing(), self._words
        may_lack = not words.all_known and needs_words(b"".join(each.body for each in events))
        tried: set[str] = set()  # tasks of which an event needs a word that may be lacking
        added: dict[str, frozenset[str]] = {}  # steps that the server learns of by an earlier event of this request
        for stored in events:
            task_id = stored.task_id
            if task_id in tried:
                continue
            task = self._registry.find(task_id)
            word = word_in(stored.body) if may_lack else None
            outgoing.events.append(stored)
            if task is None or (
                word is None and not is_special(task) and stored.seq not in self._without and words.told(task_id) is None
            ):
                outgoing.records.append(stored.body)
                continue
            said = self._say(stored, added.get(task_id, frozenset()))
            if said.new_steps:
                added[task_id] = added.get(task_id, frozenset()) | said.new_steps
            if said.word is not None and not words.knows(said.word):
                tried.add(task_id)
            outgoing.said[len(outgoing.events) - 1] = said
            outgoing.records += [_encode(named(self._registry, each)) for each in said.said]
        return outgoing

    def _say(self, stored: StoredEvent, added: frozenset[str]) -> _Said:
        event = without(_decode(stored.body), self._without.get(stored.seq, ()))
        task = self._registry.get(stored.task_id)
        unknown = unmapped(task) - added
        said = nearest(event, task, self._words.lacks, unknown, self._words.told(task.task_id), seq=stored.seq)
        if said[-1] is not event:
            return _Said(event, said)
        listed = {step.step_id for step in event.steps or ()} if event.kind is EventKind.PLAN else {event.step_id}
        is_plan = event.kind in {EventKind.PLAN, EventKind.STEP_ADDED}
        return _Said(event, said, word_of(event), unknown & listed if is_plan else frozenset())

    def _in_other_words(self, event: Event, events: Sequence[Event]) -> list[Event]:
        task = self._registry.find(event.task_id)
        if task is None:
            return [event]
        created = {step.step_id for each in events if each.kind is EventKind.TASK_CREATED for step in each.steps or ()}
        return nearest(event, task, self._words.lacks, unmapped(task) - created)

    async def _send_beats(self, beats: Sequence[Beat]) -> Round:
        """Heartbeats alone; in halves, down to single ones, where the backend fails at them with an answer."""
        rest, sent = [list(beats)], 0
        failed: list[Beat] = []
        last: Answer | None = None
        unknown: list[str] = []
        while rest:
            part = self._of_living(rest.pop())
            if not part:
                continue
            answer, verdicts = await self._upstream.send_batch(self._beats(part))
            if answer.outcome is Outcome.DELIVERED:
                sent += len(part)
                unknown += self._refused(part, verdicts)
                continue
            last = answer
            if not is_about_content(answer) or (len(failed) + 1 >= MOST_BAD_BEATS and not sent):
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
            elif not verdict.accepted and beat.progress is not None and self._is_missing(Word.PROGRESS, verdict):
                continue  # the next one says it in words
            elif not verdict.accepted:
                self._log.warning("heartbeat_refused", task_id=beat.task_id, code=verdict.code, detail=verdict.detail)
        return unknown

    def _of_living(self, beats: Sequence[Beat]) -> list[Beat]:
        """Those of tasks that go on: one may have ended since the beats were taken."""
        return [beat for beat in beats if self._registry.may_beat(beat.task_id)]

    def _beats(self, beats: Sequence[Beat]) -> list[bytes]:
        # A heartbeat is no event: it has an id only because a batch's records have one. So the ids of a batch are counted up.
        minted = new_uuid()[:24]
        records: list[bytes] = []
        for number, beat in enumerate(beats):
            task = self._registry.find(beat.task_id)
            said = nearest_beat(beat, self._words.lacks)
            if task and task.remote_id:
                said = msgspec.structs.replace(said, task_id=task.remote_id)
            records.append(b'{"kind":"heartbeat","event_id":"%s%012x",%s' % (minted.encode(), number, _encode(said)[1:]))
        return records

    # ── What became of it ──────────────────────────────────────────────────────────────────────────────────────────

    def _judge(self, outgoing: _Outgoing, verdicts: Sequence[Verdict], whole: str | None = None) -> list[Result]:
        """What became of each event. One that is to be sent in other words is left out, and what was refused behind it, too.

        Args:
            outgoing: The request.
            verdicts: One for each of its records, and perhaps more.
            whole: What the backend answered to the request as a whole, where it refused that.
        """
        own = self._own_verdicts(outgoing, verdicts) if outgoing.said else verdicts[: len(outgoing.events)]
        if not outgoing.said and all(verdict.accepted for verdict in own):
            return [Result(stored, accepted=True) for stored in outgoing.events]
        own = [self._unless_there(stored, verdict) for stored, verdict in zip(outgoing.events, own, strict=True)]
        last = {stored.task_id: number for number, stored in enumerate(outgoing.events) if own[number].accepted}
        results: list[Result] = []
        postponed: set[str] = set()
        for number, (stored, verdict) in enumerate(zip(outgoing.events, own, strict=True)):
            said, too_late = outgoing.said.get(number), last.get(stored.task_id, -1) > number
            if verdict.accepted:
                results.append(self._taken(stored, said))
            elif stored.task_id in postponed:
                continue
            elif not too_late and self._can_say_otherwise(stored, said, verdict):
                postponed.add(stored.task_id)
            elif too_late and self._is_missing(said.word if said else word_in(stored.body), verdict):
                # Said now in other words it would undo what came after it.
                self._log.warning("not_told", task_id=stored.task_id, event_body=stored.body.decode(), detail=verdict.detail)
                results.append(Result(stored, accepted=True))
            else:
                self._without.pop(stored.seq, None)
                results.append(_refusal(stored, verdict, whole))
        return results

    def _unless_there(self, stored: StoredEvent, verdict: Verdict) -> Verdict:
        """A session's task that the server has already is the same one: its id follows from the session."""
        if verdict.accepted or verdict.code != _TASK_EXISTS:
            return verdict
        task = self._registry.find(stored.task_id)
        return verdict if task is None or task.session is None else Verdict(accepted=True)

    def _own_verdicts(self, outgoing: _Outgoing, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """One verdict for each event: of the last of its records, which bears its id."""
        own: list[Verdict] = []
        place = 0
        for number, stored in enumerate(outgoing.events):
            said = outgoing.said.get(number)
            for step in said.said[:-1] if said else ():
                if verdicts[place].code == _UNKNOWN_STEP and step.step_id is not None:
                    mark(self._registry, stored.task_id, {step.step_id: UNMAPPED})
                place += 1
            own.append(verdicts[place])
            place += 1
        return own

    def _taken(self, stored: StoredEvent, said: _Said | None) -> Result:
        if said is None:
            return Result(stored, accepted=True)
        if said.word is not None:
            self._words.found(said.word)
        self._words.note_told(said.event, said.said)
        self._without.pop(stored.seq, None)
        return Result(stored, accepted=True, new_steps=dict.fromkeys(said.new_steps) if said.new_steps else None)

    def _can_say_otherwise(self, stored: StoredEvent, said: _Said | None, verdict: Verdict) -> bool:
        """Whether a refused event is to be said in other words from now on."""
        if verdict.unknown_task:
            return False
        if self._is_missing(said.word if said else word_in(stored.body), verdict):
            return True
        event = _decode(stored.body)
        if event.kind is EventKind.TASK_CREATED:
            members = refused_members(event, verdict.detail) - self._without.get(stored.seq, frozenset())
            if members:
                self._without[stored.seq] = members | self._without.get(stored.seq, frozenset())
                self._log.warning("created_without", task_id=stored.task_id, members=",".join(sorted(members)))
            return bool(members)
        if event.kind is EventKind.STEP_STATUS and event.step_id is not None and verdict.code == _UNKNOWN_STEP:
            task = self._registry.find(stored.task_id)
            if task is not None and any(step.step_id == event.step_id and step.remote_id != UNMAPPED for step in task.steps):
                mark(self._registry, stored.task_id, {event.step_id: UNMAPPED})
                return True
        return False

    def _is_missing(self, word: Word | None, verdict: Verdict) -> bool:
        """Whether a refusal says that the server lacks a word. That is noted."""
        if word is None or verdict.accepted or verdict.unknown_task:
            return False
        known = self._words.knows(word)
        if not lacks_word(word, known=known, status=verdict.status, code=verdict.code, detail=verdict.detail):
            return False
        if self._words.missed(word):
            self._log.info("word_lacking", word=word.value, detail=f"{verdict.code or ''} {verdict.detail}".strip())
        return True


def _refusal(stored: StoredEvent, verdict: Verdict, whole: str | None) -> Result:
    detail = whole or f"{verdict.code or 'rejected'}: {verdict.detail}"
    return Result(stored, accepted=False, status=verdict.status, detail=detail, unknown_task=verdict.unknown_task and not whole)
