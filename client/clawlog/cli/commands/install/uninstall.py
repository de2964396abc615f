"""``clawlog uninstall``: undoes what ``clawlog install`` did, and touches nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from clawlog.cli import options
from clawlog.cli.commands.install import DRY_RUN, INTO, SCOPE, follow, hooks, skill, systemd
from clawlog.cli.commands.install.plan import Action
from clawlog.cli.epilogs import epilog
from clawlog.cli.render import output

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


@command.command("hooks", epilog=epilog(("clawlog uninstall hooks", ""), **_FAULTS))
@DRY_RUN
@options.as_json
def hooks_(*, dry_run: bool, as_json: bool) -> int:
    """Remove the hook, and its entry in the agents' settings."""
    return _follow(hooks.uninstall(os.environ), hooks.KIND, dry_run=dry_run, as_json=as_json)


def _follow(plan: Sequence[Action], kind: str, *, dry_run: bool, as_json: bool) -> int:
    if not plan:
        output.warn("nothing to undo: clawlog install has written nothing there")
    return follow(plan, kind, dry_run=dry_run, as_json=as_json)
