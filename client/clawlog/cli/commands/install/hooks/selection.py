"""Which agents are meant, and which project."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import click

from clawlog import exits
from clawlog.agents.agent import Agent
from clawlog.agents.catalogue import AGENTS
from clawlog.cli.errors import CommandError
from clawlog.cli.sources import agents


def choose(names: Sequence[str], env: Mapping[str, str], *, every: bool) -> list[Agent]:
    """Returns the agents that are meant: those named, else those found on this machine.

    Args:
        names: The names that were given.
        env: The environment.
        every: Whether those that are not found are meant, too.

    Raises:
        UsageError: A name is unknown, or names and ``every`` are given.
        CommandError: None is found.
    """
    check(names)
    if names and every:
        raise click.UsageError("Name agents, or use --all.")
    if names:
        return agents.named(names)
    found = [each.agent for each in agents.look(env) if every or each.is_here]
    if not found:
        raise CommandError(
            f"no agent was found here; name one ({', '.join(AGENTS)}), or use --all: it is set up, and counts once it is there",
            exits.REFUSED,
        )
    return found


def check(names: Sequence[str]) -> None:
    """Checks that agents are known by these names.

    Raises:
        UsageError: One is not.
    """
    for name in names:
        if name not in AGENTS:
            raise click.UsageError(f"{name!r} is no agent that is known here; these are: {', '.join(AGENTS)}.")


def project() -> str:
    """Returns the root of the project that this is run in: the nearest folder with a ``.git``, else the folder itself."""
    here = folder = os.getcwd()
    while not os.path.lexists(os.path.join(folder, ".git")):
        if folder == os.path.dirname(folder):
            return here
        folder = os.path.dirname(folder)
    return folder
