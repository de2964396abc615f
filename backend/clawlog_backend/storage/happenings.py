"""Reads from the log and the histories what may have to be told to people. Read only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, or_, select

from clawlog_backend.domain.events import EventKind
from clawlog_backend.domain.fields import TaskStatus
from clawlog_backend.storage.changes import Change
from clawlog_backend.storage.rows import chunks
from clawlog_backend.storage.schema import events, interrupts, tasks

_RANGES = 200  # in one statement
_KINDS = (EventKind.AGENT_LOST, EventKind.INTERRUPT_REQUESTED)
_STATUSES = (TaskStatus.WAITING, TaskStatus.FAILED, TaskStatus.DONE, TaskStatus.INTERRUPTED)

_before = events.alias("before")
_previous = select(_before.c.kind).where(_before.c.task_n == events.c.task_n, _before.c.seq < events.c.seq)
_previous = _previous.order_by(_before.c.seq.desc()).limit(1).correlate(events)
_MAY_BE_TOLD: Select[Any] = (
    select(
        events,
        _previous.scalar_subquery().label("kind_before"),
        _previous.with_only_columns(_before.c.task_status).scalar_subquery().label("status_before"),
    )
    .where(events.c.kind != EventKind.HEARTBEAT.value)
    .where(or_(events.c.kind.in_([kind.value for kind in _KINDS]), events.c.task_status.in_([s.value for s in _STATUSES])))
    .order_by(events.c.received_ms, events.c.task_n, events.c.seq)
)
_SAID = ("n", "task_id", "title", "summary", "host", "project", "agent", "status")


def may_be_told(connection: Connection, found: Iterable[Change]) -> list[Row[Any]]:
    """The events of these changes that may have to be told, each with kind and status of the one before it in its history."""
    ranges: dict[int, tuple[int, int]] = {}
    for change in found:
        for n in change.events.keys() & change.moved:
            first, last = change.events[n]
            known = ranges.get(n, (first, last))
            ranges[n] = (min(first, known[0]), max(last, known[1]))
    read: list[Row[Any]] = []
    every = [and_(events.c.task_n == n, events.c.seq.between(*span)) for n, span in ranges.items()]
    for begin in range(0, len(every), _RANGES):
        read += connection.execute(_MAY_BE_TOLD.where(or_(*every[begin : begin + _RANGES]))).all()
    return read


def tasks_told_of(connection: Connection, numbers: Iterable[int]) -> dict[int, Row[Any]]:
    """What is said of tasks, by their numbers."""
    query = select(*(tasks.c[name] for name in _SAID))
    return {row.n: row for chunk in chunks(numbers) for row in connection.execute(query.where(tasks.c.n.in_(chunk)))}


def unanswered(connection: Connection, interrupt_ids: Sequence[str]) -> set[str]:
    """Those of these stops that are not acknowledged, and whose tasks have not ended."""
    ended = (TaskStatus.FAILED.value, TaskStatus.DONE.value, TaskStatus.INTERRUPTED.value)
    query = select(interrupts.c.interrupt_id).join_from(interrupts, tasks, tasks.c.n == interrupts.c.task_n)
    query = query.where(interrupts.c.acknowledged_ms.is_(None), tasks.c.status.not_in(ended))
    found = (query.where(interrupts.c.interrupt_id.in_(chunk)) for chunk in chunks(interrupt_ids))
    return {name for each in found for name in connection.execute(each).scalars()}
