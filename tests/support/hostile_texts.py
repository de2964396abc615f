"""Texts that something outside might send, and what no text may hold once it has come in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

TEXTS: Mapping[str, str] = {
    "lone surrogate": "\ud800",
    "surrogate from bytes": "caf\udce9",
    "NUL": "a\x00b",
    "C0": "".join(map(chr, range(1, 32))),
    "escape": "\x1b[2J\x1b]0;title\x07",
    "DEL and C1": "\x7f\x80\x9b31m\x9f",
    "bidi": "\u202egnp.exe\u2066\u2069\u200f\u061c",
    "line breaks": "one\ntwo\r\nthree\x85four\u2028five\u2029six",
    "path": "../../../etc/passwd",
    "dots": "..",
    "slashes": "/a/b?c#d%00",
    "empty": "",
    "blank": " \t ",
    "long": "ß" * 70_000,
    "markup": "<script>alert(1)</script>[bold red]x[/]",
    "noncharacters": "\ufffe\uffff\U0010ffff",
}
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What steers a terminal, ends a line, turns the direction of writing, or cannot be encoded."""


def unclean(value: Any) -> list[str]:
    """Every text within a decoded JSON value, names of members included, that holds what none may."""
    return [text for text in _texts(value) if CONTROLS.search(text)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _texts(name)
            yield from _texts(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _texts(member)


def unclean_lines(text: str) -> list[str]:
    """The lines of a log or a screen that hold what none may; a screen's own colours are no fault."""
    return [line for line in re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n") if CONTROLS.search(line)]
