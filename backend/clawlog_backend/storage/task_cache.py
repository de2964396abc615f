"""The tasks that changed lately, as they are stored: bounded by about how much memory they take, since one may be of any size.

What a task takes is estimated when it is loaded, and again each time as much was recorded of it since, as it is encoded, as it
took then: so that costs little with each event, however many steps its task has.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from sys import getsizeof

from clawlog_backend.domain.state import InterruptState, StepState, TaskState

CACHED_BYTES = 256 * 2**20  # what 100,000 tasks with five steps take

# What each takes by itself, with its numbers and its place in the cache. Texts are added to it.
_TASK_BYTES, _STEP_BYTES, _INTERRUPT_BYTES = 800, 150, 500


class TaskCache:
    """Tasks by their ids, the one that was used longest ago first.

    Args:
        most_bytes: What all may take; :meth:`trim` removes what is beyond.

    Attributes:
        bytes: About what they take now.
    """

    def __init__(self, most_bytes: int = CACHED_BYTES) -> None:
        self._most_bytes = most_bytes
        self._tasks: OrderedDict[str, TaskState] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        """How many there are."""
        return len(self._tasks)

    def __contains__(self, task_id: str) -> bool:
        """Whether a task is among them."""
        return task_id in self._tasks

    def __getitem__(self, task_id: str) -> TaskState:
        """A task that is among them."""
        return self._tasks[task_id]

    def get(self, task_id: str) -> TaskState | None:
        """A task, if it is among them."""
        return self._tasks.get(task_id)

    def among(self, task_ids: Collection[str]) -> list[TaskState]:
        """Those of these that are here."""
        return [task for task in map(self._tasks.get, task_ids) if task is not None]

    def lacking(self, task_ids: Collection[str]) -> list[str]:
        """Those of these that are not among them."""
        return [task_id for task_id in task_ids if task_id not in self._tasks]

    def use(self, task_ids: Collection[str]) -> None:
        """Keep those of these that are here for longer than all others."""
        for task_id in task_ids:
            if task_id in self._tasks:
                self._tasks.move_to_end(task_id)

    def add(self, task: TaskState) -> None:
        """Add a task that is not among them."""
        self._tasks[task.task_id] = task
        task.bytes = 0
        self.weigh(task)

    def weigh(self, task: TaskState) -> None:
        """Estimate anew what a task takes: steps, or stops, were loaded."""
        self.bytes -= task.bytes
        task.bytes, task.bytes_recorded = _size(task), 0
        self.bytes += task.bytes

    def grow(self, task: TaskState, detail: str) -> None:
        """Note what was recorded of a task, encoded."""
        task.bytes_recorded += getsizeof(detail)
        if task.bytes_recorded > task.bytes:
            self.weigh(task)

    def forget(self, task_id: str) -> None:
        """Remove a task, if it is among them."""
        task = self._tasks.pop(task_id, None)
        if task is not None:
            self.bytes -= task.bytes

    def trim(self) -> None:
        """Remove those that were used longest ago, as many as are too many."""
        while self.bytes > self._most_bytes:
            _, task = self._tasks.popitem(last=False)
            self.bytes -= task.bytes

    def clear(self) -> None:
        """Remove all."""
        self._tasks.clear()
        self.bytes = 0


def _size(task: TaskState) -> int:
    texts = (
        task.title, task.metadata, task.summary, task.host, task.project, task.agent, task.links, task.measure,
        task.lost_reason, task.closed, task.attention_by,
    )  # fmt: skip
    size = _TASK_BYTES + sum(getsizeof(text) for text in texts if text is not None)
    size += sum(map(_step_size, task.steps.values()))
    return size + sum(map(_interrupt_size, task.interrupts.values()))


def _step_size(step: StepState) -> int:
    size = _STEP_BYTES + getsizeof(step.step_id) + getsizeof(step.title)
    if step.summary is not None:
        size += getsizeof(step.summary)
    return size if step.measure is None else size + getsizeof(step.measure)


def _interrupt_size(interrupt: InterruptState) -> int:
    texts = (interrupt.reason, interrupt.requested_by, interrupt.ack_summary)
    return _INTERRUPT_BYTES + sum(getsizeof(text) for text in texts if text is not None)
