"""``clawlog tasks``: the tasks that the daemon knows, the newest first."""

from __future__ import annotations

import sys

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.epilogs import epilog
from clawlog.cli.render import output, tables, views
from clawlog.client import Client


@click.command(
    short_help="The tasks that the daemon knows.",
    epilog=epilog(
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
        output.draw(tables.tasks(found, short=sys.stdout.isatty()))
    else:
        output.warn("no tasks" + (" go on" if active else ""))
    return exits.SUCCESS
