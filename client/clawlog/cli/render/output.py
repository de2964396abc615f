"""How results reach stdout and diagnostics stderr: JSON, plain lines, and rich's console.

Colours appear on a terminal alone, and never with ``NO_COLOR``. Text that came from elsewhere is shown as text: it
never gets to steer the terminal, nor is it read as markup.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from clawlog.protocol.summary import one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

_PIPE_COLUMNS = 200
"""How wide a table may be where no terminal says it."""


def print_json(value: object) -> None:
    """Prints a result as one JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_json_line(value: object) -> None:
    """Prints one JSON document of a stream of them, and lets it out at once."""
    click.echo(json.dumps(value, ensure_ascii=False))
    sys.stdout.flush()


def warn(message: str) -> None:
    """Prints a diagnostic."""
    click.echo(f"clawlog: {message}", err=True)


def console() -> Console:
    """Where tables and coloured lines go: stdout."""
    from rich.console import Console  # noqa: PLC0415 - it costs more than all else here, and most calls don't draw

    terminal = sys.stdout.isatty()
    width = None if terminal else _PIPE_COLUMNS
    return Console(file=sys.stdout, force_terminal=terminal, width=width, highlight=False, emoji=False, markup=False)


def draw(*parts: RenderableType) -> None:
    """Draws parts of a screen on stdout, one below the other; into a pipe without the spaces that fill a terminal's lines."""
    target = console()
    if target.is_terminal:
        target.print(*parts, sep="\n")
        return
    with target.capture() as drawn:
        target.print(*parts, sep="\n")
    click.echo("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def shown(text: str | None, style: str = "") -> Text:
    """Someone else's text, fit to be shown: one line, without control characters."""
    from rich.text import Text  # noqa: PLC0415 - see console()

    return Text(one_line(text or ""), style=style)


def with_advice(found: str, advice: str | None) -> Text:
    """Something that was found, and below it what to do about it."""
    text = shown(found)
    return text.append("\n→ ", "dim").append_text(shown(advice, "bold")) if advice else text


def one_row(text: Text) -> Text:
    """A cell that takes what room is left and no second row: a table's last column."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
