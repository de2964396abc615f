"""Several changes of one task that belong together, as one report of a hook may need: each builds on the one before.

Pure: nothing is accepted here. They become durable in one commit, the last of them under the report's own event id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from clawlog.protocol import vocabulary
from clawlog.protocol.ids import new_uuid
from clawlog.protocol.types import StepStatus
from clawlogd.liveness.processes import runs
from clawlogd.model import NewStep, Session, Task, TaskStatus
from clawlogd.tasks.change import TaskChange
from clawlogd.tasks.plan import add_step, change_plan
from clawlogd.tasks.steps import set_step_status
from clawlogd.tasks.updates import acknowledge, set_status


class Chain:
    """The changes so far.

    Args:
        task: The task before them, that of a session.
        at_ms: When what they tell of happened, in milliseconds since 1970.

    Attributes:
        task: The task after them.
        changes: What they are, in order.
    """

    def __init__(self, task: Task, at_ms: int) -> None:
        self.task = task
        self.changes: list[TaskChange] = []
        self._at_ms = at_ms

    @property
    def session(self) -> Session:
        """The session after the changes."""
        session = self.task.session
        if session is None:
            raise TypeError(f"task {self.task.task_id} is no session's")
        return session

    def note(self, **changes: Any) -> None:
        """Changes what is known of the session."""
        self.task = msgspec.structs.replace(self.task, session=msgspec.structs.replace(self.session, **changes))

    def note_task(self, **changes: Any) -> None:
        """Changes what is known of the task, without an event."""
        self.task = msgspec.structs.replace(self.task, **changes)

    def set_status(self, status: TaskStatus, summary: str | None = None) -> None:
        """Sets the task's status."""
        self.add(set_status(self.task, status, event_id=new_uuid(), at_ms=self._at_ms, summary=summary, runs=runs))

    def go_on(self) -> None:
        """Sets the task to ``running``, where it is not; one that had ended, was lost or was closed is reopened."""
        if self.task.status is not TaskStatus.RUNNING or self.task.closed or self.task.lost_ms is not None:
            self.note_task(lost_ms=None)
            self.set_status(TaskStatus.RUNNING)

    def acknowledge(self, summary: str) -> None:
        """Acknowledges the open stop."""
        self.add(acknowledge(self.task, None, event_id=new_uuid(), at_ms=self._at_ms, summary=summary))

    def set_step(self, step_id: str, status: StepStatus, summary: str | None = None) -> None:
        """Sets the status of a step; one that has left the plan meanwhile is passed over."""
        if any(each.step_id == step_id for each in self.task.steps):
            self._quietly(
                lambda task: set_step_status(task, step_id, status, event_id=new_uuid(), at_ms=self._at_ms, summary=summary)
            )

    def begin_step(self, title: str) -> str:
        """Adds a step that is not of the agent's plan, and begins it. Returns its id."""
        if len(self.task.steps) < vocabulary.MAX_STEPS:
            event_id = new_uuid()
            step_id = f"{event_id}-1"
            self._quietly(lambda task: add_step(task, title, step_id=step_id, after=None, event_id=event_id, at_ms=self._at_ms))
        else:
            step_id = new_uuid()
            kept = [NewStep(each.step_id, each.title, each.status) for each in self._but_the_least()]
            self.plan([*kept, NewStep(step_id, title)])
        self.note(own_steps=(*(each for each in self.session.own_steps if self._has(each)), step_id))
        self.set_step(step_id, "running")
        return step_id

    def plan(self, steps: Sequence[NewStep]) -> None:
        """Makes a list the plan; what it lacks goes where there would be too many."""
        self._quietly(lambda task: change_plan(task, steps, event_id=new_uuid(), at_ms=self._at_ms, makes_room=True))

    def _but_the_least(self) -> list[Any]:
        """All steps but one: the oldest that was skipped, else the oldest that has ended, else the oldest."""
        ended = vocabulary.ENDED_STEP_STATUSES
        least = min(self.task.steps, key=lambda each: (each.status not in ended, each.status != "skipped", each.position))
        return [each for each in self.task.steps if each is not least]

    def _has(self, step_id: str) -> bool:
        return any(each.step_id == step_id for each in self.task.steps)

    def _quietly(self, change: Callable[[Task], TaskChange]) -> None:
        """Changes steps, of a task that waits or has ended too: it stays so, whatever its steps do."""
        before = self.task
        if before.status is not TaskStatus.WAITING and not before.status.ended:
            self.add(change(before))
            return
        made = change(msgspec.structs.replace(before, status=TaskStatus.RUNNING, finished=False))
        kept = msgspec.structs.replace(
            made.task,
            status=before.status,
            finished=before.finished,
            ended_ms=before.ended_ms,
            waiting_ms=before.waiting_ms,
            summary=before.summary,
        )
        self.add(msgspec.structs.replace(made, task=kept))

    def add(self, change: TaskChange) -> None:
        """Adds a change, of the task as it is after those before."""
        self.changes.append(change)
        self.task = change.task
