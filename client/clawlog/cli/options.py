"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def complete_task(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Returns the daemon's tasks whose ids begin with the text, for completion in a shell."""
    del ctx, param
    from clawlog.cli.sources import lookup  # noqa: PLC0415 - only a completion pays for it

    return [CompletionItem(each.task_id, help=each.title) for each in lookup.known() if each.task_id.startswith(incomplete)]


task = click.argument("task", shell_complete=complete_task)


def complete_backend(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Returns the addresses of the daemon's backends that begin with the text, for completion in a shell."""
    del ctx, param
    from clawlog.cli.sources import lookup  # noqa: PLC0415 - only a completion pays for it

    return [CompletionItem(each) for each in lookup.known_backends() if each.startswith(incomplete)]


def backend_url(*, required: bool) -> Callable[[Any], Any]:
    """The argument that names a backend."""
    return click.argument("url", required=required, shell_complete=complete_backend)
