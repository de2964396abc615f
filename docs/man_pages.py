"""Writes the manual pages from the programs' own help: `python docs/man_pages.py FOLDER`.

What a page says is what `--help` says: commands and options come from the parsers themselves, so that no page can promise what
its program lacks. For each command of `clawlog` there is a page of its own, as for those of git.
"""

# ruff: noqa: INP001 -- a program, run in place

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from clawlog.cli.main import cli
from clawlog.scripting import options, parser
from clawlog_backend.main import build_migrate_parser, build_notify_parser
from clawlog_backend.main import build_parser as build_backend_parser
from clawlogd import __version__
from clawlogd.main import build_parser as build_daemon_parser

SEE_ALSO = ("clawlog", "clawlogd")


@dataclass(frozen=True)
class ManPage:
    """One program or command.

    Attributes:
        name: As it is typed, such as ``clawlog dead-letter list``.
        purpose: In half a line.
        synopsis: How it is called, without the name.
        description: Paragraphs.
        options: Each option as it is written, with its meaning.
        commands: Each further command, with its meaning.
        epilog: Examples and exit statuses, as the help shows them: headings, and indented lines.
    """

    name: str
    purpose: str
    synopsis: str
    description: str
    options: list[tuple[str, str]] = field(default_factory=list)
    commands: list[tuple[str, str]] = field(default_factory=list)
    epilog: str = ""

    @property
    def file_name(self) -> str:
        """Where ``man`` looks for it."""
        return f"{self.name.replace(' ', '-')}.1"


def of_click(command: click.Command, name: str, above: click.Context | None = None) -> Iterator[ManPage]:
    """A command's page, and those of the commands below it."""
    context = click.Context(command, info_name=name, parent=above, **command.context_settings)
    options = [record for each in command.get_params(context) if (record := each.get_help_record(context))]
    below = {}
    if isinstance(command, click.Group):
        below = {each: found for each in command.list_commands(context) if (found := command.get_command(context, each))}
    purpose, _, _ = (command.help or command.get_short_help_str(100)).partition("\n\n")
    yield ManPage(
        name=name,
        purpose=" ".join(purpose.split()).rstrip("."),
        synopsis=" ".join(command.collect_usage_pieces(context)),
        description=command.help or "",
        options=options,
        commands=[(f"{name} {each}", found.get_short_help_str(200)) for each, found in below.items()],
        epilog=command.epilog or "",
    )
    for each, found in below.items():
        yield from of_click(found, f"{name} {each}", context)


def of_argparse(program: argparse.ArgumentParser) -> ManPage:
    """A program's page."""
    usage = " ".join(program.format_usage().split()).removeprefix("usage: ").removeprefix(program.prog).strip()
    records = []
    for action in program._actions:  # noqa: SLF001 - argparse has no other way to them
        argument = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
        written = ", ".join(action.option_strings) + ("" if action.nargs == 0 else f" {argument}")
        records.append((written.strip(), (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")))
    description = program.description or ""
    return ManPage(
        name=program.prog,
        purpose=re.split(r"\.(?:\s|$)", description)[0],
        synopsis=usage,
        description=description,
        options=records,
        epilog=program.epilog or "",
    )


def render(page: ManPage) -> str:
    """A page in man(7)'s macros."""
    title = page.name.replace(" ", "-")
    others = [name for name in SEE_ALSO if name != title]
    lines = [
        f'.TH "{_escaped(title.upper())}" 1 "" "clawlog {__version__}" "ClawLog status sync"',
        ".SH NAME",
        f"{_escaped(title)} \\- {_escaped(page.purpose)}",
        ".SH SYNOPSIS",
        f".B {_escaped(page.name)}",
        _escaped(page.synopsis),
        ".SH DESCRIPTION",
        *_paragraphs(page.description),
    ]
    for heading, records in (("COMMANDS", page.commands), ("OPTIONS", page.options)):
        if records:
            lines.append(f".SH {heading}")
        for written, meaning in records:
            lines += [".TP", f".B {_escaped(written)}", _escaped(" ".join(meaning.split())) or "\\&"]
    lines += _sections(page.epilog)
    lines += [".SH SEE ALSO", ", ".join(f"\\fB{_escaped(name)}\\fR(1)" for name in others)]
    return "\n".join(lines) + "\n"


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in filter(str.strip, text.replace("\b", "").split("\n\n")):
        yield ".PP"
        yield _escaped(" ".join(paragraph.split()))


def _sections(epilog: str) -> Iterator[str]:
    """A heading for each line that ends with a colon, and below it the lines as they stand."""
    open_block = False
    for line in epilog.replace("\b", "").split("\n"):
        if re.fullmatch(r"\w[\w ]*:.*", line.strip()) and not line.startswith("  "):
            heading, _, rest = line.strip().partition(":")
            yield from ((".fi",) if open_block else ())
            yield from (f".SH {heading.upper()}", ".nf")
            yield from ((_escaped(rest.strip()),) if rest.strip() else ())
            open_block = True
        elif line.startswith(" ") and line.strip():
            yield _escaped(line)
        elif line.strip():
            yield from ((".fi",) if open_block else ())
            yield from (".PP", _escaped(line))
            open_block = False
    yield from ((".fi",) if open_block else ())


def _escaped(text: str) -> str:
    written = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{written}" if written.startswith((".", "'")) else written


def pages() -> Iterator[ManPage]:
    """All of them."""
    # `clawlog backend` hands all its arguments on to the backend's own program.
    yield from (page for page in of_click(cli, "clawlog") if page.name != "clawlog backend")
    own = (build_backend_parser(), build_migrate_parser(), build_notify_parser(), build_daemon_parser())
    yield from map(of_argparse, (*own, *map(parser.make, options.SCRIPTS)))


def main() -> None:
    """Writes them."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for page in pages():
        (folder / page.file_name).write_text(render(page), encoding="utf-8")


if __name__ == "__main__":
    main()
