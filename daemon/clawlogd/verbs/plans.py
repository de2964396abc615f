"""``task.plan`` and ``step.add``: a task's plan changes while it is at work."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from clawlog.protocol import vocabulary
from clawlog.protocol.ids import new_uuid
from clawlog.protocol.types import StepStatus
from clawlogd.context import CallContext
from clawlogd.model import EventKind, NewStep
from clawlogd.outbox.identity import Intent
from clawlogd.services import Services
from clawlogd.tasks.plan import add_step, change_plan
from clawlogd.verbs.changes import StepEntry, entry_of, pending_after
from clawlogd.verbs.fields import EventId, Id, KnownId, Params, StepName, Title, hint
from clawlogd.verbs.verb import Durable, Verb

_encode = msgspec.json.Encoder().encode


class PlannedStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step of a changed plan."""

    title: Title
    status: StepStatus | None = None
    step_id: Id | None = None


class TaskPlan(Params, frozen=True):
    """``task.plan``."""

    task_id: KnownId
    steps: Annotated[
        list[Title | PlannedStep],
        Meta(max_length=vocabulary.MAX_STEPS),
        hint(
            f"expected at most {vocabulary.MAX_STEPS} titles of 1 to {vocabulary.MAX_TITLE_CHARS} characters, "
            f"or objects with title, status ({', '.join(vocabulary.STEP_STATUSES)}) and step_id"
        ),
    ]
    event_id: EventId | None = None


class Planned(msgspec.Struct, frozen=True, gc=False):
    """Answers ``task.plan``.

    Attributes:
        accepted: True.
        event_id: The event's id.
        pending: How many events wait for the task's backend.
        steps: All steps, in order.
    """

    accepted: bool
    event_id: str
    pending: int
    steps: tuple[StepEntry, ...]


def plan(services: Services, params: TaskPlan, context: CallContext) -> Durable:
    """Makes a list the task's plan, whole and in this order."""
    change = change_plan(
        services.registry.get(params.task_id),
        [_new_step(each) for each in params.steps],
        event_id=params.event_id or new_uuid(),
        at_ms=context.at_ms,
    )
    steps = tuple(map(entry_of, change.task.steps))
    pending = pending_after(services, change)
    reply = _encode(Planned(accepted=True, event_id=change.event.event_id, pending=pending, steps=steps))
    services.accept(change, context, reply)
    return Durable(reply)


def _new_step(given: str | PlannedStep) -> NewStep:
    return NewStep("", given) if isinstance(given, str) else NewStep(given.step_id or "", given.title, given.status)


class StepAdd(Params, frozen=True):
    """``step.add``."""

    task_id: KnownId
    title: Title
    step_id: Id | None = None
    after: StepName | None = None
    event_id: EventId | None = None


class AddedStep(msgspec.Struct, frozen=True, gc=False):
    """Answers ``step.add``.

    Attributes:
        accepted: True.
        event_id: The event's id.
        pending: How many events wait for the task's backend.
        step: The new step.
    """

    accepted: bool
    event_id: str
    pending: int
    step: StepEntry


def add(services: Services, params: StepAdd, context: CallContext) -> Durable:
    """Puts one step into the plan, behind another or at its end."""
    change = add_step(
        services.registry.get(params.task_id),
        params.title,
        step_id=params.step_id,
        after=params.after,
        event_id=params.event_id or new_uuid(),
        at_ms=context.at_ms,
    )
    added = next(each for each in change.task.steps if each.step_id == change.event.step_id)
    pending = pending_after(services, change)
    reply = _encode(AddedStep(accepted=True, event_id=change.event.event_id, pending=pending, step=entry_of(added)))
    services.accept(change, context, reply)
    return Durable(reply)


def _plans(services: Services, params: TaskPlan) -> Intent:
    del services
    return Intent(EventKind.PLAN, task_id=params.task_id)


def _adds(services: Services, params: StepAdd) -> Intent:
    del services
    return Intent(EventKind.STEP_ADDED, task_id=params.task_id, step_id=params.step_id)


PLAN = Verb("task.plan", TaskPlan, Planned, plan, intent=_plans)
ADD = Verb("step.add", StepAdd, AddedStep, add, intent=_adds)
