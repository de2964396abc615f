"""How results reach stdout and diagnostics stderr: JSON, plain lines, and rich's console.

Colours appear on a terminal alone, and never with ``NO_COLOR``. Text from elsewhere is shown as text: it can neither control
the terminal nor act as markup.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from clawlog.cli.render.states import Line, has_colour, painted
from clawlog.cli.render.texts import escaped
from clawlog.protocol.summary import one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

_PIPE_COLUMNS = 200
"""The width of a table where there is no terminal."""


def print_json(value: object) -> None:
    """Prints a result as one JSON document."""
    click.echo(escaped(json.dumps(value, ensure_ascii=False, indent=2)))


def print_json_line(value: object) -> None:
    """Prints one JSON document of a stream as a line, and flushes it."""
    click.echo(escaped(json.dumps(value, ensure_ascii=False)))
    sys.stdout.flush()


def print_outcomes(outcomes: Sequence[tuple[str, str | None]], done: str, *, as_json: bool) -> None:
    """Prints what became of each of several tasks: what was done on stdout, what failed on stderr.

    Args:
        outcomes: Each task's id, and why nothing was done with it, if so.
        done: What was done with the others.
        as_json: Whether all of it is one JSON document.
    """
    if as_json:
        print_json({"tasks": [{"task_id": task_id, "error": error} for task_id, error in outcomes]})
    for task_id, error in outcomes:
        if error is not None:
            warn(error)
        elif not as_json:
            click.echo(f"{done} {task_id}")


def warn(message: str) -> None:
    """Prints a diagnostic."""
    click.echo("\n".join(map(one_line, f"clawlog: {message}".splitlines())), err=True)


def console() -> Console:
    """Returns the console for tables and coloured lines, on stdout."""
    from rich.console import Console  # noqa: PLC0415 - its import is slow, and most calls draw nothing

    terminal = sys.stdout.isatty()
    width = None if terminal else _PIPE_COLUMNS
    return Console(file=sys.stdout, force_terminal=terminal, width=width, highlight=False, emoji=False, markup=False)


def draw(*parts: RenderableType) -> None:
    """Draws parts of a screen on stdout, one below the other; in a pipe without trailing spaces."""
    target = console()
    if target.is_terminal:
        target.print(*parts, sep="\n")
        return
    with target.capture() as drawn:
        target.print(*parts, sep="\n")
    click.echo("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def print_lines(lines: Iterable[Line]) -> None:
    """Prints lines of pieces with their styles."""
    for line in painted(lines, colour=has_colour(os.environ)):
        click.echo(line)


def shown(text: str | None, style: str = "") -> Text:
    """Returns foreign text made safe to show: one line, without control characters."""
    from rich.text import Text  # noqa: PLC0415 - see console()

    return Text(one_line(text or ""), style=style)


def pieces(found: Sequence[tuple[str, str]]) -> Text:
    """Returns pieces of one line, each with its style, as text."""
    from rich.text import Text  # noqa: PLC0415 - see console()

    return Text.assemble(*found)


def note(text: str) -> Text:
    """Returns a remark of the command's own, such as what it leaves out."""
    from rich.text import Text  # noqa: PLC0415 - see console()

    return Text(text, style="dim")


def with_advice(found: str, advice: str | None) -> Text:
    """Returns a finding, with its advice below it."""
    text = shown(found)
    return text.append("\n").append_text(as_advice(advice)) if advice else text


def as_advice(advice: str) -> Text:
    """Returns what to do, as it stands below what was found."""
    from rich.text import Text  # noqa: PLC0415 - see console()

    return Text("→ ", "dim").append_text(shown(advice, "bold"))


def one_row(text: Text) -> Text:
    """Makes a cell take the remaining width and no second row: a table's last column."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
