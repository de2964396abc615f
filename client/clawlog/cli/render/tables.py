"""The table of tasks, which ``clawlog tasks`` prints and ``clawlog top`` keeps up to date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clawlog.cli.render import ids, output, states, times
from clawlog.cli.render.rows import TaskRow

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_WIDE, _WIDEST = 120, 200
"""From how many columns on a table has room for what was last said and where, and for who does it."""
_BAR_CELLS = 5


def tasks(found: Sequence[TaskRow], *, width: int, id_chars: int | None = None) -> Table:
    """Returns the tasks as a table.

    Args:
        found: The tasks.
        width: The terminal's columns: the more there are, the more is said of each task.
        id_chars: How many of an id's last characters are shown; None shows the whole id.
    """
    from rich.table import Table  # noqa: PLC0415 - see output.console
    from rich.text import Text  # noqa: PLC0415 - as above

    wide, widest = width >= _WIDE, width >= _WIDEST
    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=False)
    shown.add_column("ID", no_wrap=True)
    shown.add_column("STATE", no_wrap=True)
    shown.add_column("TITLE › STEP", ratio=3)  # spare width goes to the title and what was said
    if wide:
        shown.add_column("SUMMARY", ratio=2)
        shown.add_column("HOST", no_wrap=True, max_width=20)
    if widest:
        shown.add_column("AGENT", no_wrap=True, max_width=16)
        shown.add_column("PROGRESS", no_wrap=True)
        shown.add_column("LAST REPORT", no_wrap=True, justify="right")
    shown.add_column("AGE", no_wrap=True, justify="right")
    for each in found:
        cells: list[str | Text] = [
            ids.short(each.task_id, id_chars) if id_chars else each.task_id,
            Text(f"{states.MARKS.get(each.state, ' ')} {each.state}", style=each.style),
            output.one_row(_title(each, with_summary=not wide)),
        ]
        if wide:
            cells += [output.one_row(output.shown(each.summary, each.style if each.needs_attention else "dim"))]
            cells += [output.shown(each.host or "-")]
        if widest:
            cells += [output.shown(each.agent or "-"), _progress(each)]
            cells += [f"{times.age(times.age_s(each.reported_at))} ago" if each.reported_at else "-"]
        shown.add_row(*cells, times.age(times.age_s(each.since)) if each.since else "-")
    return shown


def _title(row: TaskRow, *, with_summary: bool) -> Text:
    """The title, and what is going on: the running step and how far it has come, or the question to a person."""
    title = output.shown(f"↳ {row.title}" if row.is_subtask else row.title)
    asks = with_summary and row.needs_attention and row.summary
    if row.step is not None and not (asks and row.state == states.NEEDS_YOU):
        title.append(" › ", "dim").append_text(output.shown(row.step, "dim"))
        if row.measure is not None:
            title.append(" · ", "dim").append_text(output.shown(row.measure.text, "dim"))
    if asks:
        title.append(" › ", "dim").append_text(output.shown(row.summary, row.style))
    return title


def _progress(row: TaskRow) -> Text:
    """How many of the steps have ended, as numbers and as a bar."""
    from rich.text import Text  # noqa: PLC0415 - see output.console

    if not row.steps:
        return Text("-", "dim")
    filled = row.steps_ended * _BAR_CELLS // row.steps
    bar = "▓" * filled + "░" * (_BAR_CELLS - filled)
    return Text(f"{row.steps_ended}/{row.steps} ".rjust(6)).append(bar, "dim")
