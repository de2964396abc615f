"""``clawlog tasks``: the tasks that the daemon knows, the newest first."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.render import output, times, views
from clawlog.cli.render.views import TaskView
from clawlog.cli.sources import lookup
from clawlog.client import Client

if TYPE_CHECKING:
    from rich.table import Table

STYLES = {
    "running": "green",
    "done": "dim",
    "failed": "bold red",
    "interrupted": "dim",
    "stopping": "bold yellow",
    "lost": "bold red",
    "stalled": "bold yellow",
}


@click.command(
    short_help="The tasks that the daemon knows.",
    epilog=exits.epilog(
        ("clawlog tasks", "all, the newest first"),
        ("clawlog tasks --active", "those that go on"),
        ("clawlog tasks --json | jq '.tasks[].title'", "for programs"),
        s69="no daemon runs (none is started by looking)",
    ),
)
@click.option("--active", is_flag=True, help="Only those that have not ended.")
@options.as_json
def command(*, active: bool, as_json: bool) -> int:
    """List the tasks that the daemon knows, the newest first: where each stands, and when its agent last spoke."""
    with Client(autostart=False) as client:
        answer = client.list_tasks(active=True if active else None)
    if as_json:
        output.print_json(answer)
        return exits.SUCCESS
    found = views.tasks(answer)
    if found:
        output.draw(table(found, short=sys.stdout.isatty()))
    else:
        output.warn("no tasks" + (" go on" if active else ""))
    return exits.SUCCESS


def table(found: Sequence[TaskView], *, short: bool) -> Table:
    """The tasks as a table.

    Args:
        found: The tasks.
        short: Whether ids are shortened to what tells them apart.
    """
    from rich.table import Table  # noqa: PLC0415 - see output.console
    from rich.text import Text  # noqa: PLC0415 - as above

    width = lookup.short_ids([each.task_id for each in found]) if short else None
    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=False)
    shown.add_column("TASK", no_wrap=True)
    shown.add_column("STATUS", no_wrap=True)
    shown.add_column("STEPS", no_wrap=True, justify="right")
    shown.add_column("SPOKE", no_wrap=True, justify="right")
    shown.add_column("TITLE", ratio=1)  # where there is room to spare, it is the title's
    for each in found:
        step = each.current_step
        title = output.shown(each.title)
        if step is not None:
            title.append(" › ", "dim").append_text(output.shown(step.title, "dim"))
        shown.add_row(
            each.task_id[:width],
            Text(each.standing, style=STYLES.get(each.standing, "")),
            f"{each.steps_ended}/{len(each.steps)}",
            _spoke(each),
            output.one_row(title),
        )
    return shown


def _spoke(view: TaskView) -> str:
    at = view.ended_at or view.liveness.agent_seen_at
    return f"{times.age(times.age_s(at))} ago" if at else "-"
