"""What is to be done so that agents start ``clawlog mcp``, or no longer do: in their settings, edited as for the hook.

It is recorded with what ``install hooks`` has done, since both may edit the same file: so each is taken out by itself, to the
byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from clawlog import exits
from clawlog.agents.agent import Agent, McpServer, NotOffered
from clawlog.agents.catalogue import AGENTS
from clawlog.cli.commands.install.hooks import planning
from clawlog.cli.commands.install.hooks.edits import Wanted
from clawlog.cli.commands.install.hooks.planning import KIND, HooksPlan
from clawlog.cli.commands.install.record import MCP, Record
from clawlog.cli.editing import changes, places
from clawlog.cli.editing.changes import Own
from clawlog.cli.errors import CommandError, NotEditable
from clawlog.cli.sources import agents, mcp_server

_NAMES_SERVER = "names the server clawlog"


def install(env: Mapping[str, str], chosen: Sequence[Agent], about: McpServer, *, named: bool) -> HooksPlan:
    """Returns the plan that has agents start the server.

    Args:
        env: The environment.
        chosen: The agents.
        about: The server.
        named: Whether the agents were named: then one that has no such place is an error.

    Raises:
        CommandError: The record cannot be read, or a named agent has no place for it.
    """
    record = Record.load(KIND, env)
    plan = HooksPlan()
    wanted: dict[str, list[Wanted]] = {}
    going: dict[str, str] = {}
    for agent in chosen:
        try:
            needed = mcp_server.edits(agent, about)
        except NotOffered as error:
            planning.skip(plan, agent, str(error), named=named)
            continue
        plan.agents.append(agent.name)
        for each in needed:
            wanted.setdefault(each.path, []).append(Wanted(MCP + agent.name, each))
        going |= {each.path: MCP + agent.name for each in mcp_server.edits(agent, replace(about, is_allowed=True))}
    if not plan.agents:
        raise CommandError("nothing was done: none of these agents can be set up so", exits.REFUSED)
    for path, all_wanted in wanted.items():
        planning.edit(plan, record, path, all_wanted)
    for path in sorted(going.keys() & record.edits.keys() - wanted.keys()):  # what was allowed before, and is not any more
        if any(own.agent == going[path] for own in record.edits[path].own):
            planning.take_out(plan, record, path, {going[path]}, (), what=_NAMES_SERVER)
    return plan


def uninstall(env: Mapping[str, str], names: Sequence[str]) -> HooksPlan:
    """Returns the plan that takes the server out of agents' settings.

    Args:
        env: The environment.
        names: The agents' names; empty for all of them.

    Raises:
        CommandError: The record cannot be read.
    """
    record = Record.load(KIND, env)
    plan = HooksPlan(agents=[name for name in AGENTS if name in (names or AGENTS)])
    going = {MCP + name for name in plan.agents}
    found = _unrecorded(env, record, plan.agents)
    recorded = [path for path, edited in record.edits.items() if any(own.agent in going for own in edited.own)]
    for path in dict.fromkeys([*recorded, *found]):
        planning.take_out(plan, record, path, going, found.get(path, ()), what=_NAMES_SERVER)
    return plan


def _unrecorded(env: Mapping[str, str], record: Record, names: Sequence[str]) -> dict[str, list[Own]]:
    """Returns what starts our server in these agents' settings without a record: it may be lost, or a person wrote it."""
    found: dict[str, list[Own]] = {}
    try:
        possible = mcp_server.possible(env)
    except CommandError:
        return found  # what has no program cannot be known by it
    for agent in agents.named(names):
        for edit in [each for about in possible for each in mcp_server.edits(agent, about)]:
            edited = record.edits.get(edit.path)
            if edited is not None and any(own.agent == MCP + agent.name for own in edited.own):
                continue
            try:
                text = places.read(edit.path)
                if text is not None and changes.state(text, edit) == "there":
                    found.setdefault(edit.path, []).append(Own.of(edit, kept=len(edit.where), agent=MCP + agent.name))
            except NotEditable:
                continue  # it is not known to hold anything of ours
    return found
