"""What an agent's settings need so that it runs the hook: said by each agent's module, done by ``clawlog install hooks``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file that belongs to this project alone, in a folder of the agent.

    Attributes:
        path: Where.
        content: What, whole.
        mode: Its permissions.
    """

    path: str
    content: bytes
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class JsonEntry:
    """An element of a list in a JSON file that is the user's own.

    Attributes:
        path: The file.
        where: The members that lead to the list; they are made where they are missing.
        value: The element. It is there when an equal one is.
        new: What a file that is not there yet has besides, such as ``{"version": 1}``.
    """

    path: str
    where: tuple[str, ...]
    value: JSON
    new: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JsonMember:
    """A member of an object in a JSON file that is the user's own; one that has another value is the user's word, and stays.

    Attributes:
        path: The file.
        where: The members that lead to it, its own name last.
        value: Its value.
    """

    path: str
    where: tuple[str, ...]
    value: JSON


@dataclass(frozen=True, slots=True)
class TomlMember:
    """A key of a TOML file that is the user's own; one that has another value is the user's word, and stays.

    Attributes:
        path: The file.
        where: The tables that lead to it, its own name last.
        value: Its value.
    """

    path: str
    where: tuple[str, ...]
    value: JSON


Change: TypeAlias = OwnFile | JsonEntry | JsonMember | TomlMember
