"""The list of tasks: how it is narrowed, sorted and paged, and how many tasks there are of each kind. Read only.

Each condition and each order has an index (a test looks at SQLite's plans), and so has a search for text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, not_, or_, select, tuple_

from clawlog_backend.domain.errors import ForeignCursor
from clawlog_backend.domain.fields import (
    ACTIVE_TASK_STATUSES,
    ENDED_TASK_STATUSES,
    FALLS_SILENT,
    Evidence,
    TaskStatus,
)
from clawlog_backend.domain.state import ACKNOWLEDGED_RANK, OPEN_RANKS, QUIET_AFTER_MS, STALE_AFTER_MS
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.domain.views import AttentionFilter, Counts, Filter, Sort, StateCounts, TaskPage
from clawlog_backend.storage.schema import tasks
from clawlog_backend.storage.search.find import tasks_saying
from clawlog_backend.storage.view_rows import SHOWN_COLUMNS, task_views

_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a list is narrowed to; ``None`` narrows to nothing.

    Attributes:
        status: One status, or a group of them.
        text: In the title, a step's title, a summary, the metadata or an id, whatever the case.
        host: The pair of that name in the metadata, as are ``project`` and ``agent``.
        parent: The task that it is a part of.
        since: When it changed last, at the earliest.
        until: When it changed last, before this.
        attention: Whether it needs a person.
        id_suffix: How its id ends.
    """

    status: Filter = Filter.ALL
    text: str | None = None
    host: str | None = None
    project: str | None = None
    agent: str | None = None
    parent: str | None = None
    since: UtcMs | None = None
    until: UtcMs | None = None
    attention: AttentionFilter | None = None
    id_suffix: str | None = None


EVERYTHING = Query()


def list_tasks(
    connection: Connection,
    query: Query = EVERYTHING,
    *,
    now: UtcMs,
    limit: int,
    sort: Sort = Sort.CREATED,
    cursor: str | None = None,
) -> TaskPage:
    """One page of tasks.

    By default in the order of arrival, the newest first, so that no task is missed or shown twice while others change between
    two pages.

    Args:
        connection: To read from.
        query: What to narrow to.
        now: This instant.
        limit: How many at most.
        sort: The order.
        cursor: A page's ``next_cursor``.

    Raises:
        ForeignCursor: The cursor is not of a page in this order.
    """
    saying = None if query.text is None else tasks_saying(connection, query.text)
    found = selected(query, now=now, sort=sort, cursor=cursor, saying=saying).limit(limit + 1)
    rows = connection.execute(found).all()
    more, rows = len(rows) > limit, rows[:limit]
    following = _cursor(rows[-1], sort) if more else None
    return TaskPage(task_views(connection, rows, now), following, count_tasks(connection, now=now))


def selected(
    query: Query, *, now: UtcMs, sort: Sort, cursor: str | None = None, saying: ColumnElement[bool] | None = None
) -> Select[Any]:
    """The rows of a list in its order, from a cursor on (see :func:`list_tasks`); ``saying``: what the query's text leaves."""
    order = _ORDERS[sort]
    found = _narrowed(select(*SHOWN_COLUMNS), query, now)
    if saying is not None:
        found = found.where(saying)
    if cursor is not None:
        after = _read_cursor(cursor, sort)
        found = found.where(tasks.c.n < after[0] if len(order) == 1 else tuple_(*order) < tuple_(*after))
    if sort is Sort.CREATED and (query.since or query.until) is not None:
        # SQLite would walk through all tasks for this order, and pass by the index that finds those of the time asked for.
        return found.order_by((tasks.c.n + 0).desc())
    return found.order_by(*(column.desc() for column in order))


def task_ids(connection: Connection, query: Query, *, now: UtcMs, limit: int) -> list[str]:
    """The ids of the tasks that a list would show, the newest first."""
    saying = None if query.text is None else tasks_saying(connection, query.text)
    found = selected(query, now=now, sort=Sort.CREATED, saying=saying).with_only_columns(tasks.c.task_id).limit(limit)
    return list(connection.execute(found).scalars())


def _narrowed(found: Select[Any], query: Query, now: UtcMs) -> Select[Any]:
    conditions = [_of_status(query.status, now), _needing(query.attention)]
    equal = (("host", query.host), ("project", query.project), ("agent", query.agent), ("parent_id", query.parent))
    conditions += [tasks.c[name] == value for name, value in equal if value is not None]
    if query.since is not None:
        conditions.append(tasks.c.updated_ms >= query.since)
    if query.until is not None:
        conditions.append(tasks.c.updated_ms < query.until)
    if query.id_suffix is not None:
        begin = query.id_suffix[::-1]
        conditions.append(and_(tasks.c.reversed_id >= begin, tasks.c.reversed_id < begin + _LAST_CHARACTER))
    return found.where(*(condition for condition in conditions if condition is not None))


def _active() -> ColumnElement[bool]:
    return tasks.c.status.in_(sorted(ACTIVE_TASK_STATUSES))


def _silent(now: UtcMs) -> ColumnElement[bool]:
    return and_(tasks.c.status.in_(sorted(FALLS_SILENT)), tasks.c.sign_ms < now - STALE_AFTER_MS)


def _of_status(which: Filter, now: UtcMs) -> ColumnElement[bool] | None:
    match which:
        case Filter.ALL:
            return None
        case Filter.ACTIVE:
            return _active()
        case Filter.STOPPING:
            return and_(_active(), tasks.c.stop_open)
        case Filter.STALE:
            return or_(and_(_active(), tasks.c.lost), _silent(now))
        case Filter.WAITING:
            return and_(tasks.c.status == which.value, not_(tasks.c.lost))
        case _ if which.value in ACTIVE_TASK_STATUSES:
            return and_(tasks.c.status == which.value, not_(tasks.c.lost), tasks.c.sign_ms >= now - STALE_AFTER_MS)
        case _:
            return tasks.c.status == which.value


def _needing(which: AttentionFilter | None) -> ColumnElement[bool] | None:
    match which:
        case None:
            return None
        case AttentionFilter.OPEN:
            return tasks.c.attention_rank.in_(OPEN_RANKS)
        case AttentionFilter.ACKNOWLEDGED:
            return tasks.c.attention_rank == ACKNOWLEDGED_RANK
    return tasks.c.attention_rank == 0


# ── Pages ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

_ORDERS = {
    Sort.CREATED: (tasks.c.n,),
    Sort.ATTENTION: (tasks.c.attention_rank, tasks.c.n),
    Sort.UPDATED: (tasks.c.updated_ms, tasks.c.n),
}


def _cursor(row: Any, sort: Sort) -> str:
    place = "_".join(str(getattr(row, column.name)) for column in _ORDERS[sort])
    return place if sort is Sort.CREATED else f"{sort.value}_{place}"


def _read_cursor(cursor: str, sort: Sort) -> tuple[int, ...]:
    *name, place = cursor.split("_", 1)
    numbers = place.split("_")
    expected = [] if sort is Sort.CREATED else [sort.value]
    if name != expected or len(numbers) != len(_ORDERS[sort]):
        raise ForeignCursor(sort)
    if not all(each.removeprefix("-").isdecimal() and each.isascii() and len(each) < 19 for each in numbers):
        raise ForeignCursor(sort)
    return tuple(map(int, numbers))


# ── Counts ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


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
    silent = (_silent(now), tasks.c.lost.is_(False), tasks.c.stop_open.in_((False, True)))
    for status, number in connection.execute(
        select(tasks.c.status, func.count()).where(*silent).group_by(tasks.c.status)
    ).all():
        every[Filter(status)] -= number
        every[Filter.STALE] += number
    attention = connection.execute(select(func.count()).select_from(tasks).where(tasks.c.attention_rank > 0)).scalar_one()
    return Counts(**{which.value: number for which, number in every.items()}, attention=attention)


def count_states(connection: Connection, *, now: UtcMs) -> StateCounts:
    """How many tasks are in each state.

    Those that have ended are counted by their index alone; only those that have not are looked at.
    """
    found: dict[str, int] = {}
    ended = select(tasks.c.status, func.count()).where(tasks.c.status.in_(sorted(ENDED_TASK_STATUSES))).group_by(tasks.c.status)
    state = _active_state(now).label("state")
    active = select(state, func.count()).where(_active()).group_by(state)
    for query in (active, ended):
        found |= {row[0]: row[1] for row in connection.execute(query)}
    n_active = sum(number for state, number in found.items() if state not in ENDED_TASK_STATUSES)
    needing = select(tasks.c.status, func.count()).where(tasks.c.attention_rank.in_(OPEN_RANKS)).group_by(tasks.c.status)
    attention = {row.status: row[1] for row in connection.execute(needing)}
    new = attention.get(TaskStatus.FAILED, 0)
    return StateCounts(**found, all=sum(found.values()), active=n_active, attention=sum(attention.values()), new=new)


def _active_state(now: UtcMs) -> ColumnElement[str]:
    """The one state of a task that has not ended, as :func:`clawlog_backend.domain.state.liveness` sees it."""
    quiet_ms = now - QUIET_AFTER_MS
    unseen = and_(tasks.c.evidence == Evidence.COMMAND.value, func.coalesce(tasks.c.agent_seen_ms, 0) < quiet_ms)
    doubtful = and_(tasks.c.vouched_ms.is_not(None), or_(tasks.c.vouched_ms < quiet_ms, tasks.c.stalled, unseen))
    return case(
        (tasks.c.lost, "lost"),
        (tasks.c.stop_open, "stopping"),
        (tasks.c.status == TaskStatus.WAITING.value, "waiting"),
        (or_(tasks.c.sign_ms < now - STALE_AFTER_MS, doubtful), "stale"),
        else_="running",
    )
