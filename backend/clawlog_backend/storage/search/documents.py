"""Makes the documents of tasks: the texts that a search looks through.

Each says of which state of its task it is, so that whatever was left behind is found by comparing the two.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, or_, select, update

from clawlog_backend.storage.schema import documents, steps, tasks
from clawlog_backend.storage.search.text import document


def refresh(connection: Connection, numbers: Sequence[int]) -> None:
    """Make the documents of these tasks anew, where they are not of the tasks' present state."""
    found = connection.execute(_OUTDATED.where(tasks.c.n.in_(list(numbers)))).all()
    if not found:
        return
    words: dict[int, list[str]] = {row.n: _words(row) for row in found}
    its_steps = select(steps.c.task_n, steps.c.title, steps.c.step_id, steps.c.summary).where(steps.c.task_n.in_(words))
    for n, title, step_id, summary in connection.execute(its_steps.order_by(steps.c.task_n, steps.c.position)):
        words[n] += (title, step_id, summary or "")
    texts = {row.n: document(words[row.n]) for row in found}
    same = [{"n": row.n, "of": row.version} for row in found if row.text == texts[row.n]]
    other = [{"n": row.n, "of": row.version, "now": texts[row.n]} for row in found if row.text not in (None, texts[row.n])]
    new = [{"task_n": row.n, "version": row.version, "text": texts[row.n]} for row in found if row.text is None]
    for statement, values in ((_SAME, same), (_OTHER, other), (insert(documents), new)):
        if values:
            connection.execute(statement, values)


def _words(row: Row[Any]) -> list[str]:
    pairs = [] if row.metadata == "{}" else [word for pair in json.loads(row.metadata).items() for word in pair]
    return [row.title, row.task_id, row.summary or "", *pairs]


def outdated(connection: Connection, begin: int, end: int) -> tuple[set[int], int]:
    """The tasks that lack a document of their present state.

    Args:
        connection: To read from.
        begin: Only tasks with a greater number,
        end: and with no greater one than this.

    Returns:
        Their numbers, and the number of the last task of all.
    """
    within = (tasks.c.n > begin, tasks.c.n <= end)
    numbers = connection.execute(_OUTDATED.with_only_columns(tasks.c.n).where(*within)).scalars()
    last: int = connection.execute(select(func.coalesce(func.max(tasks.c.n), 0))).scalar_one()
    return set(numbers), last


_VERSION = tasks.c.change_seq
_OUTDATED = (
    select(tasks.c.n, tasks.c.title, tasks.c.task_id, tasks.c.summary, tasks.c.metadata)
    .add_columns(_VERSION.label("version"), documents.c.text)
    .join_from(tasks, documents, documents.c.task_n == tasks.c.n, isouter=True)
    .where(or_(documents.c.version.is_(None), documents.c.version != _VERSION))
)
_SAME = update(documents).where(documents.c.task_n == bindparam("n")).values(version=bindparam("of"))
_OTHER = _SAME.values(text=bindparam("now"))
