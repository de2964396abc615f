"""Writes the reference of the Python API from the docstrings: `python docs/python_reference.py > docs/python-api.md`.

griffe reads the sources, without importing them: signatures, types and the sections of each docstring. Each public name has an
example beside that, from `docs/examples/NAME.py`. A test holds the file equal to what is written here, and runs the examples.
"""

# ruff: noqa: INP001 -- a program, run in place

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "docs" / "examples"

INTRODUCTION = """\
# Python API

Every public name of `clawlog`, from its docstrings; `python docs/python_reference.py` writes this page.
[Agents and skills](agents-and-skills.md#from-python) shows how they go together. Each example runs as it stands, where a daemon
runs or can be started; `clawlog up` starts one, with a backend that has a page to look at.

Nothing here raises for a fault of the daemon unless `strict=True` says so, but for the calls of a `Client`. All of it may be
called [from anywhere](agents-and-skills.md#from-anywhere-in-a-program): threads, asyncio, signal and logging handlers, forked
processes.
"""

GROUPS = {
    "Report a task": ("task", "attach", "current_task", "track", "LogHandler", "async_task"),
    "What they give": ("Task", "AsyncTask", "Step", "AsyncStep", "Wait", "AsyncWait", "Track"),
    "Single calls": ("Client", "AsyncClient", "InterruptWatch", "AsyncInterruptWatch"),
    "What is sent": ("NewStep", "PlannedStep", "Progress"),
    "What is answered": (
        "CreatedTask",
        "StepHandle",
        "Accepted",
        "Planned",
        "AddedStep",
        "Beat",
        "AgentAnswer",
        "Flushed",
        "StopState",
        "StopPhase",
    ),
    "Errors": ("ClawlogError", "BadAddress", "DaemonUnreachable", "ProtocolViolation", "Refused", "SpoolFailed", "SoftStop"),
}
"""The public names, in the order of the page."""

_CONSTRUCTED = ("LogHandler", "Client", "AsyncClient", "NewStep", "PlannedStep", "Progress")
"""Classes that a program makes itself; all others it is given."""

_OF_THE_STANDARD_LIBRARY = ("emit", "handle")
_ALIASES = {"calls.Step": "str | int", "BaseTask": "Task | AsyncTask", "Step": "str | int"}
"""Names that are not public, by what they stand for; the last one where ``calls`` means its own."""

_VERB = re.compile(r"_verb\(calls\.(\w+)\)")


def page() -> str:
    """The whole page."""
    package = griffe.load("clawlog", search_paths=[str(ROOT / "client")], docstring_parser="google", allow_inspection=False)
    homes = dict(re.findall(r'"(\w+)": "clawlog\.([\w.]+)"', (ROOT / "client/clawlog/__init__.py").read_text("utf-8")))
    parts = [INTRODUCTION]
    for group, names in GROUPS.items():
        parts.append(f"## {group}\n")
        for name in names:
            found = package[homes[name]][name]
            parts += [f"### {name}\n", *(_of_class(found, package) if found.is_class else _of_function(found, name))]
            example = (EXAMPLES / f"{name}.py").read_text("utf-8").strip()
            parts.append(f"```python\n{example}\n```\n")
    return "\n".join(parts)


def _of_function(function: Any, shown_as: str, *, is_method: bool = False) -> Iterator[str]:
    parameters = [each for each in function.parameters if not (is_method and each.name in ("self", "_"))]
    yield f"```py\n{_signature(function, shown_as, parameters)}\n```\n"
    yield from _sections(function)


def _signature(function: Any, name: str, parameters: Iterable[Any]) -> str:
    written: list[str] = []
    named_only = False
    for each in parameters:
        kind = each.kind.value if each.kind else ""
        if kind == "keyword-only" and not named_only:
            written.append("*")
            named_only = True
        stars = {"variadic positional": "*", "variadic keyword": "**"}.get(kind, "")
        named_only = named_only or stars == "*"
        annotation = f": {_type(each.annotation, function)}" if each.annotation else ""
        default = f" = {each.default}" if each.default is not None and not stars else ""
        written.append(f"{stars}{each.name}{annotation}{default}")
    prefix = "async " if "async" in function.labels else ""
    line = f"{prefix}{name}({', '.join(written)}){_returned(function)}"
    if len(line) <= 100:
        return line
    body = "".join(f"    {each},\n" for each in written)
    return f"{prefix}{name}(\n{body}){_returned(function)}"


def _type(annotation: Any, owner: Any) -> str:
    text = str(annotation)
    for name, meaning in _ALIASES.items():
        if name != "Step" or owner.module.name == "calls":
            text = re.sub(rf"(?<![\w.]){re.escape(name)}(?!\w)", meaning, text)
    return text


def _returned(function: Any) -> str:
    text = str(function.returns or "")
    call = re.fullmatch(r"Call\[(.*)\]", text)  # a verb: its method returns what the call is for
    return f" -> {call[1] if call else text}" if text not in ("", "None") else ""


def _of_class(found: Any, package: Any) -> Iterator[str]:
    bases = [str(base) for base in found.bases if str(base) in ("Accepted", "ClawlogError")]
    if bases:
        yield f"A kind of `{bases[0]}`.\n"
    if found.name in _CONSTRUCTED and "__init__" in found.members:
        init = found.members["__init__"]
        yield f"```py\n{_signature(init, found.name, [each for each in init.parameters if each.name != 'self'])}\n```\n"
    yield from _sections(found)
    members = {**found.inherited_members, **found.members}
    shown = [member for name, member in members.items() if not name.startswith("_") or name == "__call__"]
    sections = found.docstring.parsed if found.docstring else ()
    told = {each.name for section in sections if section.kind.value == "attributes" for each in section.value}
    values = [each for each in shown if each.is_attribute and "property" in each.labels and each.name not in told]
    for each in values:
        yield f"- **`{each.name}`** (`{each.annotation}`): {_item(each.docstring.value)}"
    if values:
        yield ""
    for each in shown:
        if each.is_attribute and (verb := _VERB.fullmatch(str(each.value or ""))):
            yield f"#### {found.name}.{each.name}\n"
            yield from _of_function(package["connection.calls"][verb[1]], each.name)
        elif each.is_function and each.docstring is not None and each.name not in _OF_THE_STANDARD_LIBRARY:
            yield f"#### {found.name}.{each.name.strip('_')}\n"
            yield from _of_function(each, each.name, is_method=True)


def _sections(found: Any) -> Iterator[str]:
    """A docstring in the page's words."""
    for section in found.docstring.parsed if found.docstring else ():
        kind = section.kind.value
        if kind == "text":
            yield f"{_text(section.value)}\n"
        elif kind in ("parameters", "attributes"):
            for each in section.value:
                annotation = f" (`{each.annotation}`)" if each.annotation and kind == "attributes" else ""
                yield f"- **`{each.name}`**{annotation}: {_item(each.description)}"
            yield ""
        elif kind == "raises":
            for each in section.value:
                yield f"Raises `{each.annotation}`: {_text(each.description)}\n"
        elif kind in ("returns", "yields"):
            yield f"Returns {_text(' '.join(each.description for each in section.value))}\n"


def _text(text: str) -> str:
    """A docstring's text as Markdown: its literals have two backticks."""
    return re.sub(r"``(.+?)``", r"`\1`", text.strip())


def _item(text: str) -> str:
    return _text(text).replace("\n", "\n  ")


if __name__ == "__main__":
    sys.stdout.write(page())
