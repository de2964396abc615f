"""``clawlog show TASK``: one task, with its steps, its agent's liveness, its stop and its history.

``known`` fetches what the daemon and the backend know of it; ``screen`` draws that.
"""

from __future__ import annotations

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.commands.show import known as knowledge
from clawlog.cli.commands.show import screen
from clawlog.cli.epilogs import epilog
from clawlog.cli.render import output
from clawlog.cli.sources import lookup

DEFAULT_LINES = 40


@click.command(
    short_help="Show one task with its timeline.",
    epilog=epilog(
        ("clawlog show 8803", "by the last characters of its id"),
        ("clawlog show 8803 --all", "all of its history"),
        ("clawlog show 8803 --json", "what both sides know"),
        s65="no such task, or the id is ambiguous",
        s69="no daemon or backend could be reached",
    ),
)
@options.task
@click.option("--lines", type=click.IntRange(1), default=DEFAULT_LINES, show_default=True, metavar="N",
    help="Show the last N lines of its history.")  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Show all of its history, and each of its steps.")
@options.as_json
def command(*, task: str, lines: int, everything: bool, as_json: bool) -> int:
    """Show one task: its steps, whether its agent is alive, how far a stop has come, and what happened when.

    TASK is its id, or at least four of its last characters. The steps come from the daemon, the history from the backend. What
    repeats is one line, and what is left out is said.
    """
    known = knowledge.fetch(lookup.find(task), everything=everything, with_history=not as_json)
    if as_json:
        output.print_json(
            {"task_id": known.found.task_id, "base_url": known.found.base_url, "page": known.page,
             "daemon": known.found.answer, "backend": known.answer, "backend_error": known.missing}
        )  # fmt: skip
    else:
        output.draw(*screen.draw(known, None if everything else lines))
    return exits.SUCCESS
