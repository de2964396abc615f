"""One change of a task: the event for its backend, and the task as it is afterwards."""

from __future__ import annotations

import msgspec

from clawlogd.errors import TaskFinished
from clawlogd.model import Event, Step, Task


class TaskChange(msgspec.Struct, frozen=True, gc=False):
    """A change that is decided on and not yet made.

    Attributes:
        event: What is delivered to the backend.
        task: The task afterwards.
        head: Whether anything of the task but its steps changed.
        steps: The steps that changed.
        gone: The steps that left the plan.
        first: What is delivered before the event: that a task which waited for a person goes on.
    """

    event: Event
    task: Task
    head: bool = True
    steps: tuple[Step, ...] = ()
    gone: tuple[Step, ...] = ()
    first: Event | None = None


def refuse_finished(task: Task) -> None:
    """Refuses an update to a task that its agent has ended.

    Raises:
        TaskFinished: It has.
    """
    if task.finished:
        raise TaskFinished(task.task_id, task.status)
