"""Below which span a command's task is: its caller's, else that of the task around it.

The command begins before anybody is asked, and is told its task's own span. Where no ``TRACEPARENT`` came, what it is told and
what is reported of the task both suppose that the task around it is a trace by itself; where that is wrong, they are linked.
"""

from __future__ import annotations

from collections.abc import Mapping

from clawlog import origin, trace_context


def caller_of(task_id: str, env: Mapping[str, str]) -> str | None:
    """Returns the ``traceparent`` of the span that a new task is below; None where it is a trace by itself."""
    caller = trace_context.of_caller(env)
    if caller is not None:
        return caller
    parent = origin.parent(task_id, env)
    return None if parent is None else trace_context.of_task(parent)
