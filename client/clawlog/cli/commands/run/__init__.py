"""``clawlog run``: a command as a task.

``front`` is the process that the caller knows, ``program`` starts the command's own, and ``companion`` is the one that reports
to the daemon (``supervisor``, ``reporter``), copies output and keeps its last line (``tee``), says to a person at the terminal
which task it is (``remarks``), and stops all that the command has started (``tree``). ``inheritance`` is what the caller gave
and the command gets. Even if reporting fails, the command runs, and what it does to its caller is what it would do alone:
docs/command-line.md has the table.
"""

from __future__ import annotations

import logging
import os
import shlex
import signal
from itertools import islice

import click

from clawlog.cli.epilogs import epilog
from clawlog.protocol import summary, vocabulary

DEFAULT_GRACE_S = 10.0

_SHOWN_WORDS = 200
_SHOWN_BYTES = 4_000


def _signal(ctx: click.Context, param: click.Parameter, value: str) -> signal.Signals:
    del ctx, param
    try:
        return signal.Signals(int(value)) if value.isdecimal() else signal.Signals["SIG" + value.upper().removeprefix("SIG")]
    except (KeyError, ValueError):
        raise click.BadParameter(f"{value!r} is not a signal; expected a name such as TERM, INT or USR1") from None


@click.command(
    short_help="Run a command as a task.",
    context_settings={"allow_interspersed_args": False},
    epilog=epilog(
        ("clawlog run -- make all", ""),
        ("clawlog run --title 'Nightly backup' -- ./backup.sh", ""),
        ("clawlog run --stop-signal INT --grace 60 -- python train.py", ""),
        s0="the command succeeded",
        sn="the command's own status, or its end by a signal (a shell shows 128+n)",
        s126="the command cannot be run",
        s127="no such command",
    ),
)
@click.option("--title", help="The task's title.  [default: the command line]")
@click.option("--grace", "grace_s", type=click.FloatRange(0), default=DEFAULT_GRACE_S, show_default=True,
    help="Seconds between the stop signal and SIGKILL.")  # fmt: skip
@click.option("--stop-signal", default="TERM", show_default=True, callback=_signal, metavar="NAME",
    help="Signal that a stop sends to the command and its children.")  # fmt: skip
@click.option("--summary-from-output", is_flag=True, help="Report its last line of output as the heartbeat's summary.")
@click.option("--quiet", is_flag=True, help="Say nothing of the task, also at a terminal.")
@click.option("--base-url", metavar="URL", help="The ClawLog backend.  [default: the daemon's]")
@click.argument("command_line", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[--] COMMAND...")
def command(
    *,
    title: str | None,
    grace_s: float,
    stop_signal: signal.Signals,
    summary_from_output: bool,
    quiet: bool,
    base_url: str | None,
    command_line: tuple[str, ...],
) -> int:
    """Run a command as a task that lasts as long as the command.

    Input, output and exit status are the command's own. When a person asks for a stop, the command gets the stop signal, and
    is killed after the grace period; then the stop is acknowledged. CLAWLOG_TASK_ID holds the task's id for the command,
    and TRACEPARENT the task's span.
    At a terminal one line on stderr says which task it is, and at the end of a stop one who asked for it, and why.
    Without a daemon the command runs all the same, and its events wait in the spool.
    """
    from clawlog.cli.commands.run import front  # noqa: PLC0415 - the help need not pay for it
    from clawlog.cli.commands.run.plan import RunPlan  # noqa: PLC0415 - as above

    logging.basicConfig(format="clawlog: %(message)s", level=logging.WARNING)
    try:
        shown, _ = summary.clean(title_of(title, command_line), max_chars=vocabulary.MAX_TITLE_CHARS)
        plan = RunPlan(
            command=command_line,
            title=shown or "command",
            base_url=base_url or os.environ.get("CLAWLOG_BASE_URL"),
            stop_signal=stop_signal,
            grace_s=grace_s,
            summary_from_output=summary_from_output,
            quiet=quiet,
        )
        return front.run(plan)
    except KeyboardInterrupt:  # before the command has begun; a shell that sees a plain status would go on with its loop
        return front.end_by(signal.SIGINT)


def title_of(title: str | None, command_line: tuple[str, ...]) -> str:
    """Returns the title as text, whatever the locale and the bytes; of a very long command line its beginning."""
    words = [title] if title is not None else map(shlex.quote, islice(command_line, _SHOWN_WORDS))
    return os.fsencode(" ".join(words))[:_SHOWN_BYTES].decode("utf-8", "replace")
