"""Reads from the log and the histories what may have to be told to people. Read only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, TextClause, select, text

from clawlog_backend.domain.events import EventKind
from clawlog_backend.domain.fields import TaskStatus
from clawlog_backend.storage.changes import Change
from clawlog_backend.storage.rows import chunks
from clawlog_backend.storage.schema import interrupts, tasks

_RANGES = 1_000  # in one statement
_KINDS = (EventKind.AGENT_LOST, EventKind.INTERRUPT_REQUESTED)
_STATUSES = (TaskStatus.WAITING, TaskStatus.FAILED, TaskStatus.DONE, TaskStatus.INTERRUPTED)

# The ranges go as one value: a condition for each of a thousand would cost more to write down than to answer.
_RANGES_OF = {
    "sqlite": """(SELECT json_extract(value, '$[0]') AS n, json_extract(value, '$[1]') AS first,
        json_extract(value, '$[2]') AS last FROM json_each(:ranges)) AS r CROSS""",  # CROSS: in this order, says SQLite
    "postgresql": """(SELECT CAST(value->>0 AS integer) AS n, CAST(value->>1 AS integer) AS first,
        CAST(value->>2 AS integer) AS last FROM json_array_elements(CAST(:ranges AS json))) AS r""",
}
_BEFORE = "FROM events AS b WHERE b.task_n = e.task_n AND b.seq < e.seq ORDER BY b.seq DESC LIMIT 1"


def _statement(ranges: str) -> TextClause:
    kinds, statuses = (", ".join(f"'{each.value}'" for each in names) for names in (_KINDS, _STATUSES))
    return text(
        f"""SELECT e.task_n, e.seq, e.event_id, e.kind, e.at_ms, e.received_ms, e.task_status, e.detail,
            (SELECT b.kind {_BEFORE}) AS kind_before, (SELECT b.task_status {_BEFORE}) AS status_before
        FROM {ranges} JOIN events AS e ON e.task_n = r.n AND e.seq BETWEEN r.first AND r.last
        WHERE e.kind <> 'heartbeat' AND (e.kind IN ({kinds}) OR e.task_status IN ({statuses}))
        ORDER BY e.received_ms, e.task_n, e.seq"""  # noqa: S608 - constants of this module
    )


_MAY_BE_TOLD = {name: _statement(ranges) for name, ranges in _RANGES_OF.items()}
_SAID = ("n", "task_id", "title", "summary", "host", "project", "agent", "status")


def may_be_told(connection: Connection, found: Iterable[Change]) -> list[Row[Any]]:
    """The events of these changes that may have to be told, each with kind and status of the one before it in its history."""
    ranges: dict[int, tuple[int, int]] = {}
    for change in found:
        for n in change.events.keys() & change.moved:
            first, last = change.events[n]
            known = ranges.get(n, (first, last))
            ranges[n] = (min(first, known[0]), max(last, known[1]))
    every, read = [(n, *span) for n, span in ranges.items()], list[Row[Any]]()
    statement = _MAY_BE_TOLD[connection.dialect.name]
    for begin in range(0, len(every), _RANGES):
        read += connection.execute(statement, {"ranges": json.dumps(every[begin : begin + _RANGES])}).all()
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
