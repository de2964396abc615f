"""``clawlog.current_task``: the task that a line of code is in."""

from __future__ import annotations

from clawlog.tasks.asynchronous import AsyncTask
from clawlog.tasks.base import innermost_task
from clawlog.tasks.blocking import Task


def current_task() -> Task | AsyncTask | None:
    """Returns the task of the innermost block that the caller is in: of ``with``, ``async with`` or a decorated function.

    Coroutines and asyncio's tasks are in the block in which they were started, threads in none: give them the task, or run them
    in ``contextvars.copy_context()``. A forked process is in its parent's.
    """
    found = innermost_task.get()
    return found.task if found is not None and isinstance(found.task, Task | AsyncTask) else None
