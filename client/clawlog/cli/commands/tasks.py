"""``clawlog tasks``: lists the tasks that the daemon knows, the newest first."""

from __future__ import annotations

import sys

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.epilogs import epilog
from clawlog.cli.render import output, tables, views
from clawlog.client import Client


@click.command(
    short_help="List the tasks that the daemon knows.",
    epilog=epilog(
        ("clawlog tasks", "all, the newest first"),
        ("clawlog tasks --active", "those that have not ended"),
        ("clawlog tasks --json | jq '.tasks[].title'", "for programs"),
        s69="no daemon is running (this command starts none)",
    ),
)
@click.option("--active", is_flag=True, help="Only those that have not ended.")
@options.as_json
def command(*, active: bool, as_json: bool) -> int:
    """List the tasks that the daemon knows, the newest first: the status of each, and when its agent last reported."""
    with Client(autostart=False) as client:
        answer = client.list_tasks(active=True if active else None)
    if as_json:
        output.print_json(answer)
        return exits.SUCCESS
    found = views.tasks(answer)
    if found:
        output.draw(tables.tasks(found, short=sys.stdout.isatty()))
    else:
        output.warn("no active tasks" if active else "no tasks")
    return exits.SUCCESS
