"""The list of tasks: how it is narrowed, sorted and paged, and how many tasks there are of each kind. Read only.

Each condition and each order has an index (a test looks at SQLite's plans), and so has a search for text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Connection, Row, Select, and_, func, not_, select, tuple_, union_all

from clawlog_backend.domain.errors import ForeignCursor
from clawlog_backend.domain.fields import ACTIVE_TASK_STATUSES, FALLS_SILENT
from clawlog_backend.domain.standing import Standing, counts
from clawlog_backend.domain.state import ACKNOWLEDGED_RANK, OPEN_RANKS, STALE_AFTER_MS
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.domain.views import AttentionFilter, Counts, Filter, Sort, TaskPage
from clawlog_backend.storage.schema import tasks
from clawlog_backend.storage.search.find import attempts
from clawlog_backend.storage.view_rows import select_shown, task_views

_HIGHEST = (2**31 - 1, 2**63 - 1)  # of an INTEGER and a BIGINT: of more, no page was shown

_ANY_ACTIVE = frozenset({Filter.ACTIVE, Filter.STOPPING})
"""The filters of tasks of any active status; each status is asked for by itself (see :func:`selected`)."""
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
    tally: Mapping[str, int] | None = None,
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
        tally: How many tasks there are of each standing, where that is known.

    Raises:
        ForeignCursor: The cursor is not of a page in this order.
    """
    rows = _found(connection, query, now=now, sort=sort, cursor=cursor, limit=limit + 1)
    more, rows = len(rows) > limit, rows[:limit]
    following = _cursor(rows[-1], sort) if more else None
    return TaskPage(task_views(connection, rows, now), following, count_tasks(connection, now=now, tally=tally))


def task_ids(connection: Connection, query: Query, *, now: UtcMs, limit: int) -> list[str]:
    """The ids of the tasks that a list would show, the newest first."""
    return [row.task_id for row in _found(connection, query, now=now, sort=Sort.CREATED, cursor=None, limit=limit)]


def _found(
    connection: Connection, query: Query, *, now: UtcMs, sort: Sort, cursor: str | None, limit: int
) -> Sequence[Row[Any]]:
    place = None if cursor is None else _read_cursor(cursor, sort)
    by_number = sort is Sort.CREATED
    before = place[0] if place is not None and by_number else None
    rows: Sequence[Row[Any]] = ()
    for saying, is_all in attempts(connection, query.text, newest_first=by_number, before=before):
        rows = connection.execute(selected(query, now=now, sort=sort, place=place, limit=limit, saying=saying)).all()
        if is_all or len(rows) == limit:
            break
    return rows


def selected(
    query: Query,
    *,
    now: UtcMs,
    sort: Sort,
    limit: int,
    place: tuple[int, ...] | None = None,
    saying: ColumnElement[bool] | None = None,
) -> Select[Any]:
    """The rows of a page of a list in its order: their numbers are found first, in an index, and only those are read whole.

    Args:
        query: What to narrow to; its text is ``saying``.
        now: This instant.
        sort: The order.
        limit: How many at most.
        place: What the order has of the task that the page begins after.
        saying: What the query's text leaves.
    """
    order = _ORDERS[sort]
    conditions = _conditions(query, now)
    if saying is not None:
        conditions.append(saying)
    if place is not None:
        conditions.append(tasks.c.n < place[0] if len(order) == 1 else tuple_(*order) < tuple_(*place))
    downwards = [column.desc() for column in order]
    if sort is Sort.CREATED and (query.since or query.until) is not None:
        # SQLite would walk through all tasks for this order, and pass by the index that finds those of the time asked for.
        numbers = select(tasks.c.n).where(*conditions).order_by((tasks.c.n + 0).desc()).limit(limit)
    elif query.status in _ANY_ACTIVE:
        # Of each status by itself an index has them in their order, but not of all.
        each = (
            select(*order).where(*conditions, tasks.c.status == status).order_by(*downwards).limit(limit).subquery()
            for status in sorted(ACTIVE_TASK_STATUSES)
        )
        every = union_all(*(select(*part.c) for part in each)).subquery()
        numbers = select(every.c.n).order_by(*(every.c[column.name].desc() for column in order)).limit(limit)
    else:
        numbers = select(tasks.c.n).where(*conditions).order_by(*downwards).limit(limit)
    return select_shown().where(tasks.c.n.in_(numbers)).order_by(*downwards)


def _conditions(query: Query, now: UtcMs) -> list[ColumnElement[bool]]:
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
    return [condition for condition in conditions if condition is not None]


def _active() -> ColumnElement[bool]:
    return tasks.c.status.in_(sorted(ACTIVE_TASK_STATUSES))


def _silent(now: UtcMs) -> ColumnElement[bool]:
    return tasks.c.no_signal_since < now - STALE_AFTER_MS


def _of_status(which: Filter, now: UtcMs) -> ColumnElement[bool] | None:
    match which:
        case Filter.ALL:
            return None
        case Filter.ACTIVE:
            return None  # see _ANY_ACTIVE
        case Filter.STOPPING:
            return tasks.c.stop_open.is_(True)  # see _ANY_ACTIVE
        case Filter.STALE:
            return tasks.c.n.in_(
                union_all(select(tasks.c.n).where(_active(), tasks.c.lost.is_(True)), select(tasks.c.n).where(_silent(now)))
            )
        case Filter.WAITING:
            return and_(tasks.c.status == which.value, not_(tasks.c.lost))
        case _ if which.value in ACTIVE_TASK_STATUSES:
            is_silent = and_(tasks.c.no_signal_since.is_not(None), _silent(now))
            return and_(tasks.c.status == which.value, not_(tasks.c.lost), not_(is_silent))
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
    *name, rest = cursor.split("_", 1)
    numbers = rest.split("_")
    expected = [] if sort is Sort.CREATED else [sort.value]
    if name != expected or len(numbers) != len(_ORDERS[sort]):
        raise ForeignCursor(sort)
    if not all(each.removeprefix("-").isdecimal() and each.isascii() and len(each) < 20 for each in numbers):
        raise ForeignCursor(sort)
    place = tuple(map(int, numbers))
    if any(abs(number) > _highest(column) for number, column in zip(place, _ORDERS[sort], strict=True)):
        raise ForeignCursor(sort)  # an engine takes no more than the column, not even to compare with
    return place


def _highest(column: Column[Any]) -> int:
    return _HIGHEST[isinstance(column.type, BigInteger)]


# ── Counts ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def count_tasks(connection: Connection, *, now: UtcMs, tally: Mapping[str, int] | None = None) -> Counts:
    """How many tasks there are of each kind.

    Args:
        connection: To read from.
        now: This instant.
        tally: How many tasks there are of each standing, where that is known: it costs a walk over all tasks otherwise.
    """
    not_stale = tasks.c.no_signal_since >= now - STALE_AFTER_MS
    # A count for each status, where a group for each would be sorted, or found by a walk over all tasks.
    each = {status.value: func.count().filter(tasks.c.status == status.value) for status in sorted(FALLS_SILENT)}
    lately = connection.execute(select(*each.values()).where(not_stale)).one()
    tally = count_standings(connection) if tally is None else tally
    return counts(tally, dict(zip(each, lately, strict=True)))


def count_standings(connection: Connection) -> dict[str, int]:
    """How many tasks there are of each standing, by its key. Walks over all tasks."""
    needed = (tasks.c.attention_rank > 0).label("needed")
    silent = tasks.c.no_signal_since.is_not(None).label("silent")
    by = (tasks.c.status, tasks.c.lost, tasks.c.stop_open, silent, tasks.c.doubtful, needed)
    rows = connection.execute(select(*by, func.count()).group_by(*by))
    return {Standing(status, *map(bool, flags)).key: number for status, *flags, number in rows}
