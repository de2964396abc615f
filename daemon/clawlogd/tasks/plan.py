"""How a task's plan changes while it is at work: which of its steps a new list means, and what becomes of the others.

Pure: the present steps and a list in, the steps afterwards out.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence

import msgspec

from clawlog.protocol import vocabulary
from clawlog.protocol.ids import new_uuid
from clawlog.protocol.types import StepStatus
from clawlogd.clock import rfc3339
from clawlogd.errors import InvalidValue
from clawlogd.model import UNMAPPED, Event, EventKind, NewStep, Step, Task, TaskStatus
from clawlogd.tasks.change import TaskChange, refuse_finished
from clawlogd.tasks.creation import visible_title
from clawlogd.tasks.steps import find_step
from clawlogd.tasks.waiting import end_waiting
from clawlogd.text import clean_title

NO_LONGER_PLANNED = "no longer planned"
"""The summary of a step that a changed plan left out before it had ended."""

_ROOM_HINT = f"expected at most {vocabulary.MAX_STEPS} steps in all, ended and skipped ones included"


def change_plan(task: Task, planned: Sequence[NewStep], *, event_id: str, at_ms: int, makes_room: bool = False) -> TaskChange:
    """Makes a list the plan of a task.

    Args:
        task: The task.
        planned: The steps in their new order: titles as the caller gave them, an empty id where it gave none.
        event_id: The event's id.
        at_ms: When it was reported, in milliseconds since 1970.
        makes_room: Whether steps that the list lacks leave the plan where it would have too many.

    Raises:
        TaskFinished: The agent has ended the task.
        InvalidValue: A title has nothing that can be shown, an id is there twice, or there would be too many steps.
    """
    refuse_finished(task)
    task, goes_on = end_waiting(task, at_ms)
    steps = arrange(task.steps, _cleaned(planned), event_id)
    if makes_room:
        steps = fitting(steps, listed=len(planned))
    if len(steps) > vocabulary.MAX_STEPS:
        raise InvalidValue("steps", f"the plan would have {len(steps)} steps", _ROOM_HINT)
    event = Event(
        event_id=event_id,
        task_id=task.task_id,
        kind=EventKind.PLAN,
        at=rfc3339(at_ms),
        steps=tuple(NewStep(each.step_id, each.title, each.status) for each in steps),
    )
    return _changed(task, steps, event, goes_on)


def add_step(task: Task, title: str, *, step_id: str | None, after: int | str | None, event_id: str, at_ms: int) -> TaskChange:
    """Puts one step into the plan of a task.

    Args:
        task: The task.
        title: As the caller gave it.
        step_id: Its id; None where the caller chose none.
        after: The step that it follows, see ``find_step``; None for the last one.
        event_id: The event's id.
        at_ms: When it was reported, in milliseconds since 1970.

    Raises:
        TaskFinished: The agent has ended the task.
        UnknownStep: No step, or more than one, is meant by ``after``.
        InvalidValue: The title has nothing that can be shown, the id is taken, or there would be too many steps.
    """
    refuse_finished(task)
    task, goes_on = end_waiting(task, at_ms)
    title = visible_title(title)
    taken = {each.step_id for each in task.steps}
    if step_id in taken:
        raise InvalidValue("step_id", f"the task has a step {step_id!r} already", "choose another, or leave it out")
    if len(task.steps) >= vocabulary.MAX_STEPS:
        raise InvalidValue("title", f"the plan would have {len(task.steps) + 1} steps", _ROOM_HINT)
    before = None if after is None else find_step(task, after)
    place = len(task.steps) if before is None else before.position
    added = Step(step_id or _new_id(event_id, 1, taken), 0, title, remote_id=UNMAPPED)
    steps = _numbered([*task.steps[:place], added, *task.steps[place:]])
    event = Event(
        event_id=event_id,
        task_id=task.task_id,
        kind=EventKind.STEP_ADDED,
        at=rfc3339(at_ms),
        step_id=added.step_id,
        title=title,
        after=None if before is None else before.step_id,
    )
    return _changed(task, steps, event, goes_on)


def arrange(steps: Sequence[Step], planned: Sequence[NewStep], event_id: str) -> tuple[Step, ...]:
    """The steps of a plan after a list was made of it.

    A step is recognised by its id, else by its title among those that no id names and no title before has taken, in order. An
    id that no step has is that of a new one. What the list lacks stands behind it, in the order that it had.

    Args:
        steps: The present ones, in order.
        planned: The list, its titles cleaned.
        event_id: The event's id, from which new steps get theirs.

    Raises:
        InvalidValue: An id is there twice.
    """
    by_id = {each.step_id: each for each in steps}
    named = {each.step_id for each in planned if each.step_id}
    if len(named) < sum(bool(each.step_id) for each in planned):
        raise InvalidValue("steps", "two steps have the same step_id", "expected each to be different")
    by_title: defaultdict[str, deque[Step]] = defaultdict(deque)
    for step in steps:
        if step.step_id not in named:
            by_title[step.title].append(step)
    taken = named.union(by_id)
    listed: list[Step] = []
    for number, each in enumerate(planned, start=1):
        alike = by_title[each.title]
        found = by_id.get(each.step_id) if each.step_id else alike.popleft() if alike else None
        if found is None:
            step_id = each.step_id or _new_id(event_id, number, taken)
            taken.add(step_id)
            listed.append(Step(step_id, 0, each.title, each.status or "pending", remote_id=UNMAPPED))
        else:
            listed.append(_planned(found, each.title, each.status))
    kept = {each.step_id for each in listed}
    return _numbered([*listed, *(_left_out(each) for each in steps if each.step_id not in kept)])


def fitting(steps: tuple[Step, ...], *, listed: int) -> tuple[Step, ...]:
    """As many of a plan's steps as it may have: of those that its list lacks the oldest skipped go, then the oldest others.

    Args:
        steps: All of them, as ``arrange`` gives them.
        listed: How many of them the list has; these stay.
    """
    excess = len(steps) - vocabulary.MAX_STEPS
    if excess <= 0:
        return steps
    by_worth = sorted(steps[listed:], key=lambda each: (each.status != "skipped", each.position))
    going = {each.step_id for each in by_worth[:excess]}
    return _numbered([each for each in steps if each.step_id not in going])


def _changed(task: Task, steps: tuple[Step, ...], event: Event, goes_on: Event | None) -> TaskChange:
    before = {each.step_id: each for each in task.steps}
    changed = tuple(each for each in steps if before.pop(each.step_id, None) != each)
    begins = task.status is TaskStatus.PENDING and any(each.status != vocabulary.PENDING for each in steps)
    status = TaskStatus.RUNNING if begins else task.status
    after = msgspec.structs.replace(task, steps=steps, status=status, replanned=True)
    head = begins or goes_on is not None or not task.replanned
    return TaskChange(event, after, head, changed, tuple(before.values()), goes_on)


def _cleaned(planned: Sequence[NewStep]) -> list[NewStep]:
    cleaned = [msgspec.structs.replace(each, title=clean_title(each.title)) for each in planned]
    for number, each in enumerate(cleaned, start=1):
        if not each.title:
            raise InvalidValue("steps", f"step {number} has nothing that can be shown", "expected a title")
    return cleaned


def _planned(step: Step, title: str, status: StepStatus | None) -> Step:
    """A step that the list has. One that was skipped is planned again, unless the list says otherwise."""
    returns = step.status == "skipped" and status != "skipped"
    status = status or ("pending" if returns else step.status)
    summary = None if returns and step.summary == NO_LONGER_PLANNED else step.summary
    return msgspec.structs.replace(step, title=title, status=status, summary=summary)


def _left_out(step: Step) -> Step:
    if step.status in vocabulary.ENDED_STEP_STATUSES:
        return step
    return msgspec.structs.replace(step, status="skipped", summary=NO_LONGER_PLANNED)


def _numbered(steps: Sequence[Step]) -> tuple[Step, ...]:
    return tuple(
        each if each.position == position else msgspec.structs.replace(each, position=position)
        for position, each in enumerate(steps, start=1)
    )


def _new_id(event_id: str, number: int, taken: set[str]) -> str:
    """The id of a new step: it follows from the event's, so that it is the same wherever the event is read."""
    step_id = f"{event_id.lower()}-{number}"
    return new_uuid() if step_id in taken else step_id
