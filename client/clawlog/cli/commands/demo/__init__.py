"""``clawlog demo``: a task from its creation to its soft stop, on a real backend, a real daemon and the real scripts.

``setup`` starts everything in a temporary folder; ``agent`` works and reports through the scripts (``scripts``, ``work``);
``person`` uses the backend; ``timeline`` prints what happens; ``verdict`` compares it with what should have happened. Nothing
is simulated: if a part fails, so does the demo.
"""

from __future__ import annotations

import click

from clawlog import exits
from clawlog.cli import signals
from clawlog.cli.epilogs import MEANINGS, epilog


@click.command(
    short_help="Watch a complete run on temporary state; it ends by itself.",
    epilog=epilog(
        ("clawlog demo", "as lines to read"),
        ("clawlog demo --json", "one JSON document per line, the last one the result"),
        s0="everything arrived as it should",
        s1="something did not arrive, or a part failed; stderr says which",
        s130=MEANINGS[exits.INTERRUPTED],
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document per line.")
def command(*, as_json: bool) -> int:
    """Watch a complete run, from the first step to the soft stop.

    Starts a backend and a daemon on temporary state, runs a task with real work through the real scripts, asks for a stop
    through the backend, and checks at the end that everything arrived. Takes about ten seconds, and touches nothing of yours.
    """
    from clawlog.cli.commands.demo.setup import play  # noqa: PLC0415 - the help need not pay for it
    from clawlog.cli.commands.demo.timeline import Timeline  # noqa: PLC0415 - as above

    return signals.run(play(Timeline(as_json=as_json)))
