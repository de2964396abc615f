"""Finds where each value of a JSON text begins and ends.

Strict, as RFC 8259 has it: what another reader might understand otherwise (comments, trailing commas) is refused, and said.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

MAX_DEPTH = 100
"""Deeper nesting is refused: no settings have it."""

_BYTE_ORDER_MARK = "\ufeff"
_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_OTHER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null")


class NotJson(ValueError):  # noqa: N818 - names what is the case
    """A text is not JSON; the error's text says where and why."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value, by where it stands in the text.

    Attributes:
        start: Its first character.
        end: The character after its last one.
        kind: ``{``, ``[``, or empty for what holds no other value.
        children: The values in it, in order.
        names: The members' names, where it is an object.
        starts: Where each child begins; a member begins with its name.
    """

    start: int
    end: int
    kind: str = ""
    children: tuple[Node, ...] = ()
    names: tuple[str, ...] = ()
    starts: tuple[int, ...] = ()


def scan(text: str) -> Node:
    """Returns the text's value; a byte order mark before it is passed over.

    Raises:
        NotJson: The text is not JSON.
    """
    value = _value(text, _skip(text, 1 if text.startswith(_BYTE_ORDER_MARK) else 0), 0)
    rest = _skip(text, value.end)
    if rest < len(text):
        raise _wrong(text, rest, "the end")
    return value


def _value(text: str, at: int, depth: int) -> Node:
    opening = text[at : at + 1]
    if opening in ("{", "["):
        if depth == MAX_DEPTH:
            raise NotJson(f"{_where(text, at)}: nested more than {MAX_DEPTH} deep")
        return _container(text, at, depth)
    found = (_STRING if opening == '"' else _OTHER).match(text, at)
    if found is None:
        raise _wrong(text, at, "a value")
    return Node(at, found.end())


def _container(text: str, start: int, depth: int) -> Node:
    kind = text[start]
    closing = "}" if kind == "{" else "]"
    children: list[Node] = []
    names: list[str] = []
    starts: list[int] = []
    at = _skip(text, start + 1)
    if text[at : at + 1] == closing:
        return Node(start, at + 1, kind)
    while True:
        starts.append(at)
        if kind == "{":
            name = _STRING.match(text, at)
            if name is None:
                raise _wrong(text, at, "a member's name")
            names.append(json.loads(name[0]))
            at = _expect(text, _skip(text, name.end()), ":")
            at = _skip(text, at)
        children.append(_value(text, at, depth + 1))
        at = _skip(text, children[-1].end)
        if text[at : at + 1] == closing:
            return Node(start, at + 1, kind, tuple(children), tuple(names), tuple(starts))
        at = _skip(text, _expect(text, at, ",", f"a comma or {closing}"))
        if text[at : at + 1] == closing:
            raise NotJson(f"{_where(text, at)}: a comma before {closing}")


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _expect(text: str, at: int, what: str, named: str = "") -> int:
    if text[at : at + 1] != what:
        raise _wrong(text, at, named or repr(what))
    return at + 1


def _wrong(text: str, at: int, expected: str) -> NotJson:
    if text.startswith(("//", "/*"), at):
        return NotJson(f"{_where(text, at)}: a comment, which JSON does not have")
    if at >= len(text):
        return NotJson(f"{_where(text, at)}: it ends where {expected} is expected")
    return NotJson(f"{_where(text, at)}: {text[at]!r} where {expected} is expected")


def _where(text: str, at: int) -> str:
    return f"line {text.count(chr(10), 0, at) + 1}, column {at - (text.rfind(chr(10), 0, at) + 1) + 1}"
