"""``task.get`` and ``task.list``: tasks as the daemon knows them."""

from __future__ import annotations

import msgspec

from clawlog.protocol.types import StepStatus
from clawlogd.clock import rfc3339
from clawlogd.context import CallContext
from clawlogd.interrupts.state import InterruptStatus
from clawlogd.liveness.evidence import LifeState
from clawlogd.model import Evidence, Task, TaskStatus
from clawlogd.services import Services
from clawlogd.verbs.fields import Flag, Params, TaskChoice
from clawlogd.verbs.verb import Verb


class StepView(msgspec.Struct, frozen=True):
    """A step as ``task.get`` shows it."""

    step_id: str
    position: int
    title: str
    status: StepStatus
    summary: str | None


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
    steps: tuple[StepView, ...]
    liveness: LivenessView
    stop: StopView
    pending: int
    delivered: bool
    metadata: dict[str, str]


def get(services: Services, params: TaskChoice, context: CallContext) -> TaskView:
    """Shows one task."""
    del context
    return _view(services, services.registry.get(params.task_id))


class TaskList(Params, frozen=True):
    """``task.list``."""

    active: Flag | None = None


class TaskViews(msgspec.Struct, frozen=True):
    """Answers ``task.list``."""

    tasks: tuple[TaskView, ...]


def list_(services: Services, params: TaskList, context: CallContext) -> TaskViews:
    """Shows the tasks, newest first: all, only those that have not ended, or only those that have."""
    del context
    chosen = [task for task in services.registry if params.active is None or task.status.ended is not params.active]
    chosen.sort(key=lambda task: -task.created_ms)
    return TaskViews(tuple(_view(services, task) for task in chosen))


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
        steps=tuple(StepView(each.step_id, each.position, each.title, each.status, each.summary) for each in task.steps),
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
    )


def _stop_view(services: Services, task: Task) -> StopView:
    status, unknown = services.interrupts.status(task), services.interrupts.unknown(task.task_id)
    since = rfc3339(unknown.since_ms) if unknown is not None and not task.status.ended else None
    return StopView(**msgspec.structs.asdict(status), unknown_since=since)


GET = Verb("task.get", TaskChoice, get)
LIST = Verb("task.list", TaskList, list_)
