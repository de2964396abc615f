"""``clawlog dead-letter``: the events that a backend refused for good, to be retried or dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.epilogs import epilog
from clawlog.cli.errors import CommandError
from clawlog.cli.render import output, times, views
from clawlog.cli.render.counts import counted
from clawlog.cli.render.views import DeadLetter
from clawlog.cli.suggestions import Group
from clawlog.client import Client
from clawlog.connection.results import JsonObject


@click.group(
    cls=Group,
    short_help="List, retry or drop the events that a backend refused.",
    epilog=epilog(
        ("clawlog dead-letter list", ""),
        ("clawlog dead-letter retry --all", "after fixing the backend"),
        s65="no such event, or the id is ambiguous",
        s69="no daemon is running",
    ),
)
def command() -> None:
    """List the events that a backend refused for good, and send them again or drop them.

    An event becomes a dead letter when its backend answers that it will never accept it (most 4xx). Other events are sent all
    the same; only those of a task whose creation was refused wait behind it.
    """


@command.command("list", epilog=epilog(("clawlog dead-letter list --json", ""), s69="no daemon is running"))
@options.as_json
def list_(*, as_json: bool) -> int:
    """List them, the oldest first."""
    with Client(autostart=False) as client:
        answer = client.list_dead_letters()
    if as_json:
        output.print_json(answer)
        return exits.SUCCESS
    letters = views.dead_letters(answer)
    if not letters:
        output.warn("no dead letters")
        return exits.SUCCESS
    from rich.table import Table  # noqa: PLC0415 - see output.console

    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("EVENT", "KIND", "REFUSED", "HTTP", "BEHIND"):
        shown.add_column(name, no_wrap=True)
    shown.add_column("REPLY")
    for each in letters:
        shown.add_row(
            each.event_id,
            each.kind,
            times.clock(each.refused_at),
            str(each.backend_status or "-"),
            str(each.waiting_behind),
            output.one_row(output.shown(each.backend_reply)),
        )
    output.draw(shown)
    return exits.SUCCESS


@command.command(
    "show", epilog=epilog(("clawlog dead-letter show 01a203dc", ""), s65="no such event", s69="no daemon is running")
)
@click.argument("event")
@options.as_json
def show(*, event: str, as_json: bool) -> int:
    """Show one, with the backend's whole reply. EVENT is its id, or the beginning of it."""
    with Client(autostart=False) as client:
        answer = client.list_dead_letters()
    letter = _find(views.dead_letters(answer), event)
    if as_json:
        output.print_json(next(each for each in answer["dead_letters"] if each["event_id"] == letter.event_id))
        return exits.SUCCESS
    from rich.table import Table  # noqa: PLC0415 - see output.console

    shown = Table.grid(padding=(0, 2))
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column(overflow="fold")
    for name, value in (
        ("event", letter.event_id),
        ("task", letter.task_id),
        ("kind", letter.kind),
        ("happened", times.clock(letter.at) if letter.at else "-"),
        ("refused", times.clock(letter.refused_at)),
        ("status", f"HTTP {letter.backend_status}" if letter.backend_status else "-"),
        ("reply", letter.backend_reply),
        ("behind it", counted(letter.waiting_behind, "event", "wait")),
    ):
        shown.add_row(name, output.shown(value))
    output.draw(shown)
    return exits.SUCCESS


@command.command(
    "retry",
    epilog=epilog(("clawlog dead-letter retry 01a203dc", ""), ("clawlog dead-letter retry --all", ""),
        s65="no such event; nothing was done", s69="no daemon is running, and none could be started"),
)  # fmt: skip
@click.argument("events", nargs=-1, metavar="[EVENT]...")
@click.option("--all", "every", is_flag=True, help="All of them.")
@options.as_json
def retry(*, events: tuple[str, ...], every: bool, as_json: bool) -> int:
    """Send them again, with the events that wait behind them."""
    return _apply(Client.retry_dead_letters, "to be sent again", events, every=every, as_json=as_json)


@command.command(
    "drop",
    epilog=epilog(("clawlog dead-letter drop 01a203dc", ""), ("clawlog dead-letter drop --all", ""),
        s65="no such event; nothing was done", s69="no daemon is running, and none could be started"),
)  # fmt: skip
@click.argument("events", nargs=-1, metavar="[EVENT]...")
@click.option("--all", "every", is_flag=True, help="All of them.")
@options.as_json
def drop(*, events: tuple[str, ...], every: bool, as_json: bool) -> int:
    """Delete them, with the events that wait behind them. This cannot be undone."""
    return _apply(Client.drop_dead_letters, "dropped", events, every=every, as_json=as_json)


def _apply(
    verb: Callable[[Client, Sequence[str] | None], JsonObject], done: str, events: Sequence[str], *, every: bool, as_json: bool
) -> int:
    if bool(events) is every:
        raise click.UsageError("Name the events, or use --all.")
    with Client() as client:
        chosen = None
        if not every:
            letters = views.dead_letters(client.list_dead_letters())
            chosen = [_find(letters, event).event_id for event in events]
        answer = verb(client, chosen)
    if as_json:
        output.print_json(answer)
        return exits.SUCCESS
    touched = views.dead_letters(answer)
    for letter in touched:
        behind = f", with {letter.waiting_behind} behind it" if letter.waiting_behind else ""
        click.echo(f"{letter.event_id} {letter.kind} of {letter.task_id}: {done}{behind}")
    if not touched:
        output.warn("no dead letters")
    return exits.SUCCESS


def _find(letters: Sequence[DeadLetter], text: str) -> DeadLetter:
    found = [each for each in letters if each.event_id.startswith(text)]
    if len(found) != 1:
        what = f"{text!r} matches {len(found)} events; give more of the id" if found else f"no dead letter {text!r}"
        raise CommandError(f"{what}; see: clawlog dead-letter list", exits.REFUSED)
    return found[0]
