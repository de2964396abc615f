"""``clawlog completion``: the script that makes a shell complete commands, options and task ids."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from clawlog import exits
from clawlog.cli.epilogs import epilog


@click.command(
    short_help="Print shell completion for bash, zsh or fish.",
    epilog=epilog(
        ('eval "$(clawlog completion bash)"', "in ~/.bashrc"),
        ('eval "$(clawlog completion zsh)"', "in ~/.zshrc"),
        ("clawlog completion fish | source", "in ~/.config/fish/config.fish"),
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(*, shell: str) -> int:
    """Print the script that makes your shell complete commands, options and task ids."""
    program = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has these three
    click.echo(kind(program, {}, "clawlog", "_CLAWLOG_COMPLETE").source())
    return exits.SUCCESS
