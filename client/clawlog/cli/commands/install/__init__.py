"""``clawlog install``: units of systemd, the agent skill, an agent's hook; ``uninstall`` undoes it.

``sources`` finds the shipped files; ``systemd``, ``skill`` and ``hooks`` each make a plan; ``plan`` shows and executes plans;
``record`` keeps what was written, so that it can be undone without touching anything else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.checks import sockets
from clawlog.cli.checks.environment import Environment
from clawlog.cli.commands.install import hooks, skill, systemd
from clawlog.cli.commands.install.plan import Action, execute
from clawlog.cli.epilogs import epilog
from clawlog.cli.render import output

F = TypeVar("F", bound=Callable[..., Any])

DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would be done; do nothing.")
FORCE = click.option("--force", is_flag=True, help="Overwrite files that this command did not write.")
SCOPE = click.option("--user/--system", "user", default=True, help="For you alone (the default), or for the whole machine.")
INTO = click.option("--into", metavar="FOLDER", help="The folder of skills.  [default: ~/.agents/skills]")

_FAULTS = {
    "s65": "a file exists that this command did not write; nothing was done",
    "s69": "something could not be written, or systemctl failed",
}


@click.group(
    short_help="Install systemd units, the agent skill or agent hooks.",
    epilog=epilog(
        ("clawlog install systemd --dry-run", "show what would be done"),
        ("clawlog install skill", "into ~/.agents/skills"),
        ("clawlog uninstall systemd", "undo it"),
        **_FAULTS,
    ),
)
def command() -> None:
    """Install systemd units, the agent skill or an agent hook. Each shows what it writes; clawlog uninstall undoes it."""


@command.command("systemd", epilog=epilog(("clawlog install systemd --user --dry-run", ""), **_FAULTS))
@SCOPE
@DRY_RUN
@FORCE
@options.as_json
def systemd_(*, user: bool, dry_run: bool, force: bool, as_json: bool) -> int:
    """Write the units, and let systemd listen on the socket: the first call starts the daemon."""
    plan = systemd.install(os.environ, system=not user, force=force)
    holder = sockets.lock_holder(Environment.of(os.environ))  # checked before: afterwards it may be systemd's
    status = follow(plan, systemd.KIND, dry_run=dry_run, as_json=as_json)
    if holder is not None:
        output.warn(
            f"a daemon is already running (process {holder}); if it is not systemd's, end it so that systemd's can start"
        )
    return status


@command.command("skill", epilog=epilog(("clawlog install skill --into .agents/skills", "for one project"), **_FAULTS))
@INTO
@DRY_RUN
@FORCE
@options.as_json
def skill_(*, into: str | None, dry_run: bool, force: bool, as_json: bool) -> int:
    """Write the agent skill with its scripts and everything they need."""
    plan = skill.install(into or skill.default_folder(os.environ), force=force)
    return follow(plan, skill.KIND, dry_run=dry_run, as_json=as_json)


@command.command("hooks", epilog=epilog(("clawlog install hooks --settings settings.json", ""), **_FAULTS))
@click.option("--settings", metavar="FILE", help="The agent's settings (JSON) to add the hook to.")
@DRY_RUN
@FORCE
@options.as_json
def hooks_(*, settings: str | None, dry_run: bool, force: bool, as_json: bool) -> int:
    """Write a hook that blocks an agent's next tool call once a stop of its task is requested.

    The task is the one in CLAWLOG_TASK_ID. Without --settings, add the hook to your agent's settings yourself: it has to run
    before each tool call.
    """
    return follow(hooks.install(os.environ, settings, force=force), hooks.KIND, dry_run=dry_run, as_json=as_json)


def follow(plan: Sequence[Action], kind: str, *, dry_run: bool, as_json: bool) -> int:
    """Shows a plan, then executes it; returns the exit status.

    Raises:
        CommandError: It must not be executed, or failed.
    """
    if as_json:
        output.print_json({"dry_run": dry_run, "actions": [action.describe() for action in plan]})
    else:
        for action in plan:
            for line in action.lines():
                click.echo(line)
    if dry_run:
        output.warn("nothing was done")
    else:
        execute(plan, kind, os.environ)
    return exits.SUCCESS
