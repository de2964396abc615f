"""What a report on a task as a whole does to it: a new status, or the acknowledgement of a stop."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from clawlog.protocol.ids import new_uuid
from clawlogd.clock import rfc3339
from clawlogd.errors import InvalidValue, NoOpenInterrupt, TaskFinished
from clawlogd.model import Event, EventKind, Task, TaskStatus, WatchedProcess
from clawlogd.tasks.change import TaskChange, refuse_finished
from clawlogd.tasks.waiting import end_waiting


def set_status(
    task: Task,
    status: TaskStatus,
    *,
    event_id: str,
    at_ms: int,
    summary: str | None,
    runs: Callable[[WatchedProcess], bool],
) -> TaskChange:
    """Sets the status of a task. ``running`` reopens one that was ended; any but ``waiting`` ends a wait for a person.

    Args:
        task: The task.
        status: The new status, as the agent reports it.
        event_id: The event's id.
        at_ms: When it was reported, in milliseconds since 1970.
        summary: One line, cleaned.
        runs: Whether a process still runs; asked when an ended task is reported on.

    Raises:
        TaskFinished: The agent has ended the task, and this does not reopen it.
    """
    if status is not TaskStatus.RUNNING:
        refuse_finished(task)
    event = Event(
        event_id=event_id,
        task_id=task.task_id,
        kind=EventKind.TASK_STATUS,
        at=rfc3339(at_ms),
        status=status,
        summary=summary,
    )
    after = msgspec.structs.replace(
        task,
        status=status,
        finished=status.ended,
        closed=False,
        ended_ms=at_ms if status.ended else None,
        summary=summary or (None if task.status is TaskStatus.WAITING else task.summary),  # a question that was answered
        seen_ms=at_ms,
        waiting_ms=(task.waiting_ms or at_ms) if status is TaskStatus.WAITING else None,
    )
    if task.status.ended and task.watched is not None and not runs(task.watched):
        after = msgspec.structs.replace(after, watched=None)  # reopened by another process: the old one's end says nothing
    return TaskChange(event, after)


def answers_a_stop(task: Task, interrupt_id: str | None) -> bool:
    """Whether an acknowledgement has a stop to answer, as far as is known: the newest, be it acknowledged already."""
    return task.interrupt is not None and interrupt_id in {None, task.interrupt.interrupt_id}


def acknowledge(task: Task, interrupt_id: str | None, *, event_id: str, at_ms: int, summary: str | None) -> TaskChange:
    """Records that the agent stopped at a safe boundary. It answers one stop; a new request is a new one.

    An agent that answers once more, after its task was taken up again, has stopped once more. Its backend has an answer to that
    stop by then and may pass over another: so the status is said, too.

    Args:
        task: The task.
        interrupt_id: The stop that is answered; None for the newest.
        event_id: The event's id.
        at_ms: When it was reported, in milliseconds since 1970.
        summary: One line, cleaned.

    Raises:
        TaskFinished: The agent has ended the task in another way.
        NoOpenInterrupt: No stop is known.
        InvalidValue: Another stop is known.
    """
    if task.finished and task.status is not TaskStatus.INTERRUPTED:
        raise TaskFinished(task.task_id, task.status)
    interrupt = task.interrupt
    if interrupt is None:
        raise NoOpenInterrupt(task.task_id)
    if not answers_a_stop(task, interrupt_id):
        raise InvalidValue(
            "interrupt_id", f"there is no stop {interrupt_id!r}", f"the stop known here is {interrupt.interrupt_id!r}"
        )
    task, first = end_waiting(task, at_ms)
    event = Event(
        event_id=event_id,
        task_id=task.task_id,
        kind=EventKind.INTERRUPT_ACK,
        at=rfc3339(at_ms),
        interrupt_id=interrupt.backend_id,
        summary=summary,
    )
    if interrupt.acknowledged and task.status is not TaskStatus.INTERRUPTED:
        first = Event(new_uuid(), task.task_id, EventKind.TASK_STATUS, event.at, None, TaskStatus.INTERRUPTED, summary)
    after = msgspec.structs.replace(
        task,
        status=TaskStatus.INTERRUPTED,
        ended_ms=at_ms,
        summary=summary or task.summary,
        seen_ms=at_ms,
        interrupt=msgspec.structs.replace(interrupt, delivered=True, acknowledged=True),
    )
    return TaskChange(event, after, first=first)
