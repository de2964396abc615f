"""``clawlog tasks``: lists tasks, what needs attention first: those of this machine's daemon, or all of a backend's."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.epilogs import epilog
from clawlog.cli.render import output, rows, tables, views
from clawlog.cli.render.rows import TaskRow
from clawlog.cli.render.views import TaskView
from clawlog.cli.sources.backend import DEFAULT_LIMIT, Backend
from clawlog.client import Client
from clawlog.protocol import vocabulary

GROUPS: Mapping[str, Callable[[TaskView], bool]] = {
    "active": lambda task: task.status not in views.ENDED,
    "stopping": lambda task: task.shown_status == views.STOPPING,
    "stale": lambda task: task.liveness.state in ("quiet", "stalled", "lost"),
}
"""Words for several statuses, and which of the daemon's tasks they mean; a backend knows them itself."""

STATUSES = (*GROUPS, *vocabulary.TASK_STATUSES)


@click.command(
    short_help="List the tasks, what needs attention first.",
    epilog=epilog(
        ("clawlog tasks", "those of this machine"),
        ("clawlog tasks --status waiting", "those that wait for a person"),
        ("clawlog tasks --backend http://hub:8000", "those of all machines"),
        ("clawlog tasks --json | jq '.tasks[].title'", "for programs"),
        s65="the backend does not know a filter",
        s69="no daemon is running (none is started), or no backend answers",
    ),
)
@click.option("--active", is_flag=True, help="Only those that have not ended: --status active.")
@click.option(
    "--status", type=click.Choice(STATUSES), metavar="STATUS", help=f"Only those of this status: {', '.join(STATUSES)}."
)
@click.option("--host", help="Only those on this machine, as their metadata say.")
@click.option("--project", help="Only those of this project.")
@click.option("--agent", help="Only those of this agent.")
@click.option("--limit", type=click.IntRange(1, 500), help=f"At most so many (of a backend: {DEFAULT_LIMIT} by default).")
@click.option("--backend", "url", metavar="URL", help="Ask this backend instead of the daemon.")
@options.as_json
def command(
    *,
    active: bool,
    status: str | None,
    host: str | None,
    project: str | None,
    agent: str | None,
    limit: int | None,
    url: str | None,
    as_json: bool,
) -> int:
    """List the tasks: the status of each, when its agent last reported, and what it is doing.

    What needs a person comes first: a question, a lost agent, a failure; then the newest. With --backend no daemon is needed.
    """
    if active and status not in (None, "active"):
        raise click.UsageError("--active is --status active: give one of them")
    status = "active" if active else status
    wanted = {name: value for name, value in (("host", host), ("project", project), ("agent", agent)) if value is not None}
    if url is not None:
        answer, found, known = _of_backend(url, {"status": status, **wanted, "limit": limit})
    else:
        answer, found, known = _of_daemon(status, wanted, limit)
    if as_json:
        output.print_json(answer)
    elif found:
        chars = tables.id_chars(known) if sys.stdout.isatty() else None
        output.draw(tables.tasks(found, width=output.console().width, id_chars=chars))
    else:
        output.warn(
            "no such tasks" if wanted or status not in (None, "active") else "no active tasks" if status else "no tasks"
        )
    return exits.SUCCESS


def _of_daemon(status: str | None, wanted: Mapping[str, str], limit: int | None) -> tuple[Any, list[TaskRow], Sequence[str]]:
    """Returns the daemon's answer without what was not asked for, its rows, and the ids of all of its tasks."""
    with Client(autostart=False) as client:
        answer = client.list_tasks()
    every = views.tasks(answer)
    chosen = [
        (raw, view)
        for raw, view in zip(answer["tasks"], every, strict=True)
        if _is(view, status) and all(view.metadata.get(name) == value for name, value in wanted.items())
    ]
    shown = rows.by_attention(rows.of_daemon(view) for _, view in chosen)[:limit]
    left = {each.task_id for each in shown}
    printed = {**answer, "tasks": [raw for raw, view in chosen if view.task_id in left]}
    return printed, shown, [each.task_id for each in every]


def _is(task: TaskView, status: str | None) -> bool:
    """Whether a word of ``--status`` means this task."""
    return status in (None, task.status) or (status in GROUPS and GROUPS[status](task))


def _of_backend(url: str, query: Mapping[str, str | int | None]) -> tuple[Any, list[TaskRow], Sequence[str]]:
    """Returns the backend's answer, its rows, and the ids of its tasks."""
    backend = Backend(url, os.environ)
    answer = backend.tasks_answer(**query, sort="attention")
    found = backend.read_tasks(answer)
    return answer, rows.by_attention(map(rows.of_backend, found)), [each.task_id for each in found]
