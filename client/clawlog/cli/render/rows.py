"""A task as one row of a table, whoever knows it: the daemon of this machine, or a backend."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawlog.cli.render import states
from clawlog.cli.render.views import Measure, StepView, TaskView
from clawlog.protocol import vocabulary

if TYPE_CHECKING:  # the daemon's tasks are listed without them
    from clawlog.cli.render.backend_views import BackendStep, BackendTask


@dataclass(frozen=True, slots=True)
class TaskRow:
    """What a table shows of a task.

    Attributes:
        task_id: Its id.
        title: What it does.
        status: The one status that says how it is; ``state`` is the word for it.
        since: Since when it is so, as far as that is known: since it asked, ended, or
            last gave a sign; else since it began.
        reported_at: Its end, else its agent's last sign.
        steps_ended: How many of its steps have ended.
        steps: How many it has.
        step: The title of the running step.
        measure: How far that has come.
        summary: The question where it waits for a person, else what is known of the work.
        host: Where it runs, as its metadata say.
        agent: Who does it.
        is_subtask: Whether it is a part of another task.
        is_acknowledged: Whether a person has seen that it failed or was lost.
    """

    task_id: str
    title: str
    status: str
    since: str | None
    reported_at: str | None
    steps_ended: int
    steps: int
    step: str | None
    measure: Measure | None
    summary: str | None
    host: str | None
    agent: str | None
    is_subtask: bool
    is_acknowledged: bool = False

    @property
    def state(self) -> str:
        """How it is, as every screen and the dashboard call it."""
        return states.word(self.status)

    @property
    def needs_attention(self) -> bool:
        """Whether a person should look at it."""
        return self.state in states.ATTENTION and not self.is_acknowledged

    @property
    def style(self) -> str:
        """How its state is drawn: what somebody has seen already no longer shouts."""
        return "dim" if self.is_acknowledged else states.style(self.state)


def of_daemon(view: TaskView) -> TaskRow:
    """Returns the row of a task that the daemon knows."""
    step, ended_at, seen_at = view.current_step, view.ended_at, view.liveness.agent_seen_at
    silent = seen_at if view.shown_status in states.ALARMING else None
    return TaskRow(
        task_id=view.task_id,
        title=view.title,
        status=view.shown_status,
        since=ended_at or view.waiting_since or silent or view.created_at,
        reported_at=ended_at or seen_at,
        steps_ended=view.steps_ended,
        steps=len(view.steps),
        step=step.title if step is not None else None,
        measure=view.newest_measure,
        summary=_summary(view.summary, step, is_working=view.status == "running"),
        host=view.metadata.get("host"),
        agent=view.metadata.get("agent"),
        is_subtask=view.parent_task_id is not None,
        is_acknowledged=view.acknowledged and states.word(view.shown_status) in _SEEN,
    )


def of_backend(view: BackendTask) -> TaskRow:
    """Returns the row of a task that a backend knows."""
    step = next((each for each in view.steps if each.status == "running"), None)
    silent = view.agent_seen_at if states.word(view.shown_status) in (states.DEAD, states.NO_SIGNAL) else None
    return TaskRow(
        task_id=view.task_id,
        title=view.title,
        status=view.shown_status,
        since=view.ended_at or view.waiting_since or silent or view.created_at,
        reported_at=view.ended_at or view.agent_seen_at,
        steps_ended=sum(each.status in vocabulary.ENDED_STEP_STATUSES for each in view.steps),
        steps=len(view.steps),
        step=step.title if step is not None else None,
        measure=view.measure,
        summary=(view.lost_reason if view.shown_status == "lost" else None)
        or _summary(view.summary, step, is_working=view.status == "running"),
        host=view.metadata.get("host"),
        agent=view.metadata.get("agent"),
        is_subtask=view.parent_task_id is not None,
        is_acknowledged=view.attention is not None and view.attention.acknowledged_at is not None,
    )


def _summary(of_task: str | None, step: StepView | BackendStep | None, *, is_working: bool) -> str | None:
    """What is known of the work: of what goes on, its running step says more than the task as a whole."""
    return (step.summary if is_working and step is not None else None) or of_task


def by_attention(rows: Iterable[TaskRow]) -> list[TaskRow]:
    """Returns the rows with what needs a person first, then what goes on, then what has ended; otherwise in the order given."""
    return sorted(rows, key=rank)


def rank(row: TaskRow) -> int:
    """Returns the place of a row: what needs a person first, by how much, then what goes on, then what has ended."""
    if row.needs_attention:
        return states.ATTENTION.index(row.state)
    return len(states.ATTENTION) + (row.status in vocabulary.ENDED_TASK_STATUSES)


def tally(rows: Iterable[TaskRow]) -> states.Line:
    """Returns how many are in each state, as ``states.tally`` does; what somebody has seen already is not counted."""
    return states.tally(states.counted(each.state for each in rows if each.needs_attention or each.state not in _SEEN))


_SEEN = (states.DEAD, states.FAILED)
