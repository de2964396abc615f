"""The table of tasks, which ``clawlog tasks`` prints and ``clawlog top`` keeps up to date."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from clawlog.cli.render import marks, output, times
from clawlog.cli.render.views import TaskView

if TYPE_CHECKING:
    from rich.table import Table

_SHORTEST_ID = 8


def tasks(found: Sequence[TaskView], *, short: bool) -> Table:
    """Returns the tasks as a table.

    Args:
        found: The tasks.
        short: Whether ids are shortened as far as they stay distinct.
    """
    from rich.table import Table  # noqa: PLC0415 - see output.console
    from rich.text import Text  # noqa: PLC0415 - as above

    width = short_ids([each.task_id for each in found]) if short else None
    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=False)
    shown.add_column("TASK", no_wrap=True)
    shown.add_column("STATUS", no_wrap=True)
    shown.add_column("STEPS", no_wrap=True, justify="right")
    shown.add_column("LAST REPORT", no_wrap=True, justify="right")
    shown.add_column("TITLE", ratio=1)  # spare width goes to the title
    for each in found:
        step = each.current_step
        title = output.shown(each.title)
        if step is not None:
            title.append(" › ", "dim").append_text(output.shown(step.title, "dim"))
        shown.add_row(
            each.task_id[:width],
            Text(each.shown_status, style=marks.task_style(each.shown_status)),
            f"{each.steps_ended}/{len(each.steps)}",
            _last_report(each),
            output.one_row(title),
        )
    return shown


def _last_report(view: TaskView) -> str:
    at = view.ended_at or view.liveness.agent_seen_at
    return f"{times.age(times.age_s(at))} ago" if at else "-"


def short_ids(task_ids: Sequence[str]) -> int:
    """Returns how many characters keep these ids distinct."""
    ordered = sorted(task_ids)
    return max(_SHORTEST_ID, *(_shared_chars(one, other) + 1 for one, other in pairwise(ordered)), 0)


def _shared_chars(one: str, other: str) -> int:
    return next((index for index, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))
