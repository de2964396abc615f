"""The log of changes: one row for each commit that changed anything, numbered without gaps in the order of the commits.

The number is taken from a counter row in the last statements before the commit. So whoever reads ``seq > n`` has seen every
commit up to the last row found: with a plain sequence, a commit that took its number early and ended late would be passed over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from clawlog_backend.domain.times import UtcMs
from clawlog_backend.storage import pipeline, schema

SEQ, _TASK_N, _SEARCHED = "seq", "task_n", "searched"
COUNTERS = (SEQ, _TASK_N, _SEARCHED)
_COLUMNS = ("seq", "at_ms", "task_ns", "moved_ns", "control_ids", "counts", "events")
# Takes the number and adds the row in one, for as long as others wait for the counter.
_ADD = f"""
WITH counter AS (UPDATE counters SET value = value + 1 WHERE name = '{SEQ}' RETURNING value)
INSERT INTO changes ({", ".join(_COLUMNS)})
  SELECT value, %s::int8, %s::text, %s::text, %s::text, %s::text, %s::text FROM counter RETURNING seq"""  # noqa: S608 - names of the schema


@dataclass(frozen=True, slots=True)
class Position:
    """Where the log stands.

    Attributes:
        store_id: Identifies this database.
        seq: The number of the last change.
        floor_seq: Changes up to here can no longer be sent one by one.
    """

    store_id: str
    seq: int
    floor_seq: int


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit changed.

    Attributes:
        seq: Its number.
        tasks: The numbers of all tasks that changed, the earliest first.
        moved: The numbers of those that stand otherwise than before; the others lived, or reported more of the same.
        controls: The ids of the tasks that are now to stop, closed or acknowledged, or no longer.
        counts: By how much the number of tasks of each standing grew or shrank.
        events: Of the tasks whose histories grew: the numbers of the first and the last new event.
        reworded: The numbers of those whose texts changed. The log does not keep it: read from there, all whose histories grew.
        settles: When each task that changed may next fall silent or become doubtful, if nothing happens; ``None`` for never.
            The log does not keep it either: nothing is known of a task that is not in it.
        removed: Tasks were removed, and are in no list here: who knows of any has to read anew.
    """

    seq: int
    tasks: tuple[int, ...] = ()
    moved: frozenset[int] = frozenset()
    controls: frozenset[str] = frozenset()
    counts: Mapping[str, int] = field(default_factory=dict)
    events: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    reworded: frozenset[int] = frozenset()
    settles: Mapping[int, int | None] = field(default_factory=dict)
    removed: bool = False


def find_position(connection: Connection) -> Position:
    """Where the log stands, as the database says."""
    info = connection.execute(select(schema.database.c.store_id, schema.database.c.floor_seq)).one()
    return Position(info.store_id, _value(connection, SEQ), info.floor_seq)


def append(connection: Connection, at: UtcMs, change: Change) -> Change:
    """Add a change, as the last thing before the commit; returns it with its number.

    Args:
        connection: In the transaction that makes the change.
        at: This instant.
        change: What it is; its number is passed over.
    """
    numbered = send(connection, at, change)()
    if change.removed:
        connection.execute(update(schema.database).values(floor_seq=numbered.seq))
    return numbered


def send(connection: Connection, at: UtcMs, change: Change) -> Callable[[], Change]:
    """Add a change as :func:`append` does; not for one that removes tasks.

    Returns:
        What gives it with its number: in a pipeline, once it has ended.
    """
    values = (
        at,
        None if change.removed else _compact(change.tasks),
        _compact(sorted(change.moved)),
        _compact(sorted(change.controls)),
        _compact(change.counts),
        _ranges(change.events),
    )
    if connection.dialect.name == "postgresql":
        sent = pipeline.send(connection, _ADD, values)
        return lambda: replace(change, seq=sent.rows()[0][0])
    seq = advance(connection, SEQ, 1)
    connection.execute(insert(schema.changes), dict(zip(_COLUMNS, (seq, *values), strict=True)))
    return lambda: replace(change, seq=seq)


def following(connection: Connection, seq: int, *, limit: int) -> list[Change]:
    """The changes after ``seq`` in their order, at most ``limit``."""
    query = select(schema.changes).where(schema.changes.c.seq > seq).order_by(schema.changes.c.seq).limit(limit)
    return [_change(row) for row in connection.execute(query)]


def controls_after(connection: Connection, seq: int) -> list[str]:
    """The ids of the tasks whose control a change after ``seq`` changed, the earliest change first."""
    columns = schema.changes.c
    query = select(columns.control_ids).where(columns.seq > seq, columns.control_ids.is_not(None)).order_by(columns.seq)
    return list(dict.fromkeys(name for text in connection.execute(query).scalars() for name in json.loads(text)))


def prune(connection: Connection, *, before: UtcMs, keep: int, at_once: int) -> tuple[int, int]:
    """Remove old changes, the oldest first.

    Args:
        connection: In a transaction.
        before: Changes that are older go, except those that a follower has yet to read.
        keep: So many of the newest changes stay at most, read or not.
        at_once: How many are removed at most.

    Returns:
        How many were removed, and up to which number changes are gone now.
    """
    columns = schema.changes.c
    oldest = connection.execute(select(func.min(columns.seq))).scalar()
    floor = connection.execute(select(schema.database.c.floor_seq)).scalar_one()
    if oldest is None:
        return 0, floor
    within = columns.seq < oldest + at_once
    aged = connection.execute(select(func.max(columns.seq)).where(within, columns.at_ms < before)).scalar() or 0
    unread = connection.execute(select(func.min(schema.followers.c.seq))).scalar()
    last = max(aged if unread is None else min(aged, unread), min(_value(connection, SEQ) - keep, oldest + at_once - 1))
    if last < oldest:
        return 0, floor
    floor = max(floor, last)
    connection.execute(delete(schema.changes).where(columns.seq <= last))
    connection.execute(update(schema.database).values(floor_seq=floor))
    return last - oldest + 1, floor


def searched(connection: Connection, *, hold: bool = False) -> int:
    """Up to which change the documents of tasks say what the tasks do.

    Args:
        connection: In a transaction.
        hold: Let no other replica go on from there until the transaction has ended.
    """
    query = select(schema.counters.c.value).where(schema.counters.c.name == _SEARCHED)
    return int(connection.execute(query.with_for_update() if hold else query).scalar_one())


def set_searched(connection: Connection, seq: int) -> None:
    """Note that the documents of tasks say all up to a change, in the transaction that makes them do so."""
    columns = schema.counters.c
    advanced = update(schema.counters).where(columns.name == _SEARCHED, columns.value < seq).values(value=seq)
    connection.execute(advanced)


def reserve_task_numbers(connection: Connection, number: int) -> int:
    """Take numbers for new tasks; returns the one before the first of them."""
    return advance(connection, _TASK_N, number) - number


def advance(connection: Connection, name: str, by: int) -> int:
    """Add to a counter, and return what it is then. Its row stays locked until the commit."""
    columns = schema.counters.c
    statement = update(schema.counters).where(columns.name == name).values(value=columns.value + by).returning(columns.value)
    return int(connection.execute(statement).scalar_one())


def _value(connection: Connection, name: str) -> int:
    found = select(schema.counters.c.value).where(schema.counters.c.name == name)
    return int(connection.execute(found).scalar_one())


def _compact(values: Collection[Any]) -> str | None:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")) if values else None


def _ranges(events: Mapping[int, tuple[int, int]]) -> str | None:
    # The same JSON, in a third of the time: a large group has one for each of its tasks.
    return "{" + ",".join([f'"{n}":[{first},{last}]' for n, (first, last) in events.items()]) + "}" if events else None


def _change(row: Row[Any]) -> Change:
    counts, events = json.loads(row.counts or "{}"), json.loads(row.events or "{}")
    return Change(
        row.seq,
        tuple(json.loads(row.task_ns or "[]")),
        frozenset(json.loads(row.moved_ns or "[]")),
        frozenset(json.loads(row.control_ids or "[]")),
        counts,
        {int(n): (first, last) for n, (first, last) in events.items()},
        reworded=frozenset(map(int, events)),
        removed=row.task_ns is None,
    )
