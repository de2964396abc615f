"""Which coding agents are on this machine, and whether their hooks are installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import clawlog
from clawlog import agents, exits, locations
from clawlog.agents import commands
from clawlog.agents.agent import Agent, Place
from clawlog.agents.catalogue import AGENTS
from clawlog.agents.installation import Change, OwnFile
from clawlog.cli.editing import changes, places
from clawlog.cli.errors import CommandError, NotEditable

Hooks = Literal["installed", "outdated", "missing", "unknown"]

_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class FoundAgent:
    """An agent, as it is found on this machine.

    Attributes:
        agent: What is known of it.
        program: Its program's path; None where it is not on PATH.
        folder: The folder of its settings.
        has_folder: Whether that is there.
    """

    agent: Agent
    program: str | None
    folder: str
    has_folder: bool

    @property
    def is_here(self) -> bool:
        """Whether there is any sign of it."""
        return self.program is not None or self.has_folder


def look(env: Mapping[str, str]) -> list[FoundAgent]:
    """Returns all known agents, each with what is found of it."""
    return [_look(agent, env) for agent in AGENTS.values()]


def _look(agent: Agent, env: Mapping[str, str]) -> FoundAgent:
    path = env.get("PATH", os.defpath)
    program = next((found for name in agent.programs if (found := shutil.which(name, path=path))), None)
    folder = agent.folder(env)
    return FoundAgent(agent, program, folder, os.path.isdir(folder))


def place(env: Mapping[str, str], *, project: str | None = None, with_plans: bool = False) -> Place:
    """Returns where hooks are to be installed."""
    return Place(env, agents.hooks_folder(env), project, with_plans)


def hook_files(env: Mapping[str, str]) -> list[OwnFile]:
    """Returns the files of the hook itself, for this program's own interpreter.

    Raises:
        CommandError: A path in them is one that no hook can cope with.
    """
    try:
        return list(agents.hook_files(env, locations.state_dir(env), sys.executable, _library()))
    except ValueError as error:
        raise CommandError(str(error), exits.REFUSED) from None


def hooks_of(agent: Agent, env: Mapping[str, str]) -> tuple[Hooks, str]:
    """Returns whether an agent's hooks are installed for all of the user's sessions, and what is amiss."""
    try:
        told = [_state(each) for each in agent.changes(place(env))]
    except NotEditable as error:
        return "unknown", str(error)
    if not told or all(each == "missing" for each in told):
        return "missing", ""
    if all(each == "there" for each in told):
        return "installed", ""
    return "outdated", f"{sum(each == 'there' for each in told)} of {len(told)} as they should be"


def commands_of(agent: Agent, env: Mapping[str, str]) -> Callable[[str], str]:
    """Returns what an agent runs for an event by its settings; where a plugin does so, what that runs."""
    where = place(env)
    named: dict[str, str] = {}
    for each in agent.changes(where):
        value = _decoded(each.content) if isinstance(each, OwnFile) else each.value
        named |= {command.rpartition(" ")[2]: command for command in changes.commands_in(value)}
    return lambda event: named.get(event) or commands.command(where.hooks, agent.name, event)


def state_dir_of_hook(env: Mapping[str, str]) -> str | None:
    """Returns the state folder that the hook was installed for; None where it does not say."""
    try:
        told = locations.read_file(os.path.join(agents.hooks_folder(env), "state"))
    except OSError:
        return None
    return os.fsdecode(told).partition("\n")[0] or None


def _decoded(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:  # a plugin
        return None


def missing_files(env: Mapping[str, str]) -> list[str]:
    """Returns the hook's own files that are not there, or not as this version has them."""
    return [each.path for each in hook_files(env) if _state(each) != "there"]


def _state(change: Change) -> changes.State:
    if isinstance(change, OwnFile):
        try:
            content = locations.read_file(change.path)
        except OSError:
            return "missing"
        return "there" if content == change.content and _is_runnable(change) else "different"
    try:
        text = places.read(change.path)
        return "missing" if text is None else changes.state(text, change)
    except NotEditable as error:
        raise NotEditable(f"{change.path}: {error}") from None


def _is_runnable(file: OwnFile) -> bool:
    return not file.mode & 0o100 or os.access(file.path, os.X_OK)


def _library() -> str | None:
    """Returns the folder of this library; None where the interpreter finds the same one by itself."""
    own = os.path.realpath(clawlog.__file__)
    command = [sys.executable, "-I", "-c", "import clawlog; print(clawlog.__file__)"]
    try:
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return os.path.dirname(os.path.dirname(own))
    return None if os.path.realpath(ran.stdout.strip()) == own else os.path.dirname(os.path.dirname(own))


def named(names: Iterable[str]) -> list[Agent]:
    """Returns the agents of these names, in the order of the catalogue."""
    wanted = set(names)
    return [agent for name, agent in AGENTS.items() if name in wanted]
