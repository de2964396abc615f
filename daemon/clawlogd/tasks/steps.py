"""What a report on one step does to its task, and which step a caller means."""

from __future__ import annotations

import msgspec

from clawlog.protocol import vocabulary
from clawlog.protocol.types import StepStatus
from clawlogd.clock import rfc3339
from clawlogd.errors import StepChoice, UnknownStep
from clawlogd.model import Event, EventKind, Progress, Step, Task, TaskStatus
from clawlogd.tasks.change import TaskChange, refuse_finished
from clawlogd.tasks.waiting import end_waiting


def set_step_status(
    task: Task,
    wanted: int | str,
    status: StepStatus,
    *,
    event_id: str,
    at_ms: int,
    summary: str | None,
    progress: Progress | None = None,
) -> TaskChange:
    """Sets the status of a step. The first step that is reported on makes a pending task run, and one that waits goes on.

    Args:
        task: The task.
        wanted: The step, see ``find_step``.
        status: The new status.
        event_id: The event's id.
        at_ms: When it was reported, in milliseconds since 1970.
        summary: One line, cleaned.
        progress: How far it has come; None for what was reported last.

    Raises:
        TaskFinished: The agent has ended the task.
        UnknownStep: No step, or more than one, is meant.
    """
    refuse_finished(task)
    task, goes_on = end_waiting(task, at_ms)
    step = find_step(task, wanted)
    event = Event(
        event_id=event_id,
        task_id=task.task_id,
        kind=EventKind.STEP_STATUS,
        at=rfc3339(at_ms),
        step_id=step.step_id,
        status=status,
        summary=summary,
        progress=progress,
    )
    changed = msgspec.structs.replace(step, status=status, summary=summary or step.summary, progress=progress or step.progress)
    after = task.with_step(changed)
    begins = task.status is TaskStatus.PENDING and status != vocabulary.PENDING
    if begins:
        after = msgspec.structs.replace(after, status=TaskStatus.RUNNING)
    if progress is not None or (task.progress is not None and status != step.status):
        after = msgspec.structs.replace(after, progress=progress)  # what was counted before is over, or was of another step
    head = begins or goes_on is not None or after.progress != task.progress
    return TaskChange(event, after, head, (changed,), first=goes_on)


def find_step(task: Task, wanted: int | str) -> Step:
    """The step that a caller means by an id, a 1-based position (or its digits) or an exact, unambiguous title.

    Raises:
        UnknownStep: No step, or more than one, is meant.
    """
    if isinstance(wanted, str):
        for step in task.steps:
            if step.step_id == wanted:
                return step
    if isinstance(wanted, int) or (wanted.isascii() and wanted.isdigit() and len(wanted) < 10):
        position = int(wanted)
        if 1 <= position <= len(task.steps):
            return task.steps[position - 1]
    titled = [step for step in task.steps if step.title == wanted]
    if len(titled) == 1:
        return titled[0]
    named = repr(wanted if isinstance(wanted, int) else wanted[:80])
    problem = f"{len(titled)} steps have the title {named}" if titled else f"No step {named} in task {task.task_id}"
    raise UnknownStep(problem, [StepChoice(step.step_id, step.position, step.title) for step in task.steps])
