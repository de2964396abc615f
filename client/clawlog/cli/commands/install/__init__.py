"""``clawlog install``: units of systemd, the agent skill, agents' hooks and MCP settings; ``uninstall`` undoes it.

``sources`` finds the shipped files; ``systemd``, ``skill``, ``hooks`` and ``mcp`` each make a plan; ``plan`` shows and executes
plans; ``record`` keeps what was written, so that it can be undone without touching anything else.
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
from clawlog.cli.commands.install import skill, systemd
from clawlog.cli.commands.install.plan import Action, execute
from clawlog.cli.epilogs import epilog
from clawlog.cli.render import output

F = TypeVar("F", bound=Callable[..., Any])

DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would be done; do nothing.")
FORCE = click.option("--force", is_flag=True, help="Overwrite files that this command did not write.")
SCOPE = click.option("--user/--system", "user", default=True, help="For you alone (the default), or for the whole machine.")
INTO = click.option("--into", metavar="FOLDER", help="The folder of skills.  [default: ~/.agents/skills]")

AGENTS = click.argument("agents", nargs=-1, metavar="[AGENT]...", shell_complete=options.complete_agent)

_FAULTS = {
    "s65": "a file exists that this command did not write; nothing was done",
    "s69": "something could not be written, or systemctl failed",
}


@click.group(
    short_help="Install systemd units, the skill, hooks or MCP settings.",
    epilog=epilog(
        ("clawlog install systemd --dry-run", "show what would be done"),
        ("clawlog install skill", "into ~/.agents/skills"),
        ("clawlog install hooks", "agents report by themselves"),
        ("clawlog install mcp", "agents get tools to report with"),
        ("clawlog uninstall systemd", "undo it"),
        **_FAULTS,
    ),
)
def command() -> None:
    """Install systemd units, the agent skill, agent hooks or MCP settings.

    Each shows what it writes; clawlog uninstall undoes it.
    """


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


@command.command(
    "hooks",
    short_help="Have the agents on this machine report by themselves.",
    epilog=epilog(
        ("clawlog install hooks", "for every agent that is found"),
        ("clawlog install hooks codex --with-plans", "for one, and turn its plan tool on"),
        ("clawlog install hooks --dry-run", "show what would be changed"),
        s2="wrong usage, or an unknown agent",
        s65="a file has to be edited by hand, or no agent was found",
        s69="something could not be written",
    ),
)
@AGENTS
@click.option("--all", "every", is_flag=True, help="Also for agents that are not found here.")
@click.option("--project", "in_project", is_flag=True, help="For the project you are in alone.")
@click.option("--with-plans", is_flag=True, help="Also turn on the agents' plan tools where they are off.")
@click.option("--sandbox", is_flag=True, help="Also let commands in the agents' sandboxes write to the spool.")
@click.option("--settings", "former", hidden=True, help="Was replaced.")
@DRY_RUN
@FORCE
@options.as_json
def hooks_(
    *,
    agents: tuple[str, ...],
    every: bool,
    in_project: bool,
    with_plans: bool,
    sandbox: bool,
    former: str | None,
    dry_run: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Have agents run a hook: each of their sessions becomes a task, and a stop holds it at its next tool.

    Without AGENT: for all that are found on this machine. What changes in each file is shown, then written; what cannot be
    edited safely is left alone, with the lines to add.
    """
    from clawlog.cli.commands.install.hooks import planning, selection, showing  # noqa: PLC0415 - the help need not pay for it
    from clawlog.cli.sources.agents import place  # noqa: PLC0415 - as above

    if former is not None:
        raise click.UsageError("--settings was replaced: name the agent, such as `clawlog install hooks claude-code`.")
    chosen = selection.choose(agents, os.environ, every=every)
    where = place(os.environ, project=selection.project() if in_project else None, with_plans=with_plans, opens_spool=sandbox)
    plan = planning.install(os.environ, chosen, where, named=bool(agents), force=force)
    if not plan.actions and not plan.former and not plan.left:
        output.warn("everything is as it should be: nothing to do")
    return showing.follow(plan, dry_run=dry_run, as_json=as_json)


@command.command(
    "mcp",
    short_help="Have the agents on this machine start `clawlog mcp`.",
    epilog=epilog(
        ("clawlog install mcp", "for every agent that is found"),
        ("clawlog install mcp --allow", "and none asks before it reports"),
        ("clawlog install mcp codex --dry-run", "show what would be changed"),
        s2="wrong usage, or an unknown agent",
        s65="a file has to be edited by hand, or no agent was found",
        s69="the library for it is not installed, or something could not be written",
    ),
)
@AGENTS
@click.option("--all", "every", is_flag=True, help="Also for agents that are not found here.")
@click.option("--project", "in_project", is_flag=True, help="For the project you are in alone.")
@click.option("--allow", is_flag=True, help="Also let models use the tools without asking each time.")
@DRY_RUN
@options.as_json
def mcp_(*, agents: tuple[str, ...], every: bool, in_project: bool, allow: bool, dry_run: bool, as_json: bool) -> int:
    """Have agents start `clawlog mcp`: their models get tools to report a task with, and are told of a stop.

    Without AGENT: for all that are found on this machine. What changes in each file is shown, then written; what cannot be
    edited safely is left alone, with the lines to add. A server of the same name that is there already stays.
    """
    from clawlog.cli.commands.install import mcp  # noqa: PLC0415 - the help need not pay for it
    from clawlog.cli.commands.install.hooks import selection, showing  # noqa: PLC0415 - as above
    from clawlog.cli.sources import mcp_library, mcp_server  # noqa: PLC0415 - as above

    mcp_library.check()
    chosen = selection.choose(agents, os.environ, every=every)
    about = mcp_server.server(os.environ, selection.project() if in_project else None, is_allowed=allow)
    plan = mcp.install(os.environ, chosen, about, named=bool(agents))
    if not plan.actions and not plan.left and not plan.notes:
        output.warn("everything is as it should be: nothing to do")
    return showing.follow(plan, dry_run=dry_run, as_json=as_json)


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
