"""Options and arguments that several commands share."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def complete_task(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Returns the daemon's tasks whose ids begin with the text, for completion in a shell."""
    del ctx, param
    from clawlog.cli.sources import lookup  # noqa: PLC0415 - only a completion pays for it

    return [CompletionItem(each.task_id, help=each.title) for each in lookup.known() if each.task_id.startswith(incomplete)]


task = click.argument("task", shell_complete=complete_task)
