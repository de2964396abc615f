"""``task.create`` and ``task.update``."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated

import msgspec
from msgspec import Meta

from clawlog.protocol import vocabulary
from clawlog.protocol.addresses import is_this_machine
from clawlog.protocol.ids import new_uuid, uuid_bytes
from clawlog.protocol.types import ReportedTaskStatus
from clawlogd.context import CallContext
from clawlogd.errors import EventIdReused, InvalidValue
from clawlogd.liveness.processes import runs
from clawlogd.model import EventKind, TaskStatus
from clawlogd.outbox.identity import Intent
from clawlogd.services import Services
from clawlogd.tasks import creation, updates
from clawlogd.tasks.detector import Found, complete
from clawlogd.text import clean_summary
from clawlogd.verbs.changes import Accepted, StepEntry, accept, entry_of, watched_process
from clawlogd.verbs.fields import (
    EventId,
    Flag,
    Folder,
    Id,
    Key,
    KnownId,
    Lease,
    Params,
    Pid,
    SummaryText,
    Title,
    Value,
    hint,
    one_of,
)
from clawlogd.verbs.verb import Durable, Verb

_encode = msgspec.json.Encoder().encode


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
    cwd: Folder | None = None
    parent_task_id: Id | None = None
    parent_implied: Flag | None = None


class CreatedTask(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answers ``task.create``.

    Attributes:
        task_id: Its id.
        title: Its title, cleaned.
        base_url: Its backend.
        url: The page on which a person sees it, where its backend is known to have one.
        steps: Its steps.
        summary_truncated: Whether the summary was cut.
    """

    task_id: str
    title: str
    base_url: str
    url: str | None
    steps: tuple[StepEntry, ...]
    summary_truncated: bool = False


def create(services: Services, params: TaskCreate, context: CallContext) -> Durable | Awaitable[Durable]:
    """Adds a task, and starts to deliver it to its backend."""
    services.projects.note(params.cwd)
    if not services.settings.metadata.automatic:
        return _create(services, params, context, None)
    found = services.detector.without_reading(params.cwd, context.peer)
    return _look_and_create(services, params, context) if found is None else _create(services, params, context, found)


async def _look_and_create(services: Services, params: TaskCreate, context: CallContext) -> Durable:
    found = await services.detector.read(params.cwd, context.peer)
    if context.spooled_at_ms is not None:
        found = msgspec.structs.replace(found, branch=None)  # that of now, perhaps not that of then
    # Another call with the same event id may have been carried out meanwhile.
    if params.event_id is not None and not services.outbox.surely_new(event_id := uuid_bytes(params.event_id)):
        first = await services.outbox.first_call(event_id)
        if first is not None:
            if not _creates(services, params).fits(first.identity):
                raise EventIdReused
            return Durable(first.reply)
    return _create(services, params, context, found)


def _create(services: Services, params: TaskCreate, context: CallContext, found: Found | None) -> Durable:
    settings = services.settings
    task_id = params.task_id or new_uuid()
    creation.check_room(services.registry, task_id, settings.tasks.max_known)
    summary, truncated = clean_summary(params.summary, settings.summary)
    base_url = creation.checked_base_url(params.base_url or settings.base_url)
    metadata = creation.clean_pairs(params.metadata)
    if found is not None:
        tells_private = settings.metadata.private_to_remote or is_this_machine(base_url)
        metadata = complete(metadata, found, folder=params.cwd, tells_private=tells_private)
    change = creation.create(
        task_id=task_id,
        event_id=params.event_id or new_uuid(),
        at_ms=context.at_ms,
        title=params.title,
        base_url=base_url,
        steps=[(None, each) if isinstance(each, str) else (each.step_id, each.title) for each in params.steps],
        summary=summary,
        lease_s=params.lease_s or settings.heartbeat.lease_s,
        watched=watched_process(params.watch_pid, context),
        metadata=metadata,
        parent_task_id=_parent(services, params, task_id, base_url),
    )
    task = change.task
    services.backends.check_room(base_url)
    url = services.backends.task_page(base_url, task_id)
    reply = _encode(CreatedTask(task_id, task.title, base_url, url, tuple(map(entry_of, task.steps)), truncated))
    services.accept(change, context, reply)
    return Durable(reply)


def _parent(services: Services, params: TaskCreate, task_id: str, base_url: str) -> str | None:
    """The task that a new one is a part of. One that is only implied must be at work here, for the same backend."""
    named = params.parent_task_id
    if named is None:
        return None
    if params.parent_implied:
        parent = services.registry.find(named)
        return named if parent is not None and not parent.status.ended and parent.base_url == base_url else None
    if named == task_id:
        raise InvalidValue("parent_task_id", "is the task itself", "name another, or leave it out")
    return named


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


CREATE = Verb("task.create", TaskCreate, CreatedTask, create, intent=_creates)
UPDATE = Verb("task.update", TaskUpdate, Accepted, update, intent=_updates)
