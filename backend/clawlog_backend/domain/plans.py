"""How a task's plan changes: the whole of it, or by one more step. Pure, as :mod:`clawlog_backend.domain.transitions`."""

from __future__ import annotations

from clawlog_backend.domain.errors import TooMany, UnknownStep
from clawlog_backend.domain.events import Planned, StepAdded
from clawlog_backend.domain.fields import STEPS
from clawlog_backend.domain.state import Extent, StepState, TaskState


def plan(event: Planned, task: TaskState) -> None:
    """Make what the event lists the whole plan. Steps are known by their ids; those that it does not list leave the plan."""
    steps = []
    for offered in event.steps:
        step = task.steps.get(offered.step_id) or StepState(offered.step_id, 0, offered.title)
        step.title = offered.title
        if step.status is not offered.status:
            step.set_status(offered.status, event.at)
            task.measure = None
        steps.append(step)
    task.number_steps(steps)
    _changed(event, task)


def add_step(event: StepAdded, task: TaskState) -> None:
    """Put one more step behind another, or at the end. One that is there already gets the title, and keeps its place.

    Raises:
        UnknownStep: There is no step that it could follow; nothing was changed.
        TooMany: The plan is full; nothing was changed.
    """
    step = task.steps.get(event.step_id)
    if step is not None:
        step.title = event.title
        _changed(event, task)
        return
    if len(task.steps) >= STEPS:
        raise TooMany("step_id", STEPS, "steps")
    steps = list(task.steps.values())
    place = len(steps)
    if event.after is not None:
        behind = task.steps.get(event.after)
        if behind is None:
            raise UnknownStep(event.after)
        place = behind.position
    steps.insert(place, StepState(event.step_id, 0, event.title))
    task.number_steps(steps)
    _changed(event, task)


def _changed(event: Planned | StepAdded, task: TaskState) -> None:
    task.replanned = task.reworded = True
    task.mark(Extent.FACTS)
    task.derive_status(event.at)
