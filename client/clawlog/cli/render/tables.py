"""The table of tasks, which ``clawlog tasks`` prints and ``clawlog top`` keeps up to date."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from clawlog.cli.render import marks, output, times
from clawlog.cli.render.rows import TaskRow

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_SHORTEST_ID = 4
LISTED_CHARS = 8
"""How many of an id's last characters stand before a line about one of several tasks."""
_WIDE, _WIDEST = 120, 200
"""From how many columns on a table says where a task runs, and who does it."""


def tasks(found: Sequence[TaskRow], *, width: int, id_chars: int | None = None) -> Table:
    """Returns the tasks as a table.

    Args:
        found: The tasks.
        width: The terminal's columns: the more there are, the more is said of each task.
        id_chars: How many of an id's last characters are shown; None shows the whole id.
    """
    from rich.table import Table  # noqa: PLC0415 - see output.console
    from rich.text import Text  # noqa: PLC0415 - as above

    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=False)
    shown.add_column("TASK", no_wrap=True)
    shown.add_column("STATUS", no_wrap=True)
    shown.add_column("STEPS", no_wrap=True, justify="right")
    shown.add_column("LAST REPORT", no_wrap=True, justify="right")
    if width >= _WIDE:
        shown.add_column("HOST", no_wrap=True, max_width=24)
    if width >= _WIDEST:
        shown.add_column("AGENT", no_wrap=True, max_width=16)
    shown.add_column("TITLE", ratio=1)  # spare width goes to the title
    for each in found:
        place = [output.shown(each.host or "-")] if width >= _WIDE else []
        place += [output.shown(each.agent or "-")] if width >= _WIDEST else []
        shown.add_row(
            short_id(each.task_id, id_chars) if id_chars else each.task_id,
            Text(each.status, style=marks.task_style("done" if each.is_acknowledged else each.status)),
            f"{each.steps_ended}/{each.steps}",
            f"{times.age(times.age_s(each.reported_at))} ago" if each.reported_at else "-",
            *place,
            output.one_row(_title(each)),
        )
    return shown


def _title(row: TaskRow) -> Text:
    """The title, and what is going on: the running step, how far it has come, and the question to a person."""
    title = output.shown(f"↳ {row.title}" if row.is_subtask else row.title)
    if row.step is not None:
        title.append(" › ", "dim").append_text(output.shown(row.step, "dim"))
    if row.measure is not None:
        title.append(" · ", "dim").append_text(output.shown(row.measure.text, "dim"))
    if row.summary and row.status in ("waiting", "failed"):
        title.append("  ").append_text(output.shown(f'"{row.summary}"', marks.task_style(row.status)))
    return title


def id_chars(task_ids: Sequence[str]) -> int:
    """Returns how many last characters keep these ids distinct."""
    ordered = sorted(each[::-1] for each in task_ids)
    return max(_SHORTEST_ID, *(_shared_chars(one, other) + 1 for one, other in pairwise(ordered)), 0)


def short_id(task_id: str, chars: int) -> str:
    """Returns an id's last characters: at least so many, and none that a command line would take for a flag."""
    while task_id[-chars:].startswith("-") and chars < len(task_id):
        chars += 1
    return task_id[-chars:]


def _shared_chars(one: str, other: str) -> int:
    return next((index for index, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))
