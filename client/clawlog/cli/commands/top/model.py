"""The state of ``clawlog top``, and how each key changes it. No I/O is done here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, Self

from clawlog.cli.render import rows, states
from clawlog.cli.render.rows import TaskRow
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
    OPEN = auto()
    BACK = auto()
    BROWSER = auto()
    SEARCH = auto()
    ERASE = auto()
    ORDER = auto()
    HELP = auto()
    OTHER = auto()


class Order(Enum):
    """In which order the tasks stand."""

    ATTENTION = "what needs attention first"
    NEWEST = "the newest first"
    REPORT = "the last report first"


class View(Enum):
    """What fills the screen."""

    LIST = auto()
    TASK = auto()
    HELP = auto()


PAGE_ROWS = 10
_MOVES = (Key.UP, Key.DOWN, Key.PAGE_UP, Key.PAGE_DOWN, Key.FIRST, Key.LAST)
_MOST_CHARS = 100
_KEYS: Mapping[Order, Callable[[TaskRow], Any]] = {
    Order.ATTENTION: rows.rank,
    Order.NEWEST: lambda _: 0,  # the daemon's own order
    Order.REPORT: lambda row: _reversed(row.reported_at or ""),
}


@dataclass(frozen=True, slots=True)
class Model:
    """The state of the screen.

    Attributes:
        daemon: The daemon's status; None where it does not answer.
        problem: Why it does not.
        every: The tasks of the last poll, in the daemon's order.
        tasks: Those that are shown, in the order chosen.
        show_all: Whether ended tasks are shown.
        selected: The selected task's id.
        to_stop: The task that the next press of the stop key stops.
        note: The effect of the last key.
        order: In which order they stand.
        query: What is searched for.
        typing: Whether keys go into the query.
        view: What fills the screen.
        page_rows: How many tasks a page has.
    """

    daemon: DaemonView | None = None
    problem: str = "connecting to the daemon"
    every: tuple[TaskView, ...] = ()
    tasks: tuple[TaskView, ...] = ()
    show_all: bool = False
    selected: str | None = None
    to_stop: str | None = None
    note: str = ""
    order: Order = Order.ATTENTION
    query: str = ""
    typing: bool = False
    view: View = View.LIST
    page_rows: int = PAGE_ROWS

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
        return replace(self, daemon=daemon, problem="", every=tasks).arranged()

    def poll_failed(self, problem: str) -> Self:
        """Returns the state after a poll that failed; the tasks of the last poll stay."""
        return replace(self, daemon=None, problem=problem)

    def arranged(self) -> Self:
        """Returns the state with the tasks that match the query, in the order chosen."""
        key = _KEYS[self.order]
        found = [(rows.of_daemon(each), each) for each in self.every]
        found = sorted((pair for pair in found if _matches(self.query, *pair)), key=lambda pair: key(pair[0]))
        tasks = tuple(each for _, each in found)
        selected = self.selected
        if selected not in {each.task_id for each in tasks}:
            selected = tasks[min(self.position, len(tasks) - 1)].task_id if tasks else None
        return replace(self, tasks=tasks, selected=selected)

    def pressed(self, key: Key | str) -> Self:
        """Returns the state after a key, or a letter that was typed into the query."""
        kept = replace(self, to_stop=None, note="")
        if self.typing:
            return kept.typed(key)
        if self.view is View.HELP:
            return replace(kept, view=View.LIST)
        if key in _MOVES:
            return kept.moved(self._rows_moved(key))
        match key:
            case Key.ALL:
                return replace(kept, show_all=not self.show_all)
            case Key.ORDER:
                following = list(Order)[(list(Order).index(self.order) + 1) % len(Order)]
                return replace(kept, order=following).arranged()
            case Key.SEARCH:
                return replace(kept, typing=True, view=View.LIST)
            case Key.HELP:
                return replace(kept, view=View.HELP)
            case Key.OPEN if self.selected_task is not None:
                return replace(kept, view=View.LIST if self.view is View.TASK else View.TASK)
            case Key.BACK:
                return replace(kept, view=View.LIST) if self.view is View.TASK else replace(kept, query="").arranged()
            case Key.STOP if self.selected_task is not None and self.to_stop is None:
                return kept.armed(self.selected_task)
            case _:
                return kept

    def _rows_moved(self, key: Key | str) -> int:
        match key:
            case Key.UP | Key.DOWN:
                return 1 if key is Key.DOWN else -1
            case Key.PAGE_UP | Key.PAGE_DOWN:
                return self.page_rows if key is Key.PAGE_DOWN else -self.page_rows
            case _:
                return len(self.tasks) if key is Key.LAST else -len(self.tasks)

    def armed(self, task: TaskView) -> Self:
        """Returns the state in which one more press stops the task."""
        if task.status in ENDED:
            return replace(self, note="this task has ended")
        return replace(self, to_stop=task.task_id, note=f"press s again to stop: {task.title}")

    def typed(self, key: Key | str) -> Self:
        """Returns the state after a key while the query is typed."""
        match key:
            case str():
                return replace(self, query=(self.query + key)[:_MOST_CHARS]).arranged()
            case Key.ERASE:
                return replace(self, query=self.query[:-1]).arranged()
            case Key.OPEN | Key.UP | Key.DOWN:
                return replace(self, typing=False)
            case Key.BACK:
                return replace(self, typing=False, query="").arranged()
            case _:
                return self

    def noted(self, note: str) -> Self:
        """Returns the state with a note."""
        return replace(self, note=note)

    def stops(self, key: Key | str) -> str | None:
        """Returns the task that this key, pressed now, asks to stop."""
        return self.to_stop if key is Key.STOP else None

    def moved(self, by: int) -> Self:
        """Returns the state with the selection moved down by so many rows, within the list."""
        if not self.tasks:
            return self
        return replace(self, selected=self.tasks[min(max(self.position + by, 0), len(self.tasks) - 1)].task_id)


def _matches(query: str, row: TaskRow, task: TaskView) -> bool:
    """Whether a task has every word of a query: ``key:value`` in its metadata or its state, others anywhere in its texts."""
    metadata = {name.casefold(): value.casefold() for name, value in task.metadata.items()}
    metadata["state"] = row.state.casefold()
    texts = (task.title, row.step, task.summary, row.summary, task.task_id, row.state, *task.metadata.values())
    text = "\n".join(each.casefold() for each in texts if each)
    for word in query.casefold().split():
        name, colon, value = word.partition(":")
        if colon and name in metadata:
            if value not in metadata[name].replace(" ", "-") and value not in metadata[name]:
                return False
        elif word not in text:
            return False
    return True


def tally(model: Model) -> states.Line:
    """Returns how many tasks of the last poll are in each state."""
    return rows.tally(map(rows.of_daemon, model.every))


def _reversed(text: str) -> tuple[int, ...]:
    """A key that puts a later time first."""
    return tuple(-ord(each) for each in text)
