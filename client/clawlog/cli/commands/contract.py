"""``clawlog contract``: how a backend is spoken to, and whether it takes it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.epilogs import epilog
from clawlog.cli.errors import CommandError
from clawlog.cli.render import contracts, output
from clawlog.cli.suggestions import Group
from clawlog.client import Client
from clawlog.connection import calls
from clawlog.connection.call import Call
from clawlog.connection.results import JsonObject
from clawlog.errors import Refused
from clawlog.protocol.addresses import is_this_machine
from clawlog.protocol.vocabulary import MAX_LINE_BYTES

_STATUSES = {"standard": exits.SUCCESS, "found": exits.SUCCESS, "unknown": exits.UNKNOWN_FOR_NOW}
_ROOM_BYTES = 4096  # for what stands around a contract in a call


@click.group(
    cls=Group,
    short_help="Show or try how a backend is spoken to.",
    epilog=epilog(
        ("clawlog contract show", "the default backend"),
        ("clawlog contract try http://localhost:8000", "one task, all the way"),
        s1="there is no contract, or not everything was taken",
        s69="no daemon is running, and none could be started",
    ),
)
def command() -> None:
    """Show how a backend is spoken to (by which routes, and why by these), or try it with a task that says it is a trial.

    The daemon finds that out by itself from a server's OpenAPI document. Where it can't, nothing is sent to that server and
    events wait: then a contract can be written by hand, as a file of TOML that clawlog.toml names.
    """


@command.command(
    "show",
    short_help="Show the contract in force, and the reasons.",
    epilog=epilog(
        ("clawlog contract show http://localhost:8000", ""),
        ("clawlog contract show http://localhost:8000 --toml >server.toml", ""),
        s0="there is a contract",
        s1="there is none: nothing is sent, events wait",
        s65="this is no address",
        s69="no daemon is running, and none could be started",
        s75="not known yet: no document, or no answer",
    ),
)
@options.backend_url(required=False)
@click.option(
    "--toml", "as_toml", is_flag=True, help="Print the contract itself as TOML; where there is none, the standard one."
)
@options.as_json
def show(*, url: str | None, as_toml: bool, as_json: bool) -> int:
    """Show the contract in force: where it came from, and for each action its route and the reason. URL is the backend."""
    if as_toml and as_json:
        raise click.UsageError("Use one of --toml and --json.")
    answer = _ask(calls.show_contract(url))
    view = contracts.contract(answer)
    if as_json:
        output.print_json(answer)
    elif as_toml:
        click.echo(contracts.toml(view, answer["contract"]), nl=False)
        if view.state not in contracts.IN_FORCE:
            output.warn(f"no contract is known for {view.base_url}: this is the standard one, to begin with")
    else:
        output.draw(*contracts.contract_screen(view))
    return _STATUSES.get(view.state, exits.FAILED)


@command.command(
    "try",
    short_help="Try it with a task that says it is a trial.",
    epilog=epilog(
        ("clawlog contract try http://localhost:8000", ""),
        ("clawlog contract try http://localhost:8000 --contract server.toml", ""),
        s0="everything was taken",
        s1="there is no contract, or not everything was taken",
        s2="wrong usage, or a server on another machine without --yes",
        s65="this is no address, or no contract",
        s69="no daemon is running, and none could be started",
    ),
)
@options.backend_url(required=True)
@click.option("--contract", "path", metavar="PATH", type=click.Path(dir_okay=False), help="Try this contract, a file of TOML.")
@click.option("--yes", is_flag=True, help="Also on another machine's server: its people see the trial's task.")
@options.as_json
def try_(*, url: str, path: str | None, yes: bool, as_json: bool) -> int:
    """Create a task at URL that says it is a trial, report on it all the way, and end it as far as the server lets it.

    Nothing of it goes through the outbox, and no other task is touched. It takes a second, and never more than a minute or so.
    """
    if not yes and not _is_here(url):
        raise click.UsageError(f"{url} is on another machine, whose people would see the trial's task: say --yes to do it.")
    given = None if path is None else _read(path)
    answer = _ask(calls.try_contract(url, contract=given))
    view = contracts.trial(answer)
    if as_json:
        output.print_json(answer)
    else:
        output.draw(*contracts.trial_screen(view))
    return exits.SUCCESS if view.ok else exits.FAILED


def _is_here(url: str) -> bool:
    try:
        return "://" not in url or is_this_machine(url)  # what is no address is the daemon's to refuse
    except ValueError:
        raise click.UsageError(f"{url!r} is no address.") from None


def _read(path: str) -> Mapping[str, Any]:
    """Reads a contract; what is in it is the daemon's to judge.

    Raises:
        CommandError: It cannot be read, is not TOML, or is too long for a call.
    """
    try:
        with open(path, "rb") as file:
            found = tomllib.loads(file.read().decode("utf-8-sig"))
        size = len(json.dumps(found, ensure_ascii=False, allow_nan=False).encode())
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", exits.USAGE) from None
    except (ValueError, TypeError) as error:
        raise CommandError(f"{path} is no contract in TOML: {error}", exits.USAGE) from None
    if size > MAX_LINE_BYTES - _ROOM_BYTES:
        raise CommandError(f"{path} is too long: {size:,} bytes as JSON, of 60 KiB; name fewer places", exits.USAGE)
    return found


def _ask(call: Call[JsonObject]) -> JsonObject:
    with Client() as client:
        try:
            return client.perform(call)
        except Refused as refusal:
            if refusal.name != "method_not_found":
                raise
            raise CommandError("the daemon is of an older version and speaks the standard contract alone; restart it") from None
