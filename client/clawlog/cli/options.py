"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def complete_task(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Returns the daemon's tasks that the text may mean, each with its title, for completion in a shell."""
    del ctx, param
    return _completed(incomplete, live=False)


def complete_live_task(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Returns those among them that have not ended."""
    del ctx, param
    return _completed(incomplete, live=True)


def _completed(incomplete: str, *, live: bool) -> list[CompletionItem]:
    from clawlog.cli.render import ids, views  # noqa: PLC0415 - only a completion pays for it
    from clawlog.cli.sources import lookup  # noqa: PLC0415 - as above

    known = lookup.known()
    chars = ids.chars([each.task_id for each in known])
    found = []
    for each in known:
        names = (ids.short(each.task_id, chars), each.task_id)
        name = next((name for name in names if name.startswith(incomplete)), None)
        if name is not None and not (live and each.status in views.ENDED):
            found.append(CompletionItem(name, help=each.title))
    return found


def complete_agent(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Returns the agents whose names begin with the text, for completion in a shell."""
    del ctx, param
    from clawlog.agents.catalogue import AGENTS  # noqa: PLC0415 - only a completion pays for it

    return [CompletionItem(name, help=agent.title) for name, agent in AGENTS.items() if name.startswith(incomplete)]


task = click.argument("task", shell_complete=complete_task)
tasks = click.argument("tasks", nargs=-1, metavar="TASK...", shell_complete=complete_task)
live_tasks = click.argument("tasks", nargs=-1, metavar="TASK...", shell_complete=complete_live_task)


def complete_backend(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Returns the addresses of the daemon's backends that begin with the text, for completion in a shell."""
    del ctx, param
    from clawlog.cli.sources import lookup  # noqa: PLC0415 - only a completion pays for it

    return [CompletionItem(each) for each in lookup.known_backends() if each.startswith(incomplete)]


def backend_url(*, required: bool) -> Callable[[Any], Any]:
    """The argument that names a backend."""
    return click.argument("url", required=required, shell_complete=complete_backend)
