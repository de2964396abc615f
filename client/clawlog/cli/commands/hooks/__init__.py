"""``clawlog hooks``: tries an agent's installed hook by hand.

``moments`` is a made-up session in each agent's own words; ``trial`` runs the hook on it, and looks at what arrives.
"""

from __future__ import annotations

import os

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.epilogs import epilog
from clawlog.cli.render import output


@click.group(
    short_help="Try the hook of an agent.",
    epilog=epilog(
        ("clawlog hooks try claude-code", "a made-up session, all the way"),
        s1="something did not arrive",
        s65="the agent's hook is not installed",
        s69="no daemon is running, and none could be started",
    ),
)
def command() -> None:
    """Try the hook that clawlog install hooks has put into an agent's settings."""


@command.command(
    "try",
    short_help="Run the hook on a made-up session.",
    epilog=epilog(
        ("clawlog hooks try claude-code", ""),
        ("clawlog hooks try codex --json", ""),
        s0="everything has arrived",
        s1="something did not arrive, or the hook said something to the agent",
        s2="wrong usage, or a backend on another machine without --yes",
        s65="the agent's hook is not installed",
        s69="no daemon is running, and none could be started",
    ),
)
@click.argument("agent", shell_complete=options.complete_agent)
@click.option("--yes", is_flag=True, help="Also where the backend is on another machine: people see the trial.")
@options.as_json
def try_(*, agent: str, yes: bool, as_json: bool) -> int:
    """Run the installed hook of AGENT by hand on a made-up session, and show what arrives at the daemon.

    The session's task ends with it, and is a task like any other. The agent itself is not started, and none of its sessions is
    touched. It takes a few seconds.
    """
    from clawlog.cli.commands.hooks import trial  # noqa: PLC0415 - the help need not pay for it

    done = []
    with trial.Trial.begun(agent, os.environ, anywhere=yes) as run:
        for each in run.moments():
            done.append(each)
            if not as_json:
                click.echo(each.line())
    ok = all(each.ok for each in done)
    if as_json:
        shown = {"agent": agent, "task_id": run.task_id, "ok": ok, "moments": [each.described() for each in done]}
        output.print_json(shown)
    else:
        click.echo(
            f"\n{run.title}: {'all of it has arrived' if ok else 'not all of it has arrived'}; the task is {run.task_id}"
        )
    return exits.SUCCESS if ok else exits.FAILED
