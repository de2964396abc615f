"""``clawlog flush``: waits until the backends have received everything."""

from __future__ import annotations

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.epilogs import epilog
from clawlog.cli.render import output, views
from clawlog.cli.render.counts import counted
from clawlog.cli.sources import lookup
from clawlog.client import Client

DEFAULT_TIMEOUT_S = 30.0


@click.command(
    short_help="Wait until the backends have received everything.",
    epilog=epilog(
        ("clawlog flush", "all tasks"),
        ("clawlog flush --task 01a203dc --timeout 5", "one task"),
        s0="everything was delivered",
        s69="no daemon is running, and none could be started",
        s75="timed out; events that still wait are kept and sent later",
    ),
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, 3600),
    default=DEFAULT_TIMEOUT_S,
    show_default=True,
    help="Seconds to wait.",
)
@click.option("--task", metavar="TASK", shell_complete=options.complete_task, help="Only this task's events.")
@options.as_json
def command(*, timeout_s: float, task: str | None, as_json: bool) -> int:
    """Wait until all events are delivered, or the time runs out. The daemon retries at once, without its usual pauses."""
    with Client() as client:
        flushed = client.flush(timeout_s=timeout_s, task_id=lookup.find(task).task_id if task else None)
        lanes = () if flushed.flushed else views.daemon(client.daemon_status()).backends
    if as_json:
        output.print_json({"flushed": flushed.flushed, "pending": flushed.pending})
    elif flushed.flushed:
        click.echo("everything was delivered")
    if flushed.flushed:
        return exits.SUCCESS
    output.warn(f"{counted(flushed.pending, 'event')} still waiting; nothing is lost")
    for lane in lanes:
        if lane.pending:
            output.warn(f"{lane.pending} of them for {lane.base_url} ({lane.state}): {lane.last_error or 'no answer yet'}")
    return exits.UNKNOWN_FOR_NOW
