"""``clawlog top``: the tasks, live, in a terminal.

``model`` is what is known and what a key changes, without any I/O; ``screen`` draws it; ``keyboard`` reads keys; ``loop`` asks
the daemon from time to time and brings them together.
"""

from __future__ import annotations

import os

import click

from clawlog import exits
from clawlog.cli.epilogs import MEANINGS, epilog

DEFAULT_INTERVAL_S = 1.0


@click.command(
    short_help="All tasks, live, in the terminal.",
    epilog=epilog(
        ("clawlog top", "the tasks that go on"),
        ("clawlog top --all --interval 5", "all of them, looked at every five seconds"),
        s0="ended by q",
        s2="usage, or there is no terminal (use: clawlog tasks)",
        s130=MEANINGS[exits.INTERRUPTED],
    ),
)
@click.option("--all", "show_all", is_flag=True, help="Those that have ended, too.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(0.1, 3600),
    default=DEFAULT_INTERVAL_S,
    show_default=True,
    help="In seconds.",
)
def command(*, show_all: bool, interval_s: float) -> int:
    """Show the tasks as they go on, and the chosen one with its steps. No daemon is started.

    Keys: up and down (or k and j) choose a task, a shows all of them or those that go on, s twice asks the chosen one to stop,
    q ends.
    """
    if not (os.isatty(0) and os.isatty(1)):
        raise click.UsageError("top wants a terminal; without one, use: clawlog tasks")
    from clawlog.cli.commands.top import loop  # noqa: PLC0415 - the help need not pay for it

    return loop.run(interval_s, show_all=show_all)
