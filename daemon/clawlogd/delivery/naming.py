"""Events with the ids by which a backend knows their task, its steps and its parent."""

from __future__ import annotations

import msgspec

from clawlogd.model import Event, EventKind, Step, Task
from clawlogd.tasks.registry import Registry


def is_special(task: Task) -> bool:
    """Whether an event of a task may have to be said in another way than it is kept: in other ids, or in other words."""
    for step in task.steps:
        if step.remote_id is not None:
            return True
    return task.remote_id is not None or (task.parent_task_id is not None and not task.upstream)


def named(registry: Registry, event: Event) -> Event:
    """An event with the backend's ids. A step that has none there keeps its own."""
    task = registry.find(event.task_id)
    if task is None:
        return event
    ids = {step.step_id: step.remote_id for step in task.steps if step.remote_id}
    steps = event.steps
    if steps and ids and event.kind is EventKind.PLAN:
        steps = tuple(msgspec.structs.replace(step, step_id=ids.get(step.step_id, step.step_id)) for step in steps)
    return msgspec.structs.replace(
        event,
        task_id=task.remote_id or task.task_id,
        step_id=_named(event.step_id, ids),
        after=_named(event.after, ids),
        steps=steps,
        parent_task_id=_parent_id(registry, task, event.parent_task_id),
    )


def has_own_ids(task: Task) -> bool:
    """Whether the backend gave ids of its own to the steps of a task."""
    return any(step.remote_id for step in task.steps)


def mark(registry: Registry, task_id: str, remote_ids: dict[str, str | None]) -> None:
    """Notes by which ids a backend knows steps of a task.

    Args:
        registry: Where that is kept.
        task_id: The task.
        remote_ids: By the ids that callers know: None for the same, ``UNMAPPED`` for none.
    """
    task = registry.find(task_id)
    if task is None:
        return
    changed: list[Step] = []
    for step in task.steps:
        if step.step_id in remote_ids and step.remote_id != remote_ids[step.step_id]:
            changed.append(msgspec.structs.replace(step, remote_id=remote_ids[step.step_id]))
            task = task.with_step(changed[-1])
    if changed:
        registry.put(task, head=False, steps=tuple(changed))


def _named(step_id: str | None, ids: dict[str, str]) -> str | None:
    return step_id if step_id is None else ids.get(step_id, step_id)


def _parent_id(registry: Registry, task: Task, parent_id: str | None) -> str | None:
    parent = registry.find(parent_id) if parent_id is not None else None
    return parent.remote_id or parent_id if parent is not None and parent.base_url == task.base_url else parent_id
