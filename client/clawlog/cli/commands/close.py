"""``clawlog close TASK…``: ends tasks whose agents are gone, so that they no longer ask for attention."""

from __future__ import annotations

import click

from clawlog.cli import options
from clawlog.cli.epilogs import epilog
from clawlog.cli.render import output
from clawlog.cli.sources import many, person

STATUSES = ("failed", "interrupted", "done")


@click.command(
    short_help="End tasks whose agents are gone.",
    epilog=epilog(
        ("clawlog close 8803", "nobody ended it: failed"),
        ("clawlog close 8803 1f2c --status done", "both went well"),
        s65="no such task, the id is ambiguous, or its agent is alive",
        s69="the backend does not answer",
    ),
)
@options.tasks
@click.option("--status", type=click.Choice(STATUSES), default="failed", show_default=True, help="How it ended.")
@click.option("--reason", help="Why, in your words.")
@options.as_json
def command(*, tasks: tuple[str, ...], status: str, reason: str | None, as_json: bool) -> int:
    """End tasks whose agents are gone. Each TASK is an id, or at least four of its last characters.

    A task whose agent is alive is not closed: stop it instead. An agent that comes back after all reopens its task by its next
    report.
    """
    if not tasks:
        raise click.UsageError("no task: name one at least; see: clawlog tasks")
    outcomes = many.for_each(
        tasks, lambda backend, found: backend.close(found.task_id, status, summary=reason, by=person.name())
    )
    output.print_outcomes(
        [(each.task_id, None if each.error is None else str(each.error)) for each in outcomes], "closed", as_json=as_json
    )
    return many.status(outcomes)
