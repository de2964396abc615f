"""What is to be done so that agents run the hook, or no longer do; and what has to be left to a person."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from clawlog import exits
from clawlog.agents.agent import Agent, NotOffered, Place
from clawlog.agents.catalogue import AGENTS
from clawlog.agents.installation import JsonEntry, OwnFile
from clawlog.cli.commands.install.hooks import edits, former
from clawlog.cli.commands.install.hooks.edits import EditFile, Wanted
from clawlog.cli.commands.install.hooks.files import RemoveOwn, WriteOwn, is_due
from clawlog.cli.commands.install.plan import Action
from clawlog.cli.commands.install.record import MCP, Record, digest, digest_of
from clawlog.cli.editing import changes, places
from clawlog.cli.editing.changes import Edit, Own
from clawlog.cli.errors import CommandError, NotEditable
from clawlog.cli.sources import agents

KIND = "agents"
"""Under which the record of what was installed is kept."""

_UNTIL_THEN = "they still call the hook, and GitHub Copilot CLI refuses tools where it is gone; start them again"
_NO_PROJECT = "is not set up for one project alone"


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A file that a person has to edit.

    Attributes:
        path: The file.
        reason: Why it is left alone.
        paste: The lines to add to it; empty where what runs the hook is to be taken out.
    """

    path: str
    reason: str
    paste: tuple[str, ...] = ()


@dataclass(slots=True)
class HooksPlan:
    """What is to be done.

    Attributes:
        actions: In order.
        former: What of an earlier version is to be taken out.
        left: What a person has to do.
        notes: What a person should know, each with the agent's title, or what else it is about.
        agents: The agents' names.
    """

    actions: list[Action] = field(default_factory=list)
    former: list[Action] = field(default_factory=list)
    left: list[LeftAlone] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)


def install(env: Mapping[str, str], chosen: Sequence[Agent], place: Place, *, named: bool, force: bool) -> HooksPlan:
    """Returns the plan that has agents run the hook.

    Args:
        env: The environment.
        chosen: The agents.
        place: Where it is to be installed.
        named: Whether the agents were named: then one that has no such place is an error.
        force: Whether to overwrite files in agents' folders that were not written here.

    Raises:
        CommandError: The record cannot be read, or a named agent has no place for it.
    """
    record = Record.load(KIND, env)
    plan = HooksPlan()
    own = [(each, "", True) for each in agents.hook_files(env)]  # in a folder that is ours alone
    wanted: dict[str, list[Wanted]] = {}
    for agent in chosen:
        try:
            needed = agent.changes(place)
        except NotOffered as error:
            skip(plan, agent, str(error), named=named)
            continue
        plan.agents.append(agent.name)
        own += [(each, agent.name, force) for each in needed if isinstance(each, OwnFile)]
        for each in needed:
            if not isinstance(each, OwnFile):
                wanted.setdefault(each.path, []).append(Wanted(agent.name, each))
    if not plan.agents:
        raise CommandError("nothing was done: none of these agents can be set up so", exits.REFUSED)
    plan.actions += [WriteOwn(file, name, overwrite) for file, name, overwrite in own if is_due(file, record)]
    for path, all_wanted in wanted.items():
        edit(plan, record, path, all_wanted)
    if place.project is None:
        left_alone = {each.agent for left in plan.left for each in wanted[left.path]}
        marks = [(_mark(place, name), name) for name in plan.agents if name not in left_alone]
        plan.actions += [WriteOwn(file, name, force=True) for file, name in marks if is_due(file, record)]
    plan.former, left = former.plan(env)
    plan.left += [LeftAlone(path, f"{reason}; take out what runs {former.hook_path(env)}") for path, reason in left]
    changed = {name for action in plan.actions for name in _agents_of(action)}
    plan.notes += [(agent.title, agent.note) for agent in chosen if agent.note and agent.name in changed]
    return plan


def uninstall(env: Mapping[str, str], names: Sequence[str]) -> HooksPlan:
    """Returns the plan that takes out what was installed.

    Args:
        env: The environment.
        names: The agents' names; empty for all of them.

    Raises:
        CommandError: The record cannot be read.
    """
    record = Record.load(KIND, env)
    going = set(names or AGENTS)
    plan = HooksPlan(agents=[name for name in AGENTS if name in going])
    found, unread = _unrecorded(env, record, going)
    plan.left += unread
    for path in dict.fromkeys([*record.edits, *found]):
        edited = record.edits.get(path)
        if path not in found and edited is not None and not any(own.agent in going for own in edited.own):
            continue
        take_out(plan, record, path, going, found.get(path, ()), what=_runs_hook(env))
    plan.actions += [RemoveOwn(path) for path, name in record.agents.items() if name in going]
    plan.actions += [RemoveOwn(each.path, each.content) for each in _unrecorded_files(env, record, going)]
    if not plan.left and not _staying(record, going):  # else something would run a hook that is not there
        plan.actions += [RemoveOwn(path) for path, name in record.agents.items() if not name]
    if plan.actions:
        plan.notes.append(("Sessions that run", _UNTIL_THEN))
    if not names:
        plan.former, left = former.plan(env)
        plan.left += [LeftAlone(path, f"{reason}; take out what runs {former.hook_path(env)}") for path, reason in left]
    return plan


def _mark(place: Place, agent: str) -> OwnFile:
    """Returns the file by which a plugin knows that an agent's own settings run the hook: twice would be told twice."""
    return OwnFile(os.path.join(place.hooks, "settings", agent), b"")


def skip(plan: HooksPlan, agent: Agent, reason: str, *, named: bool) -> None:
    """Notes that an agent has no place for it.

    Raises:
        CommandError: It was named.
    """
    if named:
        raise CommandError(f"{agent.title}: {reason or _NO_PROJECT}", exits.REFUSED)
    plan.notes.append((agent.title, f"passed over: {reason or _NO_PROJECT}"))


def edit(plan: HooksPlan, record: Record, path: str, wanted: Sequence[Wanted]) -> None:
    """Adds to a plan what is wanted in a settings file, or that it is left to a person."""
    try:
        action = EditFile.planned(path, record, wanted=wanted)
    except NotEditable as error:
        plan.left.append(LeftAlone(path, str(error), tuple(edits.to_paste(wanted))))
        return
    if action.changes_file or action.revision.edited != record.edits.get(path):
        plan.actions.append(action)
    for each in wanted:
        if not isinstance(each.edit, JsonEntry) and _is_the_users(action, each):
            plan.notes.append(
                (
                    AGENTS[each.agent.removeprefix(MCP)].title,
                    f"{'.'.join(each.edit.where)} in {path} has a value of yours, and stays",
                )
            )


def take_out(plan: HooksPlan, record: Record, path: str, going: set[str], found: Sequence[Own], *, what: str) -> None:
    """Adds to a plan that what these own is taken out of a settings file, or that it is left to a person: ``what`` is to go."""
    try:
        plan.actions.append(EditFile.planned(path, record, agents=going, found=found))
    except NotEditable as error:
        plan.left.append(_to_take_out(path, error, what))


def _to_take_out(path: str, error: NotEditable, what: str) -> LeftAlone:
    return LeftAlone(path, f"{error}; take out what {what}")


def _is_the_users(action: EditFile, wanted: Wanted) -> bool:
    after = action.revision.after
    return after is not None and changes.state(after, wanted.edit) == "different"


def _agents_of(action: Action) -> Sequence[str]:
    if isinstance(action, EditFile):
        return sorted(action.agents) if action.changes_file else ()
    return [action.agent] if isinstance(action, WriteOwn) else ()


def _runs_hook(env: Mapping[str, str]) -> str:
    return f"runs {agents.place(env).hooks}/hook"


def _unrecorded(env: Mapping[str, str], record: Record, going: set[str]) -> tuple[dict[str, list[Own]], list[LeftAlone]]:
    """Returns what runs our hook in settings of these agents without a record: it may be lost, or a person wrote the entry.

    With it come the files that name the hook and have to be left alone.
    """
    found: dict[str, list[Own]] = {}
    left: dict[str, LeftAlone] = {}
    place = agents.place(env)
    for agent in agents.named(going):
        try:
            entries = [each for each in agent.changes(place) if not isinstance(each, OwnFile)]
        except NotOffered:
            continue
        for entry in entries:
            edited = record.edits.get(entry.path)
            if edited is not None and any(own.is_of(entry) for own in edited.own):
                continue
            text = None
            try:
                text = places.read(entry.path)
                if text is not None and _is_there(text, entry):
                    found.setdefault(entry.path, []).append(Own.of(entry, kept=len(entry.where), agent=agent.name))
            except NotEditable as error:
                if text is not None and f"{place.hooks}/hook" in text:
                    left[entry.path] = _to_take_out(entry.path, error, _runs_hook(env))
    return found, list(left.values())


def _is_there(text: str, edit: Edit) -> bool:
    """Whether something of ours is in a text; a member that has another value is the user's."""
    return changes.state(text, edit) in ("there", "different" if isinstance(edit, JsonEntry) else "there")


def _unrecorded_files(env: Mapping[str, str], record: Record, going: set[str]) -> list[OwnFile]:
    """Returns files of ours in folders of these agents of which there is no record."""
    found: list[OwnFile] = []
    for agent in agents.named(going):
        with contextlib.suppress(NotOffered):
            found += [each for each in agent.changes(agents.place(env)) if isinstance(each, OwnFile)]
    return [each for each in found if each.path not in record.agents and digest_of(each.path) == digest(each.content)]


def _staying(record: Record, going: set[str]) -> bool:
    owns = [own.agent for each in record.edits.values() for own in each.own]
    edited = any(agent not in going and not agent.startswith(MCP) for agent in owns)  # a server does without the hook
    return edited or any(name and name not in going for name in record.agents.values())
