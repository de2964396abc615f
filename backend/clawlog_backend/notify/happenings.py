"""What of a task's history is told to people: its status became one that matters, its agent was lost, or it is to stop.

What a person did (a closed task) is not told. Pure: the rows come from :mod:`clawlog_backend.storage.happenings`.
"""

from __future__ import annotations

import json
from typing import Any

from clawlog_backend.domain.events import EventKind, assigned_id
from clawlog_backend.domain.fields import ENDED_TASK_STATUSES, TaskStatus
from clawlog_backend.notify.rules import NotifiedEvent

_OF_STATUS = {
    TaskStatus.WAITING: NotifiedEvent.NEEDS_YOU,
    TaskStatus.FAILED: NotifiedEvent.FAILED,
    TaskStatus.DONE: NotifiedEvent.DONE,
    TaskStatus.INTERRUPTED: NotifiedEvent.STOPPED,
}


def event_of(row: Any) -> NotifiedEvent | None:
    """What is told of an event of a history.

    Args:
        row: Its ``event_id``, ``kind``, ``task_status`` and ``detail``, with ``kind_before`` and ``status_before`` of the event
            before it.

    Returns:
        What is told; of a new stop, what is told if it stays unanswered. ``None`` for nothing.
    """
    if row.kind == EventKind.AGENT_LOST:
        is_news = row.task_status not in ENDED_TASK_STATUSES and row.kind_before != EventKind.AGENT_LOST
        return NotifiedEvent.DEAD if is_news else None
    if row.kind == EventKind.INTERRUPT_REQUESTED:
        # One that was asked for again is answered with the stop that is open, and waits for nothing of its own.
        return NotifiedEvent.STOP_UNANSWERED if interrupt_id(row) == assigned_id(row.event_id, "interrupt") else None
    if row.kind == EventKind.TASK_CLOSED or row.task_status == row.status_before:
        return None
    return _OF_STATUS.get(TaskStatus(row.task_status))


def interrupt_id(row: Any) -> str | None:
    """The stop that an event of a history asked for."""
    found: str | None = json.loads(row.detail).get("interrupt_id")
    return found


def summary_of(row: Any) -> str | None:
    """What an event of a history says of itself: a question, or why it failed."""
    said = json.loads(row.detail)
    found: str | None = said.get("reason") if row.kind == EventKind.INTERRUPT_REQUESTED else said.get("summary")
    return found
