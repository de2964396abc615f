"""What is said in place of words that a server lacks: pure functions from an event to the events in its place.

The contract has grown, and servers belong to their users. What one has no word for is told in the nearest that it has, mostly
as a summary of the task; so it is neither refused nor lost. The event that stands for another bears its id.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from uuid import UUID, uuid5

import msgspec

from clawlog.protocol import vocabulary
from clawlogd.clock import rfc3339
from clawlogd.model import UNMAPPED, Beat, Event, EventKind, NewStep, Progress, Task, TaskStatus

_MAX_CHARS = 1000
_FORM = frozenset({400, 405, 415, 422, 501})
_KIND_IN_BODY = b'"kind":"'
_WAITING_IN_BODY = b'"status":"waiting"'
_PROGRESS_IN_BODY = b'"progress":{'


class Word(StrEnum):
    """What a server may lack."""

    PLAN = "plan"
    STEP_ADDED = "step_added"
    METADATA = "metadata"
    LINK = "link"
    WAITING = "waiting"
    PROGRESS = "progress"


KIND_WORDS: Mapping[EventKind, Word] = {
    EventKind.PLAN: Word.PLAN,
    EventKind.STEP_ADDED: Word.STEP_ADDED,
    EventKind.METADATA: Word.METADATA,
    EventKind.LINK: Word.LINK,
}

_KINDS_IN_BODY = {kind.encode(): word for kind, word in KIND_WORDS.items()}
_NEEDLES = (_WAITING_IN_BODY, _PROGRESS_IN_BODY, *(b'%s%s"' % (_KIND_IN_BODY, kind) for kind in _KINDS_IN_BODY))


def needs_words(bodies: bytes) -> bool:
    """Whether any of many events' JSON may need a word: most need none, and are not looked at one by one."""
    return any(each in bodies for each in _NEEDLES)


def word_in(body: bytes) -> Word | None:
    """The word that an event's JSON needs; None where every server has all that it needs.

    No quotation mark in a text is unescaped, so what is looked for is found in its place alone.
    """
    start = body.find(_KIND_IN_BODY) + len(_KIND_IN_BODY)
    kind = body[start : body.find(b'"', start)]
    if kind == b"step_status":
        return Word.PROGRESS if _PROGRESS_IN_BODY in body else None
    if kind == b"task_status":
        return Word.WAITING if _WAITING_IN_BODY in body else None
    return _KINDS_IN_BODY.get(kind)


def word_of(event: Event) -> Word | None:
    """The word that an event needs; None where every server has all that it needs."""
    if event.kind is EventKind.TASK_STATUS:
        return Word.WAITING if event.status == TaskStatus.WAITING else None
    if event.kind is EventKind.STEP_STATUS:
        return Word.PROGRESS if event.progress is not None else None
    return KIND_WORDS.get(event.kind)


def lacks_word(word: Word, *, known: bool, status: int | None, code: str | None, detail: str) -> bool:
    """Whether a refusal says that the server lacks a word.

    Args:
        word: The word that the event needs.
        known: Whether the server has shown or said that it has it: then the refusal must name what is lacking.
        status: The HTTP status, or the one that the code is.
        code: The refusal's code.
        detail: Its words.
    """
    member = {Word.WAITING: "status", Word.PROGRESS: "progress"}.get(word, "kind")
    if re.search(rf"\b{member}\b", f"{code or ''} {detail}", re.IGNORECASE):
        return True
    return not known and (status in _FORM or (code or "").startswith(("invalid", "unsupported", "unknown_kind")))


def refused_members(event: Event, detail: str) -> frozenset[str]:
    """Which members of a creation a refusal names that it can do without."""
    given = {"metadata": event.metadata, "parent_task_id": event.parent_task_id}
    return frozenset(name for name, value in given.items() if value and re.search(rf"\b{name}\b", detail))


def without(event: Event, members: Collection[str]) -> Event:
    """A creation without some of its members."""
    return msgspec.structs.replace(event, **dict.fromkeys(members))


def unmapped(task: Task) -> frozenset[str]:
    """The steps of a task by which its backend does not know them."""
    return frozenset(step.step_id for step in task.steps if step.remote_id == UNMAPPED)


def nearest(
    event: Event,
    task: Task,
    lacks: Callable[[Word], bool],
    unknown_steps: Collection[str],
    told: Mapping[str, str] | None = None,
    *,
    seq: int = 0,
) -> list[Event]:
    """What is sent for an event: itself, or what is nearest to it.

    Args:
        event: What happened, with the ids that callers know.
        task: Its task as it is now. Its status may have been set by a later event, that is told later.
        lacks: Whether the server lacks a word.
        unknown_steps: The steps of the task that the server does not know.
        told: The statuses of steps that the server was told in place of plans.
        seq: The event's number; 0 for one that is not in the outbox: the task's status is told after it.

    Returns:
        In order; the last bears the event's id.
    """
    word, task = word_of(event), _as_of(event, seq, task)
    if word is Word.PROGRESS and lacks(word):
        event = msgspec.structs.replace(event, summary=measured(event.summary, event.progress), progress=None)
    elif word is not None and lacks(word):
        match word:
            case Word.PLAN:
                return _plan(event, task, lacks, unknown_steps, told or {})
            case Word.STEP_ADDED:
                return [_summary(event, task, lacks, f"step added: {event.title}")]
            case Word.METADATA:
                said = f"title: {event.title}" if event.title else _metadata(event.metadata or {})
                return [_summary(event, task, lacks, said)]
            case Word.LINK:
                return [_summary(event, task, lacks, f"link: {event.url}" + (f" ({event.name})" if event.name else ""))]
            case _:
                words = event.summary or "waiting for a person"
                return [msgspec.structs.replace(event, status=TaskStatus.RUNNING, summary=words)]
    if event.kind is EventKind.STEP_STATUS and event.step_id in unknown_steps:
        step = next(each for each in task.steps if each.step_id == event.step_id)
        more = measured(event.summary, event.progress)
        return [_summary(event, task, lacks, f"{step.position} {step.title}: {event.status}" + (f", {more}" if more else ""))]
    return [event]


def nearest_beat(beat: Beat, lacks: Callable[[Word], bool]) -> Beat:
    """What is sent for a heartbeat."""
    if beat.progress is None or not lacks(Word.PROGRESS):
        return beat
    return msgspec.structs.replace(beat, summary=measured(beat.summary, beat.progress), progress=None)


def measured(summary: str | None, progress: Progress | None) -> str | None:
    """A summary with how far it has come before it, such as ``132/318 files: writing``."""
    if progress is None:
        return summary
    words = str(progress.done) if progress.total is None else f"{progress.done}/{progress.total}"
    if progress.unit:
        words += f" {progress.unit}"
    return _cut(f"{words}: {summary}" if summary else words)


def _plan(
    event: Event, task: Task, lacks: Callable[[Word], bool], unknown: Collection[str], told: Mapping[str, str]
) -> list[Event]:
    """A changed plan: the statuses of the steps that the server knows, and the rest in words.

    The words say how the plan stands beside what the server lists; so they are true however often they are said.
    """
    steps = event.steps or ()
    known = [step for step in steps if step.step_id not in unknown]
    statuses = [
        Event(_derived_id(event, step), event.task_id, EventKind.STEP_STATUS, event.at, step.step_id, step.status)
        for step in known
        if step.status is not None and step.status != told.get(step.step_id, vocabulary.PENDING)
    ]
    parts = [f"plan: {len(steps)} step{'' if len(steps) == 1 else 's'}"]
    if new := [step for step in steps if step.step_id in unknown]:
        parts.append("not listed here: " + ", ".join(map(_shown, new)))
    if dropped := [step.title for step in known if step.status == "skipped"]:
        parts.append("dropped: " + ", ".join(dropped))
    if not new and not dropped:
        parts.append("in this order: " + ", ".join(step.title for step in steps))
    return [*statuses, _summary(event, task, lacks, "; ".join(parts))]


def _as_of(event: Event, seq: int, task: Task) -> Task:
    """A task with the status that it had when an event happened: a later one is told in its own place."""
    is_over = task.status.ended
    if not is_over and task.status is not TaskStatus.WAITING:
        return task
    if task.status_seq:
        is_later = seq < task.status_seq
    else:
        since_ms = task.ended_ms if is_over else task.waiting_ms
        is_later = since_ms is None or event.at < rfc3339(since_ms)
    return msgspec.structs.replace(task, status=TaskStatus.RUNNING) if is_later else task


def _shown(step: NewStep) -> str:
    return step.title if step.status in {None, vocabulary.PENDING} else f"{step.title} ({step.status})"


def _metadata(pairs: Mapping[str, str | None]) -> str:
    return "metadata: " + ", ".join(f"{key} removed" if value is None else f"{key} = {value}" for key, value in pairs.items())


def _summary(event: Event, task: Task, lacks: Callable[[Word], bool], words: str) -> Event:
    """Words as a summary of the task. They change nothing of its status."""
    status, before = TaskStatus.RUNNING, ""
    if task.status.ended:
        status, before = task.status, task.summary or ""
    elif task.status is TaskStatus.WAITING:
        status, before = TaskStatus.RUNNING if lacks(Word.WAITING) else task.status, task.summary or ""
    return Event(
        event_id=event.event_id,
        task_id=event.task_id,
        kind=EventKind.TASK_STATUS,
        at=event.at,
        status=status,
        summary=_cut(f"{before}; {words}" if before else words),
    )


def _cut(words: str) -> str:
    return words if len(words) <= _MAX_CHARS else words[: _MAX_CHARS - 1] + "…"


def _derived_id(event: Event, step: NewStep) -> str:
    return str(uuid5(UUID(event.event_id), step.step_id))
