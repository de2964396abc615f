"""Puts values into a JSON text and takes them out: all else stays as it is written, and new lines look like their neighbours.

Each edit is checked by Python's own reader: what it reads afterwards is what it read before, but for the edit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from clawlog.agents.installation import JSON
from clawlog.cli.editing.scanner import Node, NotJson, scan
from clawlog.cli.errors import NotEditable

_BYTE_ORDER_MARK = "\ufeff"
_INDENTATION = re.compile(r"\n([ \t]+)[\"{\[]")
_SPACES = " \t\r\n"
_EMPTY = "{\n}\n"
_TOO_DEEP = (RecursionError, ValueError)

Path = Sequence["str | int"]
"""The names and indices that lead to a value."""


@dataclass(frozen=True, slots=True)
class _Style:
    """How a text is written: one step of indentation, its line ends, what follows a comma, whether all is ASCII."""

    step: str
    newline: str
    after: str
    escapes: bool
    in_lines: bool

    def written(self, value: JSON, base: str, *, in_lines: bool) -> str:
        """Returns a value as this text would write it.

        Args:
            value: The value.
            base: The indentation of the line that it begins on.
            in_lines: Whether it may have several lines.
        """
        indent = self.step if in_lines else None
        separators = ("," if in_lines else f",{self.after}", f":{self.after}")
        lines = json.dumps(value, ensure_ascii=self.escapes, indent=indent, separators=separators).split("\n")
        return f"{self.newline}{base}".join(lines)


def new(members: JSON) -> str:
    """Returns the text of a file that is not there yet."""
    return f"{json.dumps(members, ensure_ascii=False, indent=2)}\n"


def tree(text: str) -> Any:
    """Returns what a text says, an empty one being an object without members; numbers stay as they are written.

    Raises:
        NotEditable: It is not JSON, or no object.
    """
    _root(text)
    return _loaded(text)


def value_at(text: str, path: Path) -> tuple[bool, Any]:
    """Returns whether a value is there, and what it is.

    Raises:
        NotEditable: A name on the way is there twice, or leads through something that holds no such values.
    """
    node = _found(_root(text), path)
    return (False, None) if node is None else (True, json.loads(_text(text)[node.start : node.end]))


def depth_of(text: str, path: Path) -> int:
    """Returns how many of the names on a path are there."""
    root = _root(text)
    return next((count for count in range(len(path)) if _found(root, path[: count + 1]) is None), len(path))


def append(text: str, path: Path, value: JSON) -> str:
    """Adds an element at the end of a list that is there.

    Raises:
        NotEditable: There is no such list.
    """
    container = _container(_root(text), path, "[")

    def change(whole: Any) -> None:
        _walk(whole, path).append(_plain(value))

    return _checked(text, _inserted(_text(text), container, value, None), change)


def put(text: str, path: Path, name: str, value: JSON) -> str:
    """Adds a member to an object that is there and has none of this name.

    Raises:
        NotEditable: There is no such object.
    """
    container = _container(_root(text), path, "{")

    def change(whole: Any) -> None:
        _walk(whole, path)[name] = _plain(value)

    return _checked(text, _inserted(_text(text), container, value, name), change)


def delete(text: str, path: Path) -> str:
    """Takes out a member or an element that is there.

    Raises:
        NotEditable: There is none.
    """
    *above, last = path
    container = _found(_root(text), above)
    index = None if container is None else _index(container, last)
    if container is None or index is None:
        raise NotEditable("what is to be taken out is not there")

    def change(whole: Any) -> None:
        del _walk(whole, above)[last]

    return _checked(text, _cut(text, container, index), change)


def _inserted(text: str, container: Node, value: JSON, name: str | None) -> str:
    """Returns the text with a value behind the last one of a container; as a member where it has a name."""
    style = _style(text)
    base, in_lines = _indentation(text, container, style)
    member = "" if name is None else f"{json.dumps(name, ensure_ascii=style.escapes)}:{style.after}"
    written = member + style.written(value, base, in_lines=in_lines)
    if not container.children:
        around = (
            (f"{style.newline}{base}", f"{style.newline}{_line_indentation(text, container.start)}") if in_lines else ("", "")
        )
        return f"{text[: container.start + 1]}{around[0]}{written}{around[1]}{text[container.end - 1 :]}"
    end = container.children[-1].end
    return f"{text[:end]},{f'{style.newline}{base}' if in_lines else style.after}{written}{text[end:]}"


def _cut(text: str, container: Node, index: int) -> str:
    if len(container.children) == 1:
        return text[: container.start + 1] + text[container.end - 1 :]
    if index == 0:
        return text[: container.starts[0]] + text[container.starts[1] :]
    return text[: container.children[index - 1].end] + text[container.children[index].end :]


def _style(text: str) -> _Style:
    step = _INDENTATION.search(text)
    bare = text.removeprefix(_BYTE_ORDER_MARK)
    stripped = bare.strip(_SPACES)
    return _Style(
        step=step[1] if step else "  ",
        newline="\r\n" if "\r\n" in text else "\n",
        after=" " if '": ' in text or '":' not in text else "",
        escapes=bare.isascii() and "\\u" in bare,
        in_lines="\n" in stripped or not stripped.strip("{}" + _SPACES),
    )


def _indentation(text: str, container: Node, style: _Style) -> tuple[str, bool]:
    """Returns the indentation of a container's values, and whether each has lines of its own."""
    if container.children:
        last = container.starts[-1]
        before = text[:last]
        gap = before[len(before.rstrip(_SPACES)) :]
        return (gap.rpartition("\n")[2], True) if "\n" in gap else ("", False)
    return (_line_indentation(text, container.start) + style.step, True) if style.in_lines else ("", False)


def _line_indentation(text: str, at: int) -> str:
    line = text[text.rfind("\n", 0, at) + 1 :].removeprefix(_BYTE_ORDER_MARK)
    return line[: len(line) - len(line.lstrip(" \t"))]


def _text(text: str) -> str:
    """Returns the text itself; an empty file counts as an object without members."""
    if text.strip(_SPACES + _BYTE_ORDER_MARK):
        return text
    return (_BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else "") + _EMPTY


def _root(text: str) -> Node:
    try:
        root = scan(_text(text))
    except NotJson as error:
        raise NotEditable(f"it is not plain JSON ({error})") from None
    if root.kind != "{":
        raise NotEditable("it holds no JSON object")
    return root


def _container(root: Node, path: Path, kind: str) -> Node:
    found = _found(root, path)
    if found is None or found.kind != kind:
        what = {"{": "an object", "[": "a list"}[kind]
        raise NotEditable(f"{'.'.join(map(str, path)) or 'its value'} is not {what}, as is expected there")
    return found


def _found(node: Node, path: Path) -> Node | None:
    for name in path:
        index = _index(node, name)
        if index is None:
            return None
        node = node.children[index]
    return node


def _index(node: Node, name: str | int) -> int | None:
    if isinstance(name, int):
        return name if node.kind == "[" and name < len(node.children) else None
    if node.kind != "{":
        raise NotEditable(f"{name!r} is to be a member of something that is not an object")
    if node.names.count(name) > 1:
        raise NotEditable(f"{name!r} is there twice, and readers differ on which one counts")
    return node.names.index(name) if name in node.names else None


def _walk(whole: Any, path: Path) -> Any:
    for name in path:
        whole = whole[name]
    return whole


def _loaded(text: str) -> Any:
    try:
        return json.loads(_text(text).removeprefix(_BYTE_ORDER_MARK), parse_int=str, parse_float=str)
    except _TOO_DEEP as error:
        raise NotEditable(f"it is not plain JSON ({error})") from None


def _plain(value: JSON) -> Any:
    return json.loads(json.dumps(value), parse_int=str, parse_float=str)


def _checked(before: str, after: str, change: Callable[[Any], None]) -> str:
    expected = _loaded(before)
    change(expected)
    if _loaded(after) != expected:
        raise NotEditable("an edit of it would change more than it should")
    return after
