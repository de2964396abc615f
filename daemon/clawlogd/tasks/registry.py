"""Every task that the daemon knows, in memory; the outbox keeps the same on disk.

Values are replaced whole. A change shows here at once, so that the next command builds on it, and is undone when its commit
fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from clawlog.protocol import vocabulary
from clawlog.protocol.errors import UNKNOWN_STEP, UNKNOWN_TASK, RpcError, invalid_params
from clawlogd.model import Step, Task
from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.store import Store

_ID = re.compile(vocabulary.ID_PATTERN)

Observer = Callable[[Task | None, Task | None], None]
"""Called with a task before and after a change; None where there is none."""


class Registry:
    """The tasks.

    Args:
        outbox: Where changes become durable.
    """

    def __init__(self, *, outbox: Outbox) -> None:
        self._outbox = outbox
        self._tasks: dict[str, Task] = {}
        self._observers: list[Observer] = []

    def load(self, store: Store) -> None:
        """Takes over what the file holds."""
        steps: dict[str, list[Step]] = {}
        decode_step = msgspec.json.Decoder(Step).decode
        for task_id, body in store.steps():
            steps.setdefault(task_id, []).append(decode_step(body))
        decode_task = msgspec.json.Decoder(Task).decode
        broken = {key.rpartition("/")[0] for key in store.damaged_rows}  # a task that lacks a step would mistake the others
        for task_id, body in store.tasks():
            if task_id in broken:
                continue
            self._tasks[task_id] = msgspec.structs.replace(decode_task(body), steps=tuple(steps.get(task_id, ())))

    def observe(self, observer: Observer) -> None:
        """Tells ``observer`` of every change but those of steps alone, from now on, also of one that is undone."""
        self._observers.append(observer)

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks.values())

    def find(self, task_id: str) -> Task | None:
        """The task with this id, or None."""
        return self._tasks.get(task_id)

    def get(self, task_id: str) -> Task:
        """The task with this id.

        Raises:
            RpcError: ``unknown_task``; ``invalid_params`` where no task could have that id.
        """
        task = self._tasks.get(task_id)
        if task is None:
            if not _ID.match(task_id):
                raise invalid_params("task_id", "does not fit", vocabulary.ID_HINT)
            raise RpcError(
                UNKNOWN_TASK,
                f"No task {task_id!r} is known here; create it first, or check the id (a task is forgotten 24 h after its end)",
                task_id=task_id,
            )
        return task

    def put(self, task: Task, *, head: bool = True, steps: tuple[Step, ...] = ()) -> None:
        """Replaces or adds a task, now in memory and with the open group on disk.

        Args:
            task: The new value.
            head: Whether anything but steps changed.
            steps: The steps that changed.
        """
        before = self._tasks.get(task.task_id)
        self._outbox.save(task, head=head, steps=steps)
        self._outbox.on_failure(partial(self._undo, task.task_id, before, head))
        self._set(task.task_id, task, head=head)

    def forget(self, task_id: str) -> None:
        """Takes a task away."""
        before = self._tasks.get(task_id)
        self._outbox.forget(task_id)
        self._outbox.on_failure(partial(self._undo, task_id, before))
        self._set(task_id, None)

    def _undo(self, task_id: str, before: Task | None, head: bool = True) -> None:  # noqa: FBT001, FBT002 - bound, not called
        now = self._tasks.get(task_id)
        if before is not None and now is not None and now.stop is not None and now.stopping and before.stop != now.stop:
            # That a person wants it to stop is a fact, whether or not the disk could take it down. That the agent has been told
            # is one, too, but its receipt is gone: it is told again.
            before = msgspec.structs.replace(before, stop=msgspec.structs.replace(now.stop, delivered=False))
        self._set(task_id, before, head=head)

    def _set(self, task_id: str, after: Task | None, *, head: bool = True) -> None:
        before = self._tasks.get(task_id)
        if after is None:
            self._tasks.pop(task_id, None)
        else:
            self._tasks[task_id] = after
        if head:
            for observer in self._observers:
                observer(before, after)


def find_step(task: Task, wanted: int | str) -> Step:
    """The step that a caller means by an id, a 1-based position (or its digits) or an exact, unambiguous title.

    Raises:
        RpcError: ``unknown_step``, with the choices.
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
    choices = [{"step_id": step.step_id, "position": step.position, "title": step.title} for step in task.steps]
    named = repr(wanted if isinstance(wanted, int) else wanted[:80])
    why = f"{len(titled)} steps have the title {named}" if titled else f"No step {named} in task {task.task_id}"
    listed = "; ".join(f"{step.position} {step.title}" for step in task.steps[:20]) or "the task has no steps"
    raise RpcError(UNKNOWN_STEP, f"{why}; give an id, a position or a title of: {listed}", steps=choices)
