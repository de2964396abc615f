"""``step.update``."""

from __future__ import annotations

import msgspec

from clawlog.protocol import ids, vocabulary
from clawlogd.clock import rfc3339
from clawlogd.model import Event, EventKind, TaskStatus
from clawlogd.services import Call, Durable, Services
from clawlogd.tasks.registry import find_step
from clawlogd.verbs.params import StepUpdate
from clawlogd.verbs.tasks import accept, finished


def update(services: Services, params: StepUpdate, call: Call) -> Durable:
    """Says where one step stands. The first step that runs makes its task run."""
    task = services.registry.get(params.task_id)
    if task.finished:
        raise finished(task)
    step = find_step(task, params.step)
    summary, truncated = services.summary(params.summary)
    status = params.status
    event = Event(
        event_id=params.event_id or ids.new_uuid(),
        task_id=task.task_id,
        kind=EventKind.STEP_STATUS,
        at=rfc3339(call.at_ms),
        step_id=step.step_id,
        status=status,
        summary=summary,
    )
    changed = msgspec.structs.replace(step, status=status, summary=summary or step.summary)
    after = task.with_step(changed)
    begins = task.status is TaskStatus.PENDING and status != vocabulary.PENDING
    if begins:
        after = msgspec.structs.replace(after, status=TaskStatus.RUNNING)
    return accept(services, event, call, after, head=begins, steps=(changed,), truncated=truncated)
