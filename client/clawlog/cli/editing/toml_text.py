"""Puts keys into a TOML text and takes them out, by tomlkit, which keeps comments, order and spaces.

Each edit is checked by Python's own reader: what it reads afterwards is what it read before, but for the edit.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from typing import Any

import tomlkit
from tomlkit.container import Container
from tomlkit.exceptions import TOMLKitError

from clawlog.agents.installation import JSON
from clawlog.cli.errors import NotEditable

_BYTE_ORDER_MARK = "\ufeff"


def tree(text: str) -> dict[str, Any]:
    """Returns what a text says.

    Raises:
        NotEditable: It is not TOML.
    """
    try:
        return tomllib.loads(text.removeprefix(_BYTE_ORDER_MARK))
    except (ValueError, RecursionError) as error:
        raise NotEditable(f"it is not TOML ({error})") from None


def value_at(text: str, where: Sequence[str]) -> tuple[bool, Any]:
    """Returns whether a key is there, and its value."""
    found: Any = tree(text)
    for name in where:
        if not isinstance(found, dict) or name not in found:
            return False, None
        found = found[name]
    return True, found


def depth_of(text: str, where: Sequence[str]) -> int:
    """Returns how many of the names that lead to a key are there."""
    return next((count for count in range(len(where)) if not value_at(text, where[: count + 1])[0]), len(where))


def put(text: str, where: Sequence[str], value: JSON) -> str:
    """Adds a key that is not there, and the tables that lead to it.

    Raises:
        NotEditable: The text is not TOML, or cannot be edited without changing more.
    """
    *above, name = where

    def edit(document: Container) -> None:
        target: Any = document
        for each in above:
            if each not in target:
                target[each] = tomlkit.table()
            target = target[each]
        target[name] = _item(value)

    def change(whole: dict[str, Any]) -> None:
        for each in above:
            whole = whole.setdefault(each, {})
        whole[name] = value

    return _edited(text, edit, change)


def delete(text: str, where: Sequence[str]) -> str:
    """Takes out a key, or an empty table, that is there.

    Raises:
        NotEditable: As ``put``.
    """
    *above, name = where

    def edit(document: Container) -> None:
        target: Any = document
        for each in above:
            target = target[each]
        del target[name]

    def change(whole: dict[str, Any]) -> None:
        for each in above:
            whole = whole[each]
        del whole[name]

    return _edited(text, edit, change)


def _edited(text: str, edit: Callable[[Container], None], change: Callable[[dict[str, Any]], None]) -> str:
    expected = tree(text)
    bare = text.removeprefix(_BYTE_ORDER_MARK)
    try:
        document = tomlkit.parse(bare)
        if tomlkit.dumps(document) != bare:
            raise NotEditable("it would not stay as it is written")
        edit(document)
        written = tomlkit.dumps(document)
    except (TOMLKitError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise NotEditable(f"it cannot be edited ({error})") from None
    change(expected)
    written = text[: len(text) - len(bare)] + _with_its_line_ends(bare, written)
    if tree(written) != expected:
        raise NotEditable("an edit of it would change more than it should")
    return written


def _item(value: JSON) -> Any:
    """Returns a value as it stands behind its key: an object on the key's own line."""
    if isinstance(value, dict):
        table = tomlkit.inline_table()
        table.update({name: _item(each) for name, each in value.items()})
        return table
    return tomlkit.item(value)


def _with_its_line_ends(before: str, after: str) -> str:
    """Returns the new text with the old one's line ends: tomlkit ends its own lines with a line feed."""
    return (
        after.replace("\r\n", "\n").replace("\n", "\r\n")
        if "\r\n" in before and "\n" not in before.replace("\r\n", "")
        else after
    )
