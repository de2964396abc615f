"""``clawlog tasks``: lists tasks, what needs attention first: those of this machine's daemon, or all of a backend's."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from clawlog import exits, locations
from clawlog.cli import options
from clawlog.cli.epilogs import epilog
from clawlog.cli.render import ids, output, states
from clawlog.cli.sources import exchange
from clawlog.cli.sources.query import DEFAULT_LIMIT
from clawlog.protocol import vocabulary

if TYPE_CHECKING:  # the help need not pay for them
    from clawlog.cli.render.rows import TaskRow
    from clawlog.cli.render.views import TaskView

GROUPS: Mapping[str, Callable[[TaskView], bool]] = {
    "active": lambda task: task.status not in vocabulary.ENDED_TASK_STATUSES,
    "stopping": lambda task: task.shown_status == states.STOPPING,
    "stale": lambda task: task.liveness.state in ("quiet", "stalled", "lost"),
}
"""Words for several statuses, and which of the daemon's tasks they mean; a backend knows them itself."""

_LINES_BESIDE = 5
"""The lines of a terminal that are not a task's: the states (two), the table's head, what is left out, and the prompt."""
_LEAST_ROWS = 10

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
@click.option("--limit", type=click.IntRange(1, 500),
    help=f"At most so many.  [default: what a terminal has room for, else all; of a backend {DEFAULT_LIMIT}]")  # fmt: skip
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
    """List the tasks: the state of each, what it is doing, and for how long it has been so.

    What needs a person comes first: a question, a dead agent, a failure, no signal; then the newest. A wide terminal shows more
    of each: from 120 columns on its summary and host, from 200 on its agent, its progress and its last report. With --backend
    no daemon is needed.
    """
    if active and status not in (None, "active"):
        raise click.UsageError("--active is --status active: give one of them")
    status = "active" if active else status
    wanted = {name: value for name, value in (("host", host), ("project", project), ("agent", agent)) if value is not None}
    listed = _of_daemon(status, wanted) if url is None else _of_backend(url, {"status": status, **wanted, "limit": limit})
    if as_json:
        output.print_json(listed.printed(limit))
    elif listed.rows:
        _show(listed, limit)
    else:
        output.warn(
            "no such tasks" if wanted or status not in (None, "active") else "no active tasks" if status else "no tasks"
        )
    return exits.SUCCESS


class Listed(NamedTuple):
    """What was found.

    Attributes:
        answer: The answer that it is from.
        rows: The tasks, what needs attention first.
        known: The ids that a short one is told apart from.
        more: Whether there are more than were asked for.
    """

    answer: Any
    rows: Sequence[TaskRow]
    known: Sequence[str]
    more: bool

    def printed(self, limit: int | None) -> Any:
        """Returns the answer, with those tasks alone that the table would show."""
        shown = {each.task_id for each in self.rows[:limit]}
        return {**self.answer, "tasks": [each for each in self.answer["tasks"] if each["task_id"] in shown]}


def _show(listed: Listed, limit: int | None) -> None:
    """Prints the table; on a terminal with the number of tasks in each state above, and what it leaves out below.

    A terminal shows what it has room for unless told otherwise: what needs attention stands first, and must not scroll away.
    """
    from clawlog.cli.render import rows, tables  # noqa: PLC0415 - the help need not pay for them

    on_terminal, console = sys.stdout.isatty(), output.console()
    room = max(console.height - _LINES_BESIDE, _LEAST_ROWS) if on_terminal else None
    shown = listed.rows[: limit or room]
    chars = ids.chars(listed.known) if on_terminal else None
    table = tables.tasks(shown, width=console.width, id_chars=chars)
    if not on_terminal:
        output.draw(table)
        return
    left_out = len(listed.rows) - len(shown)
    said = f"and {'more' if listed.more else f'{left_out:,} more'}: --limit N shows them" if left_out or listed.more else ""
    tally = () if listed.more else rows.tally(listed.rows)  # of a part it would mislead
    output.draw(*map(output.pieces, states.folded(tally, console.width)), table, *([output.note(said)] if said else []))


def _ask_daemon() -> Any:
    if exchange.is_path(path := locations.socket_address(os.environ)):
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
            return exchange.exchange(path, [("task.list", {})])[0]
    from clawlog.client import Client  # noqa: PLC0415 - it takes longer than all the rest, and says what is wrong

    with Client(autostart=False) as client:
        return client.list_tasks()


def _of_daemon(status: str | None, wanted: Mapping[str, str]) -> Listed:
    from clawlog.cli.render import rows, views  # noqa: PLC0415 - the help need not pay for them

    answer = _ask_daemon()
    every = views.tasks(answer)
    chosen = [each for each in every if _is(each, status) and all(each.metadata.get(k) == v for k, v in wanted.items())]
    return Listed(answer, rows.by_attention(map(rows.of_daemon, chosen)), [each.task_id for each in every], more=False)


def _is(task: TaskView, status: str | None) -> bool:
    """Whether a word of ``--status`` means this task."""
    return status in (None, task.status) or (status in GROUPS and GROUPS[status](task))


def _of_backend(url: str, query: Mapping[str, str | int | None]) -> Listed:
    from clawlog.cli.render import rows  # noqa: PLC0415 - the help need not pay for it
    from clawlog.cli.sources.backend import Backend  # noqa: PLC0415 - the daemon's tasks are listed without it

    backend = Backend(url, os.environ)
    answer = backend.tasks_answer(**query, sort="attention")
    found = backend.read_tasks(answer)
    more = answer.get("next_cursor") is not None
    return Listed(answer, rows.by_attention(map(rows.of_backend, found)), [each.task_id for each in found], more=more)
