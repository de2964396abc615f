"""``clawlog --help`` and ``--version``, where the terminal is as wide as usual: narrower, click folds more than a sentence."""

from __future__ import annotations

import os
from collections.abc import Mapping

from clawlog import exits, locations
from clawlog.cli.catalogue import COMMANDS, EPILOG, OPTIONS, SUMMARY
from clawlog.cli.quick import printing

NARROWEST = 80
WIDEST = 100
"""How many columns click uses at most; ``main`` tells it so, too."""


def run(option: str, env: Mapping[str, str]) -> int | None:
    """Prints the help or the version; returns as the package says."""
    try:
        if option == "--version":
            printing.put(f"clawlog {locations.installed_version()}\n")
        elif (width := columns(env)) >= NARROWEST:
            printing.put(text(min(width, WIDEST) - 2))
        else:
            return None
    except BrokenPipeError:
        return exits.SUCCESS
    except (OSError, ValueError):
        return None
    return exits.SUCCESS


def columns(env: Mapping[str, str]) -> int:
    """Returns how wide the terminal is, by the rules of ``shutil.get_terminal_size``.

    Raises:
        ValueError: ``COLUMNS`` is no number.
    """
    if (told := int(env.get("COLUMNS") or 0)) > 0:
        return told
    try:
        return os.get_terminal_size(1).columns or NARROWEST
    except OSError:
        return NARROWEST


def text(width: int) -> str:
    """Returns the help as click lays it out in so many columns: the summary is all of it that is longer than that."""
    lines = ["Usage: clawlog [OPTIONS] COMMAND [ARGS]...", "", *(f"  {each}" for each in _folded(SUMMARY, width - 2)), ""]
    for heading, entries in (("Options", OPTIONS), ("Commands", COMMANDS)):
        widest = max(map(len, entries))
        lines += [f"{heading}:", *(f"  {name:<{widest}}  {what}" for name, what in entries.items()), ""]
    shown = EPILOG.replace("\b\n", "").splitlines()
    return "\n".join([*lines, *(f"  {each}".rstrip() for each in shown)]) + "\n"


def _folded(sentence: str, width: int) -> list[str]:
    lines = [""]
    for word in sentence.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines
