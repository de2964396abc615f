"""The domain's errors: what can be wrong with a command or the storage, without a wire in it.

``rpc/refusals`` says what a caller is answered. Names have no ``Error`` suffix: they name what happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# ── Storage ────────────────────────────────────────────────────────────────────────────────────────────────────────


class OutboxError(Exception):
    """The outbox could not do what was asked; nothing was half-done."""


class StorageFailed(OutboxError):
    """A commit or a read failed: nothing of a commit is on disk, and memory has been put back."""


class StorageDamaged(StorageFailed):
    """SQLite found its file damaged: the daemon must start anew, which recovers what can be read."""


class StorageLost(StorageFailed):
    """The file is not where it was: it was removed, or another is in its place."""


class OutboxFull(OutboxError):
    """A bound is reached: nothing was accepted, and nothing old was dropped."""


class DuplicateEvent(StorageFailed):
    """An event id turned out to be on disk already: the group that it was in was not committed."""


# ── Commands ───────────────────────────────────────────────────────────────────────────────────────────────────────


class CommandRefused(Exception):
    """A command cannot be carried out as it was given; nothing was changed. The text says what to do."""


class InvalidValue(CommandRefused):
    """A parameter has a value that does not fit.

    Args:
        field: The parameter's name.
        problem: What is wrong with the value.
        hint: What would fit.
    """

    def __init__(self, field: str, problem: str, hint: str) -> None:
        super().__init__(f"{field}: {problem}; {hint}")
        self.field = field
        self.problem = problem
        self.hint = hint


class UnknownTask(CommandRefused):
    """No task has this id.

    Args:
        task_id: The id that was asked for.
    """

    def __init__(self, task_id: str) -> None:
        super().__init__(
            f"No task {task_id!r} is known here; create it first, or check the id (a task is forgotten 24 h after its end)"
        )
        self.task_id = task_id


@dataclass(frozen=True, slots=True)
class StepChoice:
    """A step that a caller could have meant."""

    step_id: str
    position: int
    title: str


class UnknownStep(CommandRefused):
    """No step, or more than one, fits what a caller named.

    Args:
        problem: Which of the two, and for what.
        choices: All steps of the task, in order.
    """

    def __init__(self, problem: str, choices: Sequence[StepChoice]) -> None:
        listed = "; ".join(f"{step.position} {step.title}" for step in choices[:20]) or "the task has no steps"
        super().__init__(f"{problem}; give an id, a position or a title of: {listed}")
        self.choices = tuple(choices)


class TaskFinished(CommandRefused):
    """The agent has ended the task itself; only the status ``running`` reopens it.

    Args:
        task_id: The task.
        status: How it ended.
    """

    def __init__(self, task_id: str, status: str) -> None:
        super().__init__(f"Task {task_id} is {status}; nothing more is taken for it until its status is set to running again")
        self.status = status


class EventIdReused(CommandRefused):
    """An event id came with another call than the one that it was minted for."""

    hint = "mint a new UUID for each call, and repeat one only with the same call"

    def __init__(self) -> None:
        super().__init__(f"event_id: was used for another call already (key_reused); {self.hint}")


class NoOpenInterrupt(CommandRefused):
    """An acknowledgement answers no stop: none is known here, and the backend has none or does not answer.

    Args:
        task_id: The task.
    """

    def __init__(self, task_id: str) -> None:
        super().__init__(
            f"There is nothing to acknowledge: no stop is known here for task {task_id}, and its backend has none or does not "
            "answer; check for one first, or set the task's status"
        )
        self.task_id = task_id


class TooManyTasks(CommandRefused):
    """As many tasks are known as may be; those that are known go on.

    Args:
        known: How many are.
    """

    bound = "tasks.max_known"

    def __init__(self, known: int) -> None:
        super().__init__(f"{known} tasks are known and the bound is tasks.max_known; end tasks that are over, or raise it")


class TooManyBackends(CommandRefused):
    """As many other backends are in use as may be; the tasks of these go on.

    Args:
        in_use: How many are.
    """

    bound = "backends.max"

    def __init__(self, in_use: int) -> None:
        super().__init__(
            f"base_url: {in_use} other backends are in use and the bound is backends.max; "
            "end the tasks of one that is over, or raise it"
        )
