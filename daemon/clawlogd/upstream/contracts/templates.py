"""Templates: a request's path, query and body, with names in braces for the values of a report.

``{task_id}`` alone gives the value as it is, a number as a number; ``{step.index:str}`` and ``{task_id:int}`` say which of
both a server wants. In a text with more than a name the values become text. A member or an item whose value is absent is left
out. A list with one item that names a ``{step.…}`` stands for one such item per step. There are no expressions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

STEP_NAMES = frozenset({"step.title", "step.step_id", "step.position", "step.index", "step.status"})
_ABOUT_THE_TASK = ("task_id", "title", "agent", "metadata", "parent_task_id", "step_id")
_REPORTED = ("status", "summary", "summary_text", "progress", "done", "total", "unit", "percent", "interrupt_id", "name", "url")
_OF_THE_EVENT = ("event_id", "at", "at_s", "at_ms", "agent_seen_at", "evidence", "stalled", "pid")
NAMES = STEP_NAMES.union(_ABOUT_THE_TASK, _REPORTED, _OF_THE_EVENT)
"""The names that a template may use."""

_NAME = re.compile(r"\{([a-z_.]+)(?::(int|str))?\}")
_BRACES = re.compile(r"[{}]")
_MAX_DEPTH = 8
_DIGITS = re.compile(r"\A-?[0-9]{1,18}\Z")


class _Absent:
    """The value of a name that nothing is known for."""


ABSENT = _Absent()


def check_template(template: object, depth: int = 0) -> None:
    """Checks that all names in a template are known.

    Raises:
        ValueError: One is not, or it is nested too deeply.
    """
    if depth > _MAX_DEPTH:
        raise ValueError(f"a template is nested more than {_MAX_DEPTH} deep")
    if isinstance(template, str):
        for name, _ in _NAME.findall(template):
            if name not in NAMES:
                raise ValueError(f"{{{name}}} is not known; expected one of {', '.join(sorted(NAMES))}")
        if _BRACES.search(_NAME.sub("", template)):
            raise ValueError(f"{template!r}: a brace that belongs to no name")
    elif isinstance(template, Mapping):
        for each in template.values():
            check_template(each, depth + 1)
    elif isinstance(template, list | tuple):
        for each in template:
            check_template(each, depth + 1)


def check_path(path: str) -> None:
    """Checks the template of a path.

    Raises:
        ValueError: It holds what no path holds, or a name that is not known.
    """
    check_template(path)
    bare = _NAME.sub("x", path)
    if any(c.isspace() or not c.isprintable() or c in "?#\\" for c in bare) or any(s in {".", ".."} for s in bare.split("/")):
        raise ValueError(f"{path!r} is no path: expected segments without '..', '?', '#' or spaces")


def uses(template: object, name: str) -> bool:
    """Whether a template names a value."""
    if isinstance(template, str):
        return any(found == name for found, _ in _NAME.findall(template))
    if isinstance(template, Mapping):
        return any(uses(each, name) for each in template.values())
    return isinstance(template, list | tuple) and any(uses(each, name) for each in template)


def fill_path(template: str, values: Mapping[str, Any]) -> str:
    """A path with each value as one quoted segment or part of one.

    Raises:
        LookupError: A value is absent.
    """

    def segment(found: re.Match[str]) -> str:
        value = values.get(found[1])
        if value is None or value == "":
            raise LookupError(found[1])
        text = quote(_text(value), safe="")
        return {".": "%2E", "..": "%2E%2E"}.get(text, text)

    return _NAME.sub(segment, template)


def fill(template: object, values: Mapping[str, Any], steps: tuple[Mapping[str, Any], ...] = ()) -> Any:
    """A template with the values in their places; ``ABSENT`` where its only value is.

    Args:
        template: A text, number, list or table.
        values: By name; None for one that is absent.
        steps: The values of each step, for lists over steps.
    """
    if isinstance(template, str):
        return _fill_text(template, values)
    if isinstance(template, Mapping):
        filled = {key: fill(each, values, steps) for key, each in template.items()}
        return {key: each for key, each in filled.items() if each is not ABSENT}
    if isinstance(template, list | tuple):
        if len(template) == 1 and any(uses(template, name) for name in STEP_NAMES):
            return [fill(template[0], {**values, **step}) for step in steps]
        return [each for each in (fill(each, values, steps) for each in template) if each is not ABSENT]
    return template


def _fill_text(template: str, values: Mapping[str, Any]) -> Any:
    if whole := _NAME.fullmatch(template):
        value = values.get(whole[1])
        if value is None:
            return ABSENT
        if whole[2] == "int" and isinstance(value, str):
            return int(value) if _DIGITS.match(value) else value
        return _text(value) if whole[2] == "str" else value
    if any(values.get(name) is None for name, _ in _NAME.findall(template)):
        return ABSENT
    return _NAME.sub(lambda found: _text(values[found[1]]), template)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
