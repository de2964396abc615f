"""How a backend is spoken to, for people: the answers to ``contract.show`` and ``contract.try``, and a contract as TOML."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clawlog.cli.render import output
from clawlog.cli.render.texts import cleaned, escaped
from clawlog.cli.render.views import build, guarded
from clawlog.connection.results import JsonObject

if TYPE_CHECKING:
    from rich.console import RenderableType

OK, FAILED = ("✓", "green"), ("✗", "bold red")
MARKS = {"ok": OK, "failed": FAILED, "unclear": ("?", "bold yellow"), "absent": ("–", "dim"), "not_tried": ("·", "dim")}
"""The mark of what came of one thing that was tried, and its style."""

STATES = {
    "standard": ("● standard", "bold green"),
    "found": ("● found", "bold green"),
    "given": ("● given", "bold green"),
    "unknown": ("○ not known yet", "bold yellow"),
    "missing": ("● no contract", "bold red"),
}
"""What is known of how a backend is spoken to, in words."""

IN_FORCE = ("standard", "found", "given")
"""The states in which there is a contract."""

_LIST_COLUMNS = 100
_LIST = re.compile(r"\[\n((?:    [^\[\]{}\n]*,\n)+)\]")


@dataclass(frozen=True, slots=True)
class ActionView:
    """What is known of one action of a contract."""

    action: str
    needed: bool
    route: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class ContractView:
    """How a backend is spoken to."""

    base_url: str
    state: str
    configured: str
    source: str
    detail: str
    actions: tuple[ActionView, ...]


@dataclass(frozen=True, slots=True)
class TriedView:
    """One thing that was tried, and what came back."""

    action: str
    what: str
    route: str | None
    outcome: str
    status: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class TrialView:
    """A trial of how a backend is spoken to."""

    base_url: str
    state: str
    source: str
    detail: str
    ok: bool
    title: str
    task_id: str | None
    tried: tuple[TriedView, ...]


def contract(answer: JsonObject) -> ContractView:
    """Reads the answer to ``contract.show``.

    Raises:
        ProtocolViolation: It has an unknown shape; so does ``trial``.
    """
    answer = cleaned(answer)
    return guarded(
        "contract.show",
        lambda: build(ContractView, answer, actions=tuple(build(ActionView, each) for each in answer["actions"])),
    )


def trial(answer: JsonObject) -> TrialView:
    """Reads the answer to ``contract.try``."""
    answer = cleaned(answer)
    return guarded(
        "contract.try",
        lambda: build(TrialView, answer, tried=tuple(build(TriedView, each) for each in answer["tried"])),
    )


def reason(view: ContractView | TrialView) -> str:
    """Returns where a contract is from; or, where none is known, what was looked for and not found."""
    return view.source if view.state in IN_FORCE else view.detail or view.source


# ── Screens ────────────────────────────────────────────────────────────────────────────────────────────────────────


def contract_screen(view: ContractView) -> Iterator[RenderableType]:
    """Draws how a backend is spoken to: the state, each action with its route, and what to do where there is no contract."""
    yield from _head(view)
    if view.actions:
        rows = ((_action_mark(each), each.action, each.route, each.reason) for each in view.actions)
        yield _table("WHY", rows)
    if view.state in ("missing", "unknown"):
        yield output.as_advice(_advice(view))


def _action_mark(view: ActionView) -> tuple[str, str]:
    if view.route is not None:
        return OK
    return FAILED if view.needed else MARKS["absent"]


def _advice(view: ContractView) -> str:
    if view.state == "unknown":
        return "the first task that is created there tells: it is sent as the standard contract says"
    if view.configured not in ("auto", "standard"):
        return "correct that file, then reload the daemon (systemctl reload, or SIGHUP)"
    return f"write one by hand, beginning with: clawlog contract show {view.base_url} --toml; see docs/foreign-servers.md"


def trial_screen(view: TrialView) -> Iterator[RenderableType]:
    """Draws a trial: what was tried, each with what came back where that was not simply right."""
    yield from _head(view)
    if not view.tried:
        yield output.with_advice("nothing was tried", f"clawlog contract show {view.base_url}")
        return
    yield _table("CAME BACK", ((MARKS.get(each.outcome, FAILED), each.what, each.route, each.detail) for each in view.tried))
    verdict = "everything was taken" if view.ok else "not everything was taken"
    yield output.shown(f"{verdict}; the task is {view.task_id or 'not there'}: {view.title}")


def _head(view: ContractView | TrialView) -> Iterator[RenderableType]:
    from rich.text import Text  # noqa: PLC0415 - see output.console

    yield Text.assemble(STATES.get(view.state, (view.state, "")), "   ", output.shown(view.base_url))
    if why := reason(view):
        yield output.shown(why)


def _table(last: str, rows: Iterator[tuple[tuple[str, str], str, str | None, str]]) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415 - see output.console
    from rich.text import Text  # noqa: PLC0415 - as above

    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    shown.add_column("", no_wrap=True)
    shown.add_column("ACTION" if last == "WHY" else "TRIED", overflow="fold")
    shown.add_column("ROUTE", overflow="fold")
    shown.add_column(last, overflow="fold")
    for mark, what, route, detail in rows:
        shown.add_row(Text(*mark), output.shown(what), output.shown(route or "-"), output.shown(detail, "dim"))
    return shown


# ── TOML ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def toml(view: ContractView, data: Mapping[str, Any]) -> str:
    """Returns a contract as TOML that the daemon reads back as it is, with what to do with it above.

    Args:
        view: Whose it is.
        data: The contract, as the daemon gave it.
    """
    import tomli_w  # noqa: PLC0415 - only this pays for it

    known = view.state in IN_FORCE
    about = f"{view.base_url} is spoken to like this: {view.source}." if known else (
        f"No contract is known for {view.base_url}: {reason(view) or 'nothing was found'}. "
        "This is the standard one, to be changed into that server's."
    )  # fmt: skip
    keep = ["Keep this in a file, and name it in clawlog.toml:", "", "    [[backend]]", f'    base_url = "{view.base_url}"',
            '    contract = "/path/of/this/file.toml"', ""]  # fmt: skip
    where = "A list of places in an answer: the first that is there counts. docs/foreign-servers.md explains every member."
    comment = [*_wrapped(about), *keep, *_wrapped(where)]
    head = "".join(f"# {line}".rstrip() + "\n" for line in comment)
    return escaped(f"{head}\n{_LIST.sub(_narrow, tomli_w.dumps(data))}")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _LIST_COLUMNS - 2, break_long_words=False, break_on_hyphens=False)


def _narrow(found: re.Match[str]) -> str:
    """A list of plain values, with as many on a line as fit in place of one."""
    lines = [""]
    for value in map(str.strip, found[1].splitlines()):
        if lines[-1] and len(lines[-1]) + len(value) > _LIST_COLUMNS - 5:
            lines.append("")
        lines[-1] = f"{lines[-1]} {value}".strip()
    if len(lines) == 1:
        return f"[{lines[0].removesuffix(',')}]"
    return "[\n" + "".join(f"    {line}\n" for line in lines) + "]"
