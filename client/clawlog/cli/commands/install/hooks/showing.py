"""Shows a plan, does it, and says what is left to a person."""

from __future__ import annotations

import os
import re
from dataclasses import asdict

import click

from clawlog import exits
from clawlog.cli.commands.install.hooks import former
from clawlog.cli.commands.install.hooks.planning import KIND, HooksPlan
from clawlog.cli.commands.install.plan import check, execute
from clawlog.cli.render import output
from clawlog.cli.render.texts import escaped

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f]")


def follow(plan: HooksPlan, *, dry_run: bool, as_json: bool) -> int:
    """Shows a plan, then executes it; returns the exit status: 65 where a file has to be edited by a person.

    Raises:
        CommandError: It must not be executed, or failed.
    """
    actions = [*plan.former, *plan.actions]
    if as_json:
        output.print_json(
            {
                "dry_run": dry_run,
                "agents": plan.agents,
                "actions": [action.describe() for action in actions if action.lines()],
                "left_alone": [{**asdict(each), "paste": list(each.paste)} for each in plan.left],
                "notes": [{"about": about, "text": text} for about, text in plan.notes],
            }
        )
    else:
        _show(plan)
    if not dry_run:
        check(plan.actions, KIND, os.environ)
        execute(plan.former, former.KIND, os.environ)
        execute(plan.actions, KIND, os.environ)
    elif actions:
        output.warn("nothing was done")
    for each in plan.left:
        output.warn(f"{each.path} was left alone: {each.reason}{'; add the lines above' if each.paste else ''}")
    for about, text in plan.notes:
        output.warn(f"{about}: {text}")
    return exits.REFUSED if plan.left else exits.SUCCESS


def _show(plan: HooksPlan) -> None:
    for action in (*plan.former, *plan.actions):
        for line in action.lines():
            _echo(line)
    for each in plan.left:
        if each.paste:
            _echo(f"paste   {each.path}")
        for line in each.paste:
            _echo(f"        {line}")


def _echo(line: str) -> None:
    """Prints a line of somebody else's file: without what could control a terminal."""
    click.echo(escaped(_CONTROLS.sub(" ", line)))
