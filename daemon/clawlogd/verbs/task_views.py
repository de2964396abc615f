"""``task.get`` and ``task.list``: tasks as the daemon knows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from clawlog.protocol.types import StepStatus
from clawlogd.clock import rfc3339
from clawlogd.context import CallContext
from clawlogd.errors import InvalidValue
from clawlogd.interrupts.state import InterruptStatus
from clawlogd.liveness.evidence import LifeState
from clawlogd.model import Evidence, Progress, Step, Task, TaskStatus
from clawlogd.services import Services
from clawlogd.tasks.census import Place, place_of
from clawlogd.tasks.registry import ID
from clawlogd.verbs.fields import Flag, Params, TaskChoice, hint
from clawlogd.verbs.verb import Streamed, Verb

_encode = msgspec.json.Encoder().encode
_MAX_LIMIT = 50_000
_LIMIT_HINT = f"expected 1 to {_MAX_LIMIT}; without it all tasks are given"
_MAX_MS_DIGITS = 15
_PART_BYTES = 16 * 1024
_CURSOR_HINT = "expected next_cursor of the page before"


class MeasureView(msgspec.Struct, frozen=True):
    """How far something has come, in the agent's own count."""

    done: int | float
    total: int | float | None
    unit: str | None


class LinkView(msgspec.Struct, frozen=True):
    """A link as ``task.get`` shows it."""

    url: str
    name: str | None


class StepView(msgspec.Struct, frozen=True):
    """A step as ``task.get`` shows it."""

    step_id: str
    position: int
    title: str
    status: StepStatus
    summary: str | None
    measure: MeasureView | None


class LivenessView(msgspec.Struct, frozen=True):
    """An agent's life as ``task.get`` shows it."""

    state: LifeState
    evidence: Evidence | None
    agent_seen_at: str | None
    watch_pid: int | None
    lease_s: float


class StopView(InterruptStatus, frozen=True):
    """A task's stop as ``task.get`` shows it.

    Attributes:
        unknown_since: Since when it is not known whether a person wants the task to stop, RFC 3339; None while it is.
    """

    unknown_since: str | None = None


class TaskView(msgspec.Struct, frozen=True):
    """A task as ``task.get`` shows it."""

    task_id: str
    title: str
    base_url: str
    status: TaskStatus
    summary: str | None
    created_at: str
    ended_at: str | None
    waiting_since: str | None
    parent_task_id: str | None
    measure: MeasureView | None
    steps: tuple[StepView, ...]
    liveness: LivenessView
    stop: StopView
    pending: int
    delivered: bool
    metadata: dict[str, str]
    links: tuple[LinkView, ...]
    acknowledged: bool


def get(services: Services, params: TaskChoice, context: CallContext) -> TaskView:
    """Shows one task."""
    del context
    return _view(services, services.registry.get(params.task_id))


class TaskPage(msgspec.Struct, frozen=True):
    """Answers ``task.list``.

    Attributes:
        tasks: The tasks, newest first.
        next_cursor: Where the next page begins, null on the last one; missing where neither limit nor cursor was given.
    """

    tasks: tuple[TaskView, ...]
    next_cursor: str | msgspec.UnsetType | None = msgspec.UNSET


class TaskList(Params, frozen=True):
    """``task.list``."""

    active: Flag | None = None
    limit: (
        Annotated[int, Meta(ge=1, le=_MAX_LIMIT), hint(f"expected 1 to {_MAX_LIMIT}; without it all tasks are given")] | None
    ) = None
    cursor: Annotated[str, Meta(min_length=1, max_length=128), hint(_CURSOR_HINT)] | None = None


def list_(services: Services, params: TaskList, context: CallContext) -> Streamed:
    """Shows the tasks, newest first: all, only those that have not ended, or only those that have; all at once, or in pages.

    The answer is made as it is read: it says of each task what holds at that time, and a task that is created meanwhile, which
    is newer than what has been given, is not in it.
    """
    del context
    return Streamed(_parts(services, params, _place(params.cursor)))


def _parts(services: Services, params: TaskList, place: Place | None) -> Iterator[bytes]:
    given, part = 0, bytearray(b'{"tasks":[')
    following: Place | None = None
    for task in services.registry.newest_first(place, active=params.active):
        if given == params.limit:
            following = place
            break
        if given:
            part += b","
        part += _encode(_view(services, task))
        given, place = given + 1, place_of(task)
        if len(part) > _PART_BYTES:
            yield bytes(part)
            part.clear()
    if params.limit is None and params.cursor is None:
        yield bytes(part) + b"]}"
        return
    cursor = None if following is None else f"{following[0]}.{following[1]}"
    yield bytes(part) + b'],"next_cursor":' + _encode(cursor) + b"}"


def _place(cursor: str | None) -> Place | None:
    """Where a page begins: after the task that the cursor names."""
    if cursor is None:
        return None
    created_ms, _, task_id = cursor.partition(".")
    if not (created_ms.isascii() and created_ms.isdigit() and len(created_ms) <= _MAX_MS_DIGITS and ID.match(task_id)):
        raise InvalidValue("cursor", "does not fit", _CURSOR_HINT)
    return int(created_ms), task_id


def _view(services: Services, task: Task) -> TaskView:
    life, evidence = services.liveness.state(task)
    return TaskView(
        task_id=task.task_id,
        title=task.title,
        base_url=task.base_url,
        status=task.status,
        summary=task.summary,
        created_at=rfc3339(task.created_ms),
        ended_at=None if task.ended_ms is None else rfc3339(task.ended_ms),
        waiting_since=None if task.waiting_ms is None else rfc3339(task.waiting_ms),
        parent_task_id=task.parent_task_id,
        measure=_measure(task.progress),
        steps=tuple(map(_step_view, task.steps)),
        liveness=LivenessView(
            state=life,
            evidence=evidence,
            agent_seen_at=rfc3339(services.liveness.seen_ms(task)),
            watch_pid=task.watched.pid if task.watched else None,
            lease_s=task.lease_s,
        ),
        stop=_stop_view(services, task),
        pending=services.outbox.counts.by_task[task.task_id],
        delivered=task.upstream,
        metadata=task.metadata,
        links=tuple(LinkView(each.url, each.name) for each in task.links),
        acknowledged=task.acknowledged,
    )


def _step_view(step: Step) -> StepView:
    return StepView(step.step_id, step.position, step.title, step.status, step.summary, _measure(step.progress))


def _measure(progress: Progress | None) -> MeasureView | None:
    return None if progress is None else MeasureView(progress.done, progress.total, progress.unit)


def _stop_view(services: Services, task: Task) -> StopView:
    status, unknown = services.interrupts.status(task), services.interrupts.unknown(task.task_id)
    since = rfc3339(unknown.since_ms) if unknown is not None and not task.status.ended else None
    return StopView(**msgspec.structs.asdict(status), unknown_since=since)


GET = Verb("task.get", TaskChoice, TaskView, get)
LIST = Verb("task.list", TaskList, TaskPage, list_)
