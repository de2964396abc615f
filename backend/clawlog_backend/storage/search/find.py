"""Finds the tasks whose text holds what is searched for, at the same cost however many tasks there are.

What few tasks hold, the index finds; these are then narrowed and sorted like any others. What many hold would be a long list to
sort: there the list is walked in its order instead, and each task looked at, which soon fills a page.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, exists, false

from clawlog_backend.storage.schema import documents, tasks
from clawlog_backend.storage.search.engine import text_index
from clawlog_backend.storage.search.text import needle

_FEW = 1_000


def tasks_saying(connection: Connection, text: str) -> ColumnElement[bool] | None:
    """The condition that a task's text holds what is searched for (see :mod:`clawlog_backend.storage.search.text`).

    Args:
        connection: To look into the index with.
        text: What is searched for.

    Returns:
        The condition; ``None`` where nothing is searched for.
    """
    wanted = needle(text)
    if wanted is None:
        return None
    if "\0" in wanted:  # no text holds it, and no engine takes it
        return false()
    holds = documents.c.text.contains(wanted, autoescape=True)
    found = text_index(connection.dialect).candidates(wanted).where(holds).limit(_FEW + 1)
    numbers = list(connection.execute(found).scalars())
    if len(numbers) <= _FEW:
        return tasks.c.n.in_(numbers)
    return exists().where(documents.c.task_n == tasks.c.n, holds)
