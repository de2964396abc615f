"""``clawlog completion``: what makes a shell complete commands, options and task ids."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from clawlog import exits


@click.command(
    short_help="Completion for bash, zsh or fish.",
    epilog=exits.epilog(
        ('eval "$(clawlog completion bash)"', "in ~/.bashrc"),
        ('eval "$(clawlog completion zsh)"', "in ~/.zshrc"),
        ("clawlog completion fish | source", "in ~/.config/fish/config.fish"),
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(*, shell: str) -> int:
    """Print what makes your shell complete commands, options and task ids."""
    from clawlog.cli.main import cli  # noqa: PLC0415 - main knows this module by name, and loads it when it is called

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has these three
    click.echo(kind(cli, {}, "clawlog", "_CLAWLOG_COMPLETE").source())
    return exits.SUCCESS
