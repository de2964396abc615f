"""The queries behind the answers. Read only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select

from clawlog_backend.domain.errors import UnknownTask
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.domain.views import (
    Control,
    EventPage,
    EventView,
    StopView,
    TaskDetail,
    TaskView,
)
from clawlog_backend.storage.changes import controls_after
from clawlog_backend.storage.rows import chunks
from clawlog_backend.storage.schema import events, interrupts, liveness, tasks
from clawlog_backend.storage.view_rows import control_view, event_view, select_shown, stop_view, task_ref, task_views

_HIGHEST_SEQ = 2**31 - 1  # an INTEGER of PostgreSQL takes no more, not even to compare with
RECENT_EVENTS = 200
_SUBTASKS = 100


def tasks_by_number(connection: Connection, numbers: Iterable[int], *, now: UtcMs) -> list[tuple[int, TaskView]]:
    """Tasks with their numbers, in the order of these; numbers that no task has are passed over."""
    numbers, rows = list(numbers), select_shown()
    found = {row.n: row for chunk in chunks(numbers) for row in connection.execute(rows.where(tasks.c.n.in_(chunk)))}
    present = [number for number in numbers if number in found]
    return list(zip(present, task_views(connection, [found[number] for number in present], now), strict=True))


def last_task_number(connection: Connection) -> int:
    """The greatest number that a task has; 0 where there is none."""
    last: int = connection.execute(select(func.coalesce(func.max(tasks.c.n), 0))).scalar_one()
    return last


def task_detail(connection: Connection, task_id: str, *, now: UtcMs) -> TaskDetail:
    """One task with its newest events.

    Raises:
        UnknownTask: No task has this id.
    """
    row = connection.execute(select_shown().where(tasks.c.task_id == task_id)).one_or_none()
    if row is None:
        raise UnknownTask(task_id)
    view = task_views(connection, [row], now)[0]
    history = _history(connection, row.n, before=None, after=None, kinds=(), limit=RECENT_EVENTS)
    shown = {name: getattr(view, name) for name in TaskView.__dataclass_fields__}
    parent = None if row.parent_id is None else connection.execute(_REFS.where(tasks.c.task_id == row.parent_id)).first()
    subtasks = _REFS.where(tasks.c.parent_id == task_id).order_by(tasks.c.n.desc()).limit(_SUBTASKS)
    return TaskDetail(
        **shown,
        parent=None if parent is None else task_ref(parent, now),
        subtasks=[task_ref(found, now) for found in connection.execute(subtasks).all()],
        events=history,
    )


def task_events(connection: Connection, task_id: str, *, before: int | None, kinds: Sequence[str], limit: int) -> EventPage:
    """A part of a task's history.

    Args:
        connection: To read from.
        task_id: Whose.
        before: Only events with a smaller ``seq``.
        kinds: Only events of these kinds; all where empty.
        limit: How many at most, the newest ones.

    Raises:
        UnknownTask: No task has this id.
    """
    n = task_number(connection, task_id)
    found = _history(connection, n, before=before, after=None, kinds=kinds, limit=limit + 1)
    more, found = len(found) > limit, found[-limit:]
    return EventPage(found, found[0]["seq"] if more else None)


def events_between(connection: Connection, task_n: int, first: int, last: int, *, limit: int) -> list[EventView]:
    """The newest events of a task among those with these numbers, the newest last."""
    return _history(connection, task_n, before=last + 1, after=first - 1, kinds=(), limit=limit)


def task_number(connection: Connection, task_id: str) -> int:
    """The number of a task.

    Raises:
        UnknownTask: No task has this id.
    """
    n = connection.execute(select(tasks.c.n).where(tasks.c.task_id == task_id)).scalar_one_or_none()
    if n is None:
        raise UnknownTask(task_id)
    return int(n)


def task_numbers(connection: Connection, task_ids: Iterable[str]) -> frozenset[int]:
    """The numbers of tasks; ids that no task has are passed over."""
    found = (select(tasks.c.n).where(tasks.c.task_id.in_(chunk)) for chunk in chunks(task_ids))
    return frozenset(n for query in found for n in connection.execute(query).scalars())


def control(connection: Connection, task_id: str) -> Control:
    """Whether a task's agent is to stop.

    Raises:
        UnknownTask: No task has this id.
    """
    row = connection.execute(_controls().where(tasks.c.task_id == task_id)).one_or_none()
    if row is None:
        raise UnknownTask(task_id)
    return control_view(row)


def controls_changed_since(connection: Connection, task_ids: frozenset[str], seq: int | None) -> list[Control]:
    """The controls among ``task_ids`` that a change after ``seq`` changed; all, without one. Unknown ids are passed over."""
    if seq is not None:
        task_ids = task_ids.intersection(controls_after(connection, seq))
    named = (_controls().where(tasks.c.task_id.in_(chunk)).order_by(tasks.c.n) for chunk in chunks(task_ids))
    return [control_view(row) for query in named for row in connection.execute(query)]


def stop(connection: Connection, interrupt_id: str) -> StopView:
    """One stop with its receipts."""
    return stop_view(connection.execute(select(interrupts).where(interrupts.c.interrupt_id == interrupt_id)).one())


_REFS: Select[Any] = select(tasks.c.task_id, tasks.c.title, tasks.c.status, tasks.c.lost, liveness.c.sign_ms).join_from(
    tasks, liveness
)


def _controls() -> Any:
    columns = (tasks.c.task_id, tasks.c.status, tasks.c.stop_open, tasks.c.closed, tasks.c.attention_ack_ms, interrupts)
    return select(*columns).join_from(tasks, interrupts, tasks.c.stop_id == interrupts.c.interrupt_id, isouter=True)


def _history(
    connection: Connection, task_n: int, *, before: int | None, after: int | None, kinds: Sequence[str], limit: int
) -> list[EventView]:
    query = select(events).where(events.c.task_n == task_n).order_by(events.c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(events.c.seq < min(before, _HIGHEST_SEQ))
    if after is not None:
        query = query.where(events.c.seq > after)
    if kinds:
        query = query.where(events.c.kind.in_(kinds))
    return [event_view(row) for row in reversed(connection.execute(query).all())]
