"""How a task stops waiting for a person: its agent's next command about the work says that it goes on."""

from __future__ import annotations

import msgspec

from clawlog.protocol.ids import new_uuid
from clawlogd.clock import rfc3339
from clawlogd.model import Event, EventKind, Task, TaskStatus


def end_waiting(task: Task, at_ms: int) -> tuple[Task, Event | None]:
    """Sets a task that waits, or that a person closed, to ``running``.

    Args:
        task: Any task.
        at_ms: When its agent gave the command that ends the wait, in milliseconds since 1970.

    Returns:
        The task as it goes on, and the event that says so, to be delivered before the command's own; the task as it was, and
        None, where it was neither.
    """
    if task.status is not TaskStatus.WAITING and not task.closed:
        return task, None
    # Its id need not follow from the command's: both are on disk together or not at all, and a repeated command makes neither.
    event = Event(
        event_id=new_uuid(),
        task_id=task.task_id,
        kind=EventKind.TASK_STATUS,
        at=rfc3339(at_ms),
        status=TaskStatus.RUNNING,
    )
    summary = None if task.status is TaskStatus.WAITING else task.summary  # the question is answered
    return msgspec.structs.replace(
        task, status=TaskStatus.RUNNING, waiting_ms=None, closed=False, ended_ms=None, summary=summary
    ), event
