"""The queries behind the answers. Read only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, not_, or_, select

from clawlog_backend.domain.errors import UnknownTask
from clawlog_backend.domain.fields import ACTIVE_TASK_STATUSES, ENDED_TASK_STATUSES, Evidence
from clawlog_backend.domain.state import STALE_AFTER_MS
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.domain.views import (
    Control,
    Counts,
    EventPage,
    EventView,
    Filter,
    StopView,
    TaskDetail,
    TaskPage,
    TaskView,
)
from clawlog_backend.storage.rows import chunks
from clawlog_backend.storage.schema import events, interrupts, tasks
from clawlog_backend.storage.view_rows import control_view, event_view, stop_view, task_views

RECENT_EVENTS = 200


def _active() -> ColumnElement[bool]:
    return tasks.c.status.in_(ACTIVE_TASK_STATUSES)


def _matching(which: Filter, now: UtcMs) -> ColumnElement[bool] | None:
    match which:
        case Filter.ALL:
            return None
        case Filter.ACTIVE:
            return _active()
        case Filter.STOPPING:
            return and_(_active(), tasks.c.stop_open)
        case Filter.STALE:
            return and_(_active(), or_(tasks.c.lost, tasks.c.sign_ms < now - STALE_AFTER_MS))
        case _ if which.value in ACTIVE_TASK_STATUSES:
            return and_(tasks.c.status == which.value, not_(tasks.c.lost), tasks.c.sign_ms >= now - STALE_AFTER_MS)
        case _:
            return tasks.c.status == which.value


def list_tasks(
    connection: Connection, *, now: UtcMs, which: Filter, text: str | None, limit: int, cursor: str | None
) -> TaskPage:
    """One page of tasks, the newest first.

    The order is that of arrival, so that no task is missed or shown twice while others change between two pages.

    Args:
        connection: To read from.
        now: This instant.
        which: What to narrow to.
        text: Only tasks whose title, summary or id has this in it, whatever the case.
        limit: How many at most.
        cursor: A page's ``next_cursor``.
    """
    query = select(tasks).order_by(tasks.c.n.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(tasks.c.n < int(cursor))
    condition = _matching(which, now)
    if condition is not None:
        query = query.where(condition)
    if text:
        query = query.where(tasks.c.search.contains(text.casefold(), autoescape=True))
    rows = connection.execute(query).all()
    more, rows = len(rows) > limit, rows[:limit]
    return TaskPage(task_views(connection, rows, now), str(rows[-1].n) if more else None, count_tasks(connection, now=now))


def count_tasks(connection: Connection, *, now: UtcMs) -> Counts:
    """How many tasks there are of each kind."""
    # Two queries that each follow the index take a third of the time of one that computes for each task whether it is stale.
    by_index = (tasks.c.status, tasks.c.lost, tasks.c.stop_open)
    every = dict.fromkeys(Filter, 0)
    for status, lost, stop_open, number in connection.execute(select(*by_index, func.count()).group_by(*by_index)).all():
        every[Filter.ALL] += number
        every[Filter(status) if status in ENDED_TASK_STATUSES or not lost else Filter.STALE] += number
        if status not in ENDED_TASK_STATUSES:
            every[Filter.ACTIVE] += number
            every[Filter.STOPPING] += number if stop_open else 0
    silent = (
        _active(),
        tasks.c.lost.is_(False),
        tasks.c.stop_open.in_((False, True)),
        tasks.c.sign_ms < now - STALE_AFTER_MS,
    )
    for status, number in connection.execute(
        select(tasks.c.status, func.count()).where(*silent).group_by(tasks.c.status)
    ).all():
        every[Filter(status)] -= number
        every[Filter.STALE] += number
    return Counts(**{which.value: number for which, number in every.items()})


def tasks_by_number(connection: Connection, numbers: Iterable[int], *, now: UtcMs) -> list[tuple[int, TaskView]]:
    """Tasks with their numbers, the earliest change first."""
    found = [row for chunk in chunks(numbers) for row in connection.execute(select(tasks).where(tasks.c.n.in_(chunk))).all()]
    found.sort(key=lambda row: row.change_seq)
    return list(zip((row.n for row in found), task_views(connection, found, now), strict=True))


def tasks_changed_since(connection: Connection, seq: int, *, limit: int) -> list[int]:
    """The numbers of the tasks that an event after ``seq`` changed, the earliest change first."""
    query = select(tasks.c.n).where(tasks.c.change_seq > seq).order_by(tasks.c.change_seq).limit(limit)
    return list(connection.execute(query).scalars())


def tasks_silent_between(connection: Connection, earliest: int, latest: int) -> list[int]:
    """The numbers of the active tasks whose last sign of life lies in ``[earliest, latest)``, in milliseconds.

    Where the evidence is a command, the last command counts too: heartbeats based on it do not make it any newer.
    """
    sign = and_(tasks.c.sign_ms >= earliest, tasks.c.sign_ms < latest)
    command = and_(tasks.c.evidence == Evidence.COMMAND, tasks.c.agent_seen_ms >= earliest, tasks.c.agent_seen_ms < latest)
    return list(connection.execute(select(tasks.c.n).where(_active(), or_(sign, command))).scalars())


def task_detail(connection: Connection, task_id: str, *, now: UtcMs) -> TaskDetail:
    """One task with its newest events.

    Raises:
        UnknownTask: No task has this id.
    """
    row = connection.execute(select(tasks).where(tasks.c.task_id == task_id)).one_or_none()
    if row is None:
        raise UnknownTask(task_id)
    view = task_views(connection, [row], now)[0]
    history = _history(connection, row.n, before=None, after=None, kinds=(), limit=RECENT_EVENTS)
    shown = {name: getattr(view, name) for name in TaskView.__dataclass_fields__}
    return TaskDetail(**shown, events=history)


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


def events_after(connection: Connection, task_n: int, seq: int, *, limit: int) -> list[EventView]:
    """The newest events of a task after ``seq``, the newest last."""
    return _history(connection, task_n, before=None, after=seq, kinds=(), limit=limit)


def task_number(connection: Connection, task_id: str) -> int:
    """The number of a task.

    Raises:
        UnknownTask: No task has this id.
    """
    n = connection.execute(select(tasks.c.n).where(tasks.c.task_id == task_id)).scalar_one_or_none()
    if n is None:
        raise UnknownTask(task_id)
    return int(n)


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
    """The controls among ``task_ids`` that an event after ``seq`` changed; all, without one. Unknown ids are passed over."""
    if seq is not None:
        changed = _controls().where(tasks.c.control_seq > seq).order_by(tasks.c.control_seq)
        return [control_view(row) for row in connection.execute(changed) if row.task_id in task_ids]
    named = (_controls().where(tasks.c.task_id.in_(chunk)) for chunk in chunks(task_ids))
    return [control_view(row) for query in named for row in connection.execute(query)]


def stop(connection: Connection, interrupt_id: str) -> StopView:
    """One stop with its receipts."""
    return stop_view(connection.execute(select(interrupts).where(interrupts.c.interrupt_id == interrupt_id)).one())


def _controls() -> Any:
    columns = (tasks.c.task_id, tasks.c.status, tasks.c.stop_open, interrupts)
    return select(*columns).join_from(tasks, interrupts, tasks.c.stop_id == interrupts.c.interrupt_id, isouter=True)


def _history(
    connection: Connection, task_n: int, *, before: int | None, after: int | None, kinds: Sequence[str], limit: int
) -> list[EventView]:
    query = select(events).where(events.c.task_n == task_n).order_by(events.c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(events.c.seq < before)
    if after is not None:
        query = query.where(events.c.seq > after)
    if kinds:
        query = query.where(events.c.kind.in_(kinds))
    return [event_view(row) for row in reversed(connection.execute(query).all())]
