"""``clawlog acknowledge TASK…``: a person has seen that a task failed or was lost; it no longer asks for attention."""

from __future__ import annotations

import click

from clawlog.cli import options
from clawlog.cli.epilogs import epilog
from clawlog.cli.render import output
from clawlog.cli.sources import many, person


@click.command(
    short_help="Say that you have seen a failed or lost task.",
    epilog=epilog(
        ("clawlog acknowledge 8803", "seen"),
        ("clawlog acknowledge 8803 1f2c", "both"),
        s65="no such task, the id is ambiguous, or it needs something else",
        s69="the backend does not answer",
    ),
)
@options.tasks
@options.as_json
def command(*, tasks: tuple[str, ...], as_json: bool) -> int:
    """Say that you have seen that tasks failed or were lost. Each TASK is an id, or at least four of its last characters.

    They no longer ask for attention, until something new happens to them. A task that waits for you needs an answer instead.
    """
    if not tasks:
        raise click.UsageError("no task: name one at least; see: clawlog tasks")
    outcomes = many.for_each(tasks, lambda backend, found: backend.acknowledge(found.task_id, by=person.name()))
    output.print_outcomes(
        [(each.task_id, None if each.error is None else str(each.error)) for each in outcomes], "acknowledged", as_json=as_json
    )
    return many.status(outcomes)
