"""``task.create`` and ``task.update``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from clawlog.protocol import vocabulary
from clawlog.protocol.ids import new_uuid
from clawlog.protocol.types import ReportedTaskStatus, StepStatus
from clawlogd.context import CallContext
from clawlogd.liveness.processes import runs
from clawlogd.model import EventKind, TaskStatus
from clawlogd.outbox.identity import Intent
from clawlogd.services import Services
from clawlogd.tasks import creation, updates
from clawlogd.text import clean_summary
from clawlogd.verbs.changes import accept, watched_process
from clawlogd.verbs.fields import EventId, Id, KnownId, Lease, Params, Pid, SummaryText, Title, hint, one_of
from clawlogd.verbs.verb import Durable, Verb

_encode = msgspec.json.Encoder().encode

Key = Annotated[str, Meta(min_length=1, max_length=vocabulary.MAX_METADATA_KEY_CHARS)]
Value = Annotated[str, Meta(max_length=vocabulary.MAX_METADATA_CHARS)]


class StepSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step that brings its own id."""

    title: Title
    step_id: Id | None = None


class TaskCreate(Params, frozen=True):
    """``task.create``."""

    title: Title
    steps: Annotated[
        list[Title | StepSpec],
        Meta(max_length=vocabulary.MAX_STEPS),
        hint(
            f"expected at most {vocabulary.MAX_STEPS} titles of 1 to {vocabulary.MAX_TITLE_CHARS} characters, "
            "or objects with title and step_id"
        ),
    ] = msgspec.field(default_factory=list)
    task_id: Id | None = None
    event_id: EventId | None = None
    base_url: Annotated[str, Meta(max_length=2000), hint("expected an http:// or https:// address")] | None = None
    summary: SummaryText | None = None
    watch_pid: Pid | None = None
    lease_s: Lease | None = None
    metadata: Annotated[
        dict[Key, Value],
        Meta(max_length=vocabulary.MAX_METADATA_PAIRS),
        hint(creation.METADATA_HINT),
    ] = msgspec.field(default_factory=dict)


class CreatedStep(msgspec.Struct, frozen=True):
    """A step as ``task.create`` answers it."""

    step_id: str
    position: int
    title: str
    status: StepStatus


class CreatedTask(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answers ``task.create``."""

    task_id: str
    title: str
    base_url: str
    steps: tuple[CreatedStep, ...]
    summary_truncated: bool = False


def create(services: Services, params: TaskCreate, context: CallContext) -> Durable:
    """Adds a task, and starts to deliver it to its backend."""
    settings = services.settings
    task_id = params.task_id or new_uuid()
    creation.check_room(services.registry, task_id, settings.tasks.max_known)
    summary, truncated = clean_summary(params.summary, settings.summary)
    change = creation.create(
        task_id=task_id,
        event_id=params.event_id or new_uuid(),
        at_ms=context.at_ms,
        title=params.title,
        base_url=params.base_url or settings.base_url,
        steps=[(None, each) if isinstance(each, str) else (each.step_id, each.title) for each in params.steps],
        summary=summary,
        lease_s=params.lease_s or settings.heartbeat.lease_s,
        watched=watched_process(params.watch_pid, context),
        metadata=params.metadata,
    )
    task = change.task
    services.backends.check_room(task.base_url)
    created = tuple(CreatedStep(step.step_id, step.position, step.title, step.status) for step in task.steps)
    reply = _encode(CreatedTask(task_id, task.title, task.base_url, created, truncated))
    services.accept(change, context, reply)
    return Durable(reply)


class TaskUpdate(Params, frozen=True):
    """``task.update``."""

    task_id: KnownId
    status: Annotated[ReportedTaskStatus, hint(one_of(vocabulary.REPORTED_TASK_STATUSES))]
    summary: SummaryText | None = None
    event_id: EventId | None = None


def update(services: Services, params: TaskUpdate, context: CallContext) -> Durable:
    """Sets the status of a task as a whole."""
    task = services.registry.get(params.task_id)
    summary, truncated = clean_summary(params.summary, services.settings.summary)
    change = updates.set_status(
        task,
        TaskStatus(params.status),
        event_id=params.event_id or new_uuid(),
        at_ms=context.at_ms,
        summary=summary,
        runs=runs,
    )
    return accept(services, change, context, truncated=truncated)


def _creates(services: Services, params: TaskCreate) -> Intent:
    del services
    return Intent(EventKind.TASK_CREATED, task_id=params.task_id)


def _updates(services: Services, params: TaskUpdate) -> Intent:
    del services
    return Intent(EventKind.TASK_STATUS, params.status, params.task_id)


CREATE = Verb("task.create", TaskCreate, create, intent=_creates)
UPDATE = Verb("task.update", TaskUpdate, update, intent=_updates)
