"""``clawlog mcp``: reports tasks for agents that speak the Model Context Protocol, over stdin and stdout.

``parameters`` and ``tools`` say what an agent may call, and turn a call into requests of the daemon; ``session`` performs
them as the scripts do, and asks with each whether a stop is requested; ``answers`` words it; ``server`` alone knows the SDK,
which is an extra: nothing but this command imports it.
"""

from __future__ import annotations

import os
import signal
import sys

import click

from clawlog.cli.epilogs import epilog
from clawlog.cli.render import output
from clawlog.cli.sources import mcp_library


@click.command(
    short_help="Report tasks for agents, by the Model Context Protocol.",
    epilog=epilog(
        ("clawlog install mcp", "have agents start this by themselves"),
        s69="the library for it is not installed",
    ),
)
def command() -> None:
    """Serve the Model Context Protocol on stdin and stdout: an agent starts this, and gets tools to report its task with.

    Every answer says whether a person has asked the task to stop. It ends when the agent closes its input.
    """
    mcp_library.check()
    from clawlog.cli.commands.mcp import server  # noqa: PLC0415 - the help must not pay for the SDK

    if sys.stdin.isatty():
        output.warn(
            "waiting for an agent on stdin; agents start this by themselves after `clawlog install mcp` (Ctrl-C ends it)"
        )
    # Nothing is left to be done at the end: what was answered is on disk. And a thread that reads stdin cannot be interrupted.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    server.serve(os.environ)
