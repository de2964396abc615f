"""What ``clawlog top`` knows, and what each key makes of it. No I/O is done here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Self

from clawlog.cli.render.views import ENDED, DaemonView, TaskView


class Key(Enum):
    """A key that means something."""

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
        daemon: The daemon's word on itself; None where it does not answer.
        trouble: Why it does not.
        tasks: The tasks that are shown, those that go on first.
        show_all: Whether those that ended are shown.
        selected: The task that is chosen, by id.
        to_stop: The task that the next press of the stop key stops.
        note: What came of the last key.
    """

    daemon: DaemonView | None = None
    trouble: str = "connecting to the daemon"
    tasks: tuple[TaskView, ...] = ()
    show_all: bool = False
    selected: str | None = None
    to_stop: str | None = None
    note: str = ""

    @property
    def position(self) -> int:
        """Where the chosen task stands in the list."""
        return next((index for index, each in enumerate(self.tasks) if each.task_id == self.selected), 0)

    @property
    def chosen(self) -> TaskView | None:
        """The chosen task."""
        return self.tasks[self.position] if self.tasks else None

    def seen(self, daemon: DaemonView, tasks: tuple[TaskView, ...]) -> Self:
        """After a look. The choice stays with its task, whatever happens around it."""
        ordered = tuple(sorted(tasks, key=lambda each: each.status in ENDED))  # stable: otherwise the daemon's order
        selected = self.selected
        if selected not in {each.task_id for each in ordered}:
            selected = ordered[min(self.position, len(ordered) - 1)].task_id if ordered else None
        return replace(self, daemon=daemon, trouble="", tasks=ordered, selected=selected)

    def unseen(self, trouble: str) -> Self:
        """After a look that found nobody; the tasks of the last look stay, and the trouble is told."""
        return replace(self, daemon=None, trouble=trouble)

    def pressed(self, key: Key) -> Self:
        """After a key."""
        kept = replace(self, to_stop=None, note="")
        match key:
            case Key.UP | Key.DOWN | Key.PAGE_UP | Key.PAGE_DOWN:
                return kept.moved(_ROWS[key])
            case Key.FIRST | Key.LAST:
                return kept.moved(-len(self.tasks) if key is Key.FIRST else len(self.tasks))
            case Key.ALL:
                return replace(kept, show_all=not self.show_all)
            case Key.STOP if self.chosen is not None and self.to_stop is None:
                if self.chosen.status in ENDED:
                    return replace(kept, note="this task has ended")
                return replace(kept, to_stop=self.chosen.task_id, note=f"press s again to stop: {self.chosen.title}")
            case _:
                return kept

    def noted(self, note: str) -> Self:
        """With something to tell."""
        return replace(self, note=note)

    def stops(self, key: Key) -> str | None:
        """The task that this key, pressed now, asks to stop."""
        return self.to_stop if key is Key.STOP else None

    def moved(self, by: int) -> Self:
        """With the choice so many rows further down, as far as there are any."""
        if not self.tasks:
            return self
        return replace(self, selected=self.tasks[min(max(self.position + by, 0), len(self.tasks) - 1)].task_id)
