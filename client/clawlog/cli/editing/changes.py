"""Does to a settings file's text what an agent needs, says whether it is done, and undoes it.

An entry is there when an element of its list holds all that it holds: a user may have added to it, and then that stays. One
that runs the same command and says something else of it is of another version of this project, or was edited: *different*.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, TypeAlias

from clawlog.agents.installation import JSON, JsonEntry, JsonMember, TomlMember
from clawlog.cli.editing import json_text, toml_text

Edit: TypeAlias = JsonEntry | JsonMember | TomlMember
"""A change of a file that is the user's own."""

State = Literal["there", "different", "missing"]
Splice = tuple[int, str, str]
"""Where a text was changed, what was taken out there, and what was put in."""

_COMMANDS = ("command", "bash")
"""The members that name what a hook runs."""
_KINDS: Mapping[type[Edit], str] = {JsonEntry: "entry", JsonMember: "member", TomlMember: "toml"}


@dataclass(frozen=True, slots=True)
class Own:
    """What was put into a settings file.

    Attributes:
        kind: ``entry``, ``member`` or ``toml``.
        where: The names that lead to it.
        value: What it says.
        kept: How many of these names were there before; what holds nothing any more is taken out again down to here.
        agent: For whom.
    """

    kind: str
    where: tuple[str, ...]
    value: JSON
    kept: int
    agent: str = ""

    @classmethod
    def of(cls, edit: Edit, *, kept: int, agent: str) -> Self:
        """Returns what an edit puts in."""
        return cls(_KINDS[type(edit)], tuple(edit.where), edit.value, kept, agent)

    @classmethod
    def loaded(cls, told: Mapping[str, Any]) -> Self:
        """Returns one from a record."""
        return cls(told["kind"], tuple(told["where"]), told["value"], int(told["kept"]), told.get("agent", ""))

    def recorded(self) -> dict[str, Any]:
        """Returns it for a record."""
        return {**asdict(self), "where": list(self.where)}

    def is_of(self, edit: Edit) -> bool:
        """Whether it is what an edit puts in."""
        return (self.kind, self.where) == (_KINDS[type(edit)], tuple(edit.where)) and _same(self.value, edit.value)


def begun(edit: Edit) -> str:
    """Returns the text of a file that is not there yet, before the edit."""
    if isinstance(edit, TomlMember):
        return ""
    return json_text.new(dict(edit.new) if isinstance(edit, JsonEntry) else {})


def state(text: str, edit: Edit) -> State:
    """Returns whether a text has what an edit puts in.

    Raises:
        NotEditable: The text cannot be understood.
    """
    if isinstance(edit, JsonEntry):
        elements = _elements(text, edit.where)
        if any(_holds(element, edit.value) for element in elements):
            return "there"
        return "different" if any(_runs(element, _commands(edit.value)) for element in elements) else "missing"
    is_there, found = (toml_text if isinstance(edit, TomlMember) else json_text).value_at(text, edit.where)
    return ("there" if _same(found, edit.value) else "different") if is_there else "missing"


def add(text: str, edit: Edit, agent: str) -> tuple[str, Own]:
    """Returns the text with what an edit puts in, and what that was.

    Raises:
        NotEditable: That cannot be done safely.
    """
    if isinstance(edit, TomlMember):
        own = Own.of(edit, kept=toml_text.depth_of(text, edit.where), agent=agent)
        return toml_text.put(text, edit.where, edit.value), own
    own = Own.of(edit, kept=json_text.depth_of(text, edit.where), agent=agent)
    if own.kept == len(edit.where):
        return json_text.append(text, edit.where, edit.value), own
    value: JSON = [edit.value] if isinstance(edit, JsonEntry) else edit.value
    for name in reversed(edit.where[own.kept + 1 :]):
        value = {name: value}
    return json_text.put(text, edit.where[: own.kept], edit.where[own.kept], value), own


def remove(text: str, own: Own) -> str:
    """Returns the text without what was put in; what somebody else has changed since stays.

    Raises:
        NotEditable: That cannot be done safely.
    """
    if own.kind == "toml":
        if _same(toml_text.value_at(text, own.where)[1], own.value):
            text = toml_text.delete(text, own.where)
        return text
    if own.kind == "member":
        if _same(json_text.value_at(text, own.where)[1], own.value):
            text = json_text.delete(text, own.where)
        return text
    elements = _elements(text, own.where)
    commands = _commands(own.value)
    for index in range(len(elements) - 1, -1, -1):
        if _same(elements[index], own.value):
            text = json_text.delete(text, (*own.where, index))
            continue
        for path in reversed(list(_paths(elements[index], (index,), commands))):
            text = json_text.delete(text, (*own.where, *path))
            if len(path) > 1 and not json_text.value_at(text, (*own.where, *path[:-1]))[1]:
                text = json_text.delete(text, (*own.where, index))  # it had nothing else to run
                break
    return text


def prune(text: str, owns: Sequence[Own]) -> str:
    """Returns the text without the objects and lists that were made for what was put in, where they are empty."""
    for own in reversed(owns):
        reader: Any = toml_text if own.kind == "toml" else json_text
        where = own.where if own.kind == "entry" else own.where[:-1]
        while len(where) > own.kept:
            is_there, found = reader.value_at(text, where)
            if is_there and found not in ({}, []):
                break
            text = reader.delete(text, where) if is_there else text
            where = where[:-1]
    return text


def splice(before: str, after: str) -> Splice:
    """Returns the one place at which two texts differ."""
    most = min(len(before), len(after))
    start = next((at for at in range(most) if before[at] != after[at]), most)
    end = next((at for at in range(most - start) if before[-1 - at] != after[-1 - at]), most - start)
    return start, before[start : len(before) - end], after[start : len(after) - end]


def undo(text: str, splices: Sequence[Splice]) -> str | None:
    """Returns the text as it was before these changes; None where it does not end as they left it."""
    for start, removed, inserted in reversed(splices):
        if text[start : start + len(inserted)] != inserted:
            return None
        text = text[:start] + removed + text[start + len(inserted) :]
    return text


def _elements(text: str, where: Sequence[str]) -> list[Any]:
    is_there, found = json_text.value_at(text, where)
    return found if is_there and isinstance(found, list) else []


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal as JSON, where 1 is not true."""
    return json.dumps(one, sort_keys=True, default=str) == json.dumps(other, sort_keys=True, default=str)


def _holds(found: Any, wanted: Any) -> bool:
    """Whether a value says all that another one says."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(name in found and _holds(found[name], each) for name, each in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and all(any(_holds(one, each) for one in found) for each in wanted)
    return _same(found, wanted)


def _commands(value: Any) -> frozenset[str]:
    """Returns what a hook's entry runs."""
    return frozenset(commands_in(value))


def commands_in(value: Any) -> Iterator[str]:
    """Returns all that hooks run which are named anywhere in a value."""
    if isinstance(value, dict):
        yield from (value[name] for name in _COMMANDS if isinstance(value.get(name), str))
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from commands_in(each)


def _runs(value: Any, commands: frozenset[str]) -> bool:
    return not commands.isdisjoint(_commands(value))


def _paths(value: Any, path: tuple[str | int, ...], commands: frozenset[str]) -> Iterator[tuple[str | int, ...]]:
    """Returns the paths of the innermost list elements that run one of these commands."""
    if isinstance(value, dict):
        if isinstance(path[-1], int) and any(
            value.get(name) in commands for name in _COMMANDS if isinstance(value.get(name), str)
        ):
            yield path
            return
        for name, each in value.items():
            yield from _paths(each, (*path, name), commands)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _paths(each, (*path, index), commands)
