"""Makes the documents of tasks: the texts that a search looks through."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, insert, select, update

from clawlog_backend.storage.rows import run_many
from clawlog_backend.storage.schema import documents, steps, tasks
from clawlog_backend.storage.search.text import document


def refresh(connection: Connection, numbers: Collection[int]) -> None:
    """Make the documents of these tasks anew, where they say something else by now. Costs little where they do not."""
    found = connection.execute(_TASKS.where(tasks.c.n.in_(list(numbers)))).all()
    words: dict[int, list[str]] = {row.n: _words(row) for row in found}
    its_steps = select(steps.c.task_n, steps.c.title, steps.c.step_id, steps.c.summary).where(steps.c.task_n.in_(words))
    for n, title, step_id, summary in connection.execute(its_steps.order_by(steps.c.task_n, steps.c.position)):
        words[n] += (title, step_id, summary or "")
    texts = {row.n: document(words[row.n]) for row in found}
    other = [(texts[row.n], row.n) for row in found if row.text not in (None, texts[row.n])]
    run_many(connection, _CHANGE, ("text", "key_task_n"), other)
    run_many(connection, _ADD, ("task_n", "text"), [(row.n, texts[row.n]) for row in found if row.text is None])


def _words(row: Row[Any]) -> list[str]:
    pairs = [] if row.metadata == "{}" else [word for pair in json.loads(row.metadata).items() for word in pair]
    return [row.title, row.task_id, row.summary or "", *pairs]


_SAID = (tasks.c.n, tasks.c.title, tasks.c.task_id, tasks.c.summary, tasks.c.metadata, documents.c.text)
_TASKS: Select[Any] = select(*_SAID).join_from(tasks, documents, documents.c.task_n == tasks.c.n, isouter=True)
_CHANGE = update(documents).where(documents.c.task_n == bindparam("key_task_n")).values(text=bindparam("text"))
_ADD = insert(documents).values(task_n=bindparam("task_n"), text=bindparam("text"))
