"""The entry point: finds a command, runs it, and turns what it raises into a line on stderr and an exit status.

A command's module is imported when that command is called, and rich by those alone that draw: ``clawlog --help`` and
``clawlog --version`` must answer at once.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from clawlog import exits, locations, streams
from clawlog.cli.catalogue import COMMANDS, EPILOG, OPTIONS, SUMMARY
from clawlog.cli.errors import CommandError, status_of
from clawlog.cli.suggestions import Group, complete_in_bash
from clawlog.errors import ClawlogError

_MODULES = {"uninstall": "install.uninstall"}
"""Where a command's module is not named for it."""


class LazyCommands(Group):
    """A group that imports a command's module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"clawlog.cli.commands.{_MODULES.get(cmd_name, cmd_name.replace('-', '_'))}")
        command = module.command
        assert isinstance(command, click.Command)  # noqa: S101 - the rule of this folder, for the type checker
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command that was named. A closed pipe is not a failure."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            return exits.SUCCESS

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """The names and options that begin so, importing no command."""
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [CompletionItem(name, help=COMMANDS[name]) for name in COMMANDS if name.startswith(incomplete)] + options

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands, importing none."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_version(ctx: click.Context, option: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's own signature
    del option
    if value:
        click.echo(f"clawlog {locations.installed_version()}")
        ctx.exit()


@click.group(
    cls=LazyCommands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help=SUMMARY,
    epilog=EPILOG,
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help=OPTIONS["--version"])
def cli() -> None:
    """The program; what it says of itself is in ``catalogue``."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the program and ends the process with its exit status."""
    gc.set_threshold(20_000)  # imports make many objects, and no garbage
    streams.guard()
    status = streams.finish("clawlog", run(arguments))
    gc.freeze()  # else the interpreter's last collection walks all that was imported: a tenth of a short command's time
    sys.exit(status)


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit status."""
    complete_in_bash()
    try:
        status = cli.main(list(arguments) if arguments is not None else None, prog_name="clawlog", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return exits.INTERRUPTED
    except (CommandError, ClawlogError, locations.Unfit) as error:
        click.echo(f"clawlog: {error}", err=True)
        return exits.USAGE if isinstance(error, locations.Unfit) else status_of(error)
    return status if isinstance(status, int) else exits.SUCCESS
