"""Finds the tasks whose text holds what is searched for, at the same cost however many tasks there are.

What few tasks hold, the index finds; these are then narrowed and sorted like any others. What many hold would be a long list to
sort: the newest of them are often enough for a page of the newest, and else the list is walked in its order, and each task
looked at, which soon fills a page. An index that does not name the newest first has what it names sorted, up to a bound: those
that hold what is searched for may all be old, and a walk would be long.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, false, func, select

from clawlog_backend.storage.schema import documents, tasks
from clawlog_backend.storage.search.engine import text_index
from clawlog_backend.storage.search.text import needle

_FIRST, _FEW = 100, 1_000
_SORTED = 10_000  # of what an index names in no order; a walk for what more hold meets one soon

Attempt = tuple[ColumnElement[bool] | None, bool]
"""A condition on tasks (``None``: none), and whether it leaves all that are searched for; else it leaves the newest of them."""


def attempts(connection: Connection, text: str | None, *, newest_first: bool, before: int | None) -> Iterator[Attempt]:
    """Conditions that a task's text holds what is searched for (see :mod:`clawlog_backend.storage.search.text`).

    They are to be tried one after the other, until one fills a page or leaves all.

    Args:
        connection: To look into the index with.
        text: What is searched for, if anything.
        newest_first: Whether the page has the newest tasks first, so that the newest may be enough.
        before: Then, the number of a task: only earlier ones are asked for.
    """
    wanted = None if text is None else needle(text)
    if wanted is None:
        yield None, True
        return
    if "\0" in wanted:  # no text holds it, and no engine takes it
        yield false(), True
        return
    holds = documents.c.text.contains(wanted, autoescape=True)
    index = text_index(connection.dialect)
    found = index.candidates(wanted).where(holds)
    if newest_first and before is not None:
        found = found.where(documents.c.task_n < before)
    if newest_first and not index.newest_first:
        numbers, number = _newest(connection, found)
        for most in (_FIRST, _FEW) if number <= _SORTED else ():
            chosen = numbers[:most]
            yield tasks.c.n.in_(chosen), len(chosen) == number
            if len(chosen) == number:
                return
    else:
        for most in (_FIRST, _FEW) if newest_first else (_FEW,):
            numbers = list(connection.execute(found.limit(most + 1)).scalars())
            is_all = len(numbers) <= most
            if is_all or newest_first:
                yield tasks.c.n.in_(numbers), is_all
            if is_all:
                return
    yield exists().where(documents.c.task_n == tasks.c.n, holds), True


def _newest(connection: Connection, found: Select[Any]) -> tuple[list[int], int]:
    """The newest of what an index finds in no order, and how many it finds; of more than are sorted, any."""
    among = found.limit(_SORTED + 1).subquery()
    newest = select(among.c.task_n, func.count().over()).order_by(among.c.task_n.desc()).limit(_FEW + 1)
    rows = connection.execute(newest).all()
    return [number for number, _ in rows], rows[0][1] if rows else 0
