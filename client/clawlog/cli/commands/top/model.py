"""The state of ``clawlog top``, and how each key changes it. No I/O is done here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Self

from clawlog.cli.render.views import ENDED, DaemonView, TaskView


class Key(Enum):
    """A key with a meaning."""

    QUIT = auto()
    UP = auto()
    DOWN = auto()
    PAGE_UP = auto()
    PAGE_DOWN = auto()
    FIRST = auto()
    LAST = auto()
    ALL = auto()
    STOP = auto()
    OTHER = auto()


PAGE_ROWS = 10
_ROWS = {Key.UP: -1, Key.DOWN: 1, Key.PAGE_UP: -PAGE_ROWS, Key.PAGE_DOWN: PAGE_ROWS}


@dataclass(frozen=True, slots=True)
class Model:
    """The state of the screen.

    Attributes:
        daemon: The daemon's status; None where it does not answer.
        problem: Why it does not.
        tasks: The tasks to show, active ones first.
        show_all: Whether ended tasks are shown.
        selected: The selected task's id.
        to_stop: The task that the next press of the stop key stops.
        note: The effect of the last key.
    """

    daemon: DaemonView | None = None
    problem: str = "connecting to the daemon"
    tasks: tuple[TaskView, ...] = ()
    show_all: bool = False
    selected: str | None = None
    to_stop: str | None = None
    note: str = ""

    @property
    def position(self) -> int:
        """The selected task's index in the list."""
        return next((index for index, each in enumerate(self.tasks) if each.task_id == self.selected), 0)

    @property
    def selected_task(self) -> TaskView | None:
        """The selected task."""
        return self.tasks[self.position] if self.tasks else None

    def polled(self, daemon: DaemonView, tasks: tuple[TaskView, ...]) -> Self:
        """Returns the state after a poll. The selection stays with its task, whatever happens around it."""
        ordered = tuple(sorted(tasks, key=lambda each: each.status in ENDED))  # stable: otherwise the daemon's order
        selected = self.selected
        if selected not in {each.task_id for each in ordered}:
            selected = ordered[min(self.position, len(ordered) - 1)].task_id if ordered else None
        return replace(self, daemon=daemon, problem="", tasks=ordered, selected=selected)

    def poll_failed(self, problem: str) -> Self:
        """Returns the state after a poll that failed; the tasks of the last poll stay."""
        return replace(self, daemon=None, problem=problem)

    def pressed(self, key: Key) -> Self:
        """Returns the state after a key."""
        kept = replace(self, to_stop=None, note="")
        match key:
            case Key.UP | Key.DOWN | Key.PAGE_UP | Key.PAGE_DOWN:
                return kept.moved(_ROWS[key])
            case Key.FIRST | Key.LAST:
                return kept.moved(-len(self.tasks) if key is Key.FIRST else len(self.tasks))
            case Key.ALL:
                return replace(kept, show_all=not self.show_all)
            case Key.STOP if self.selected_task is not None and self.to_stop is None:
                if self.selected_task.status in ENDED:
                    return replace(kept, note="this task has ended")
                return replace(
                    kept, to_stop=self.selected_task.task_id, note=f"press s again to stop: {self.selected_task.title}"
                )
            case _:
                return kept

    def noted(self, note: str) -> Self:
        """Returns the state with a note."""
        return replace(self, note=note)

    def stops(self, key: Key) -> str | None:
        """Returns the task that this key, pressed now, asks to stop."""
        return self.to_stop if key is Key.STOP else None

    def moved(self, by: int) -> Self:
        """Returns the state with the selection moved down by so many rows, within the list."""
        if not self.tasks:
            return self
        return replace(self, selected=self.tasks[min(max(self.position + by, 0), len(self.tasks) - 1)].task_id)
