"""``clawlog uninstall``: undoes what ``clawlog install`` did, and touches nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from clawlog.cli import options
from clawlog.cli.commands.install import AGENTS, DRY_RUN, INTO, SCOPE, follow, skill, systemd
from clawlog.cli.commands.install.plan import Action
from clawlog.cli.epilogs import epilog
from clawlog.cli.render import output

_NOTHING = "nothing to undo: clawlog install has written nothing there"
_FAULTS = {"s65": "a file was changed since, and is kept", "s69": "something could not be removed"}


@click.group(
    short_help="Undo clawlog install.",
    epilog=epilog(("clawlog uninstall systemd --dry-run", ""), ("clawlog uninstall skill", ""), **_FAULTS),
)
def command() -> None:
    """Undo what clawlog install did. Files that were changed since are kept."""


@command.command("systemd", epilog=epilog(("clawlog uninstall systemd", ""), **_FAULTS))
@SCOPE
@DRY_RUN
@options.as_json
def systemd_(*, user: bool, dry_run: bool, as_json: bool) -> int:
    """Stop the service and its socket, and remove the units. The state is kept."""
    return _follow(systemd.uninstall(os.environ, system=not user), systemd.KIND, dry_run=dry_run, as_json=as_json)


@command.command("skill", epilog=epilog(("clawlog uninstall skill", ""), **_FAULTS))
@INTO
@DRY_RUN
@options.as_json
def skill_(*, into: str | None, dry_run: bool, as_json: bool) -> int:
    """Remove the agent skill."""
    plan = skill.uninstall(into or skill.default_folder(os.environ), os.environ)
    return _follow(plan, skill.KIND, dry_run=dry_run, as_json=as_json)


@command.command(
    "hooks",
    epilog=epilog(
        ("clawlog uninstall hooks", "for all agents"),
        ("clawlog uninstall hooks codex", "for one"),
        s2="wrong usage, or an unknown agent",
        s65="a file has to be edited by hand, or was changed since and is kept",
        s69="something could not be removed",
    ),
)
@AGENTS
@DRY_RUN
@options.as_json
def hooks_(*, agents: tuple[str, ...], dry_run: bool, as_json: bool) -> int:
    """Take the hook out of agents' settings, and nothing else. Sessions that run keep to what they have read at their start."""
    from clawlog.cli.commands.install.hooks import planning, selection, showing  # noqa: PLC0415 - the help need not pay for it

    selection.check(agents)
    plan = planning.uninstall(os.environ, agents)
    if not plan.actions and not plan.former and not plan.left:
        output.warn(_NOTHING)
    return showing.follow(plan, dry_run=dry_run, as_json=as_json)


@command.command(
    "mcp",
    epilog=epilog(
        ("clawlog uninstall mcp", "for all agents"),
        ("clawlog uninstall mcp codex", "for one"),
        s2="wrong usage, or an unknown agent",
        s65="a file has to be edited by hand",
        s69="something could not be written",
    ),
)
@AGENTS
@DRY_RUN
@options.as_json
def mcp_(*, agents: tuple[str, ...], dry_run: bool, as_json: bool) -> int:
    """Take `clawlog mcp` out of agents' settings, and nothing else. Sessions that run keep it until their end."""
    from clawlog.cli.commands.install import mcp  # noqa: PLC0415 - the help need not pay for it
    from clawlog.cli.commands.install.hooks import selection, showing  # noqa: PLC0415 - as above

    selection.check(agents)
    plan = mcp.uninstall(os.environ, agents)
    if not plan.actions and not plan.left:
        output.warn(_NOTHING)
    return showing.follow(plan, dry_run=dry_run, as_json=as_json)


def _follow(plan: Sequence[Action], kind: str, *, dry_run: bool, as_json: bool) -> int:
    if not plan:
        output.warn(_NOTHING)
    return follow(plan, kind, dry_run=dry_run, as_json=as_json)
