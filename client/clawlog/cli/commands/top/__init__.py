"""``clawlog top``: the tasks, live, in a terminal.

``model`` is the state and how keys change it, without any I/O; ``screen`` draws it; ``keyboard`` reads keys; ``loop`` polls the
daemon and connects them.
"""

from __future__ import annotations

import os

import click

from clawlog import exits
from clawlog.cli.epilogs import MEANINGS, epilog

DEFAULT_INTERVAL_S = 1.0


@click.command(
    short_help="Show all tasks live in the terminal.",
    epilog=epilog(
        ("clawlog top", "what goes on, and what failed of late"),
        ("clawlog top --all --interval 5", "all of them, every five seconds"),
        s0="quit with q",
        s2="wrong usage, or no terminal (use: clawlog tasks)",
        s130=MEANINGS[exits.INTERRUPTED],
    ),
)
@click.option("--all", "show_all", is_flag=True, help="Show ended tasks, too.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(0.1, 3600),
    default=DEFAULT_INTERVAL_S,
    show_default=True,
    help="Seconds between two updates.",
)
def command(*, show_all: bool, interval_s: float) -> int:
    """Show the tasks live, and the selected one with its steps. No daemon is started.

    What needs attention stands first. Keys: up and down (or k and j) select a task, Enter shows it alone, b opens its page in a
    browser, / searches, o changes the order, a shows ended tasks, too, s pressed twice asks the selected one to stop, ? shows
    all keys, q quits.
    """
    if not (os.isatty(0) and os.isatty(1)):
        raise click.UsageError("top needs a terminal; without one, use: clawlog tasks")
    from clawlog.cli.commands.top import loop  # noqa: PLC0415 - the help need not pay for it

    return loop.run(interval_s, show_all=show_all)
