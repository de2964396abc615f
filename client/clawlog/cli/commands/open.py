"""``clawlog open [TASK]``: shows the dashboard, or a task's page, in a browser."""

from __future__ import annotations

import os
import webbrowser

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.epilogs import epilog
from clawlog.cli.render import output
from clawlog.cli.sources import browser, configuration, lookup
from clawlog.cli.sources.backend import Backend


@click.command(
    short_help="Open the dashboard, or a task's page.",
    epilog=epilog(
        ("clawlog open", "the dashboard"),
        ("clawlog open 8803", "one task"),
        ("clawlog open 8803 --print", "its address"),
        s65="no such task, or the id is ambiguous",
        s69="the backend does not answer",
    ),
)
@click.argument("task", required=False, shell_complete=options.complete_task)
@click.option("--print", "only_print", is_flag=True, help="Print the address instead, as it is done where no browser is.")
@options.as_json
def command(*, task: str | None, only_print: bool, as_json: bool) -> int:
    """Open the dashboard, or a task's page, in a browser. TASK is an id, or at least four of its last characters."""
    url = configuration.load(os.environ).base_url if task is None else _page(task)
    opened = not only_print and browser.has_screen(os.environ) and webbrowser.open(url)
    if as_json:
        output.print_json({"url": url, "opened": opened})
    elif not opened:
        click.echo(url)
    return exits.SUCCESS


def _page(task: str) -> str:
    found = lookup.find(task)
    page = Backend(found.base_url, os.environ).page(found.task_id)
    if page is None:
        output.warn(f"{found.base_url} does not say where a task's page is; this is where it begins")
    return page or found.base_url
