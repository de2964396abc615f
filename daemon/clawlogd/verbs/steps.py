"""``step.update``."""

from __future__ import annotations

from typing import Annotated

from clawlog.protocol import vocabulary
from clawlog.protocol.ids import new_uuid
from clawlog.protocol.types import StepStatus
from clawlogd.context import CallContext
from clawlogd.errors import CommandRefused
from clawlogd.model import EventKind
from clawlogd.outbox.identity import Intent
from clawlogd.services import Services
from clawlogd.tasks.steps import find_step, set_step_status
from clawlogd.text import clean_summary
from clawlogd.verbs.changes import Accepted, accept
from clawlogd.verbs.fields import EventId, KnownId, Params, ProgressParam, StepName, SummaryText, hint, one_of
from clawlogd.verbs.verb import Durable, Verb


class StepUpdate(Params, frozen=True):
    """``step.update``."""

    task_id: KnownId
    step: StepName
    status: Annotated[StepStatus, hint(one_of(vocabulary.STEP_STATUSES))]
    summary: SummaryText | None = None
    progress: ProgressParam | None = None
    event_id: EventId | None = None


def update(services: Services, params: StepUpdate, context: CallContext) -> Durable:
    """Sets the status of one step. The first one that is reported on makes its task run."""
    summary, truncated = clean_summary(params.summary, services.settings.summary)
    change = set_step_status(
        services.registry.get(params.task_id),
        params.step,
        params.status,
        event_id=params.event_id or new_uuid(),
        at_ms=context.at_ms,
        summary=summary,
        progress=None if params.progress is None else params.progress.as_progress(),
    )
    return accept(services, change, context, truncated=truncated)


def _updates(services: Services, params: StepUpdate) -> Intent:
    return Intent(EventKind.STEP_STATUS, params.status, params.task_id, _step_meant(services, params))


def _step_meant(services: Services, params: StepUpdate) -> str | None:
    try:
        task = services.registry.get(params.task_id)
        step_id = find_step(task, params.step).step_id
    except CommandRefused:
        return None  # the task or the step is known no more
    # Of a plan that has changed, a position or a title may have meant another step when the first call came.
    return None if task.replanned and step_id != params.step else step_id


UPDATE = Verb("step.update", StepUpdate, Accepted, update, intent=_updates)
