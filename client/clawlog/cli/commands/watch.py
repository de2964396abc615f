"""``clawlog watch TASK``: a task's steps, questions and receipts as they come, until it ends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.epilogs import epilog
from clawlog.cli.errors import BackendUnreachable
from clawlog.cli.render import history, output, times
from clawlog.cli.render.backend_views import BackendEvent, BackendTask
from clawlog.cli.render.views import ENDED
from clawlog.cli.sources import lookup
from clawlog.cli.sources.backend import Backend

POLL_S = 0.5
_PAGE = 500
_MOST_PAGES = 20
"""How much of what came at once is fetched: 10,000 events."""


@click.command(
    short_help="Follow one task until it ends.",
    epilog=epilog(
        ("clawlog watch 8803", "until it ends"),
        ("clawlog watch 8803 --json | jq .kind", "for programs"),
        s0="the task has ended",
        s65="no such task, or the id is ambiguous",
        s69="the backend does not answer",
        s75="timed out; the task goes on",
        s130="Ctrl-C; the task goes on",
    ),
)
@options.task
@click.option("--timeout", "timeout_s", type=click.FloatRange(0), help="Seconds after which to give up.  [default: no limit]")
@options.as_json
def command(*, task: str, timeout_s: float | None, as_json: bool) -> int:
    """Print what happens to a task as it comes: steps, questions, links, a stop's receipts; until it ends.

    TASK is its id, or at least four of its last characters. With --json each event is a line, as the backend keeps it.
    """
    found = lookup.find(task)
    watcher = Watcher(Backend(found.base_url, os.environ), found.task_id, as_json=as_json)
    return watcher.until(None if timeout_s is None else time.monotonic() + timeout_s)


class Watcher:
    """Follows one task's history.

    Args:
        backend: Where it is kept.
        task_id: The task.
        as_json: Whether events are printed as JSON.
    """

    def __init__(self, backend: Backend, task_id: str, *, as_json: bool) -> None:
        self._backend = backend
        self._task_id = task_id
        self._as_json = as_json
        self._last_seq: int | None = None

    def until(self, deadline: float | None) -> int:
        """Prints the events until the task ends, or the deadline (of ``time.monotonic``); returns the exit status.

        Raises:
            BackendUnreachable: It did not answer at all; once it has, it is waited for.
        """
        away = False
        while True:
            try:
                task = self._backend.task(self._task_id)
                new = self._new(task)
            except BackendUnreachable as error:
                if self._last_seq is None:
                    raise
                if not away:
                    output.warn(f"{error}; still trying")
                away = True
            else:
                away = False
                self._print(new, task)
                if task.status in ENDED:
                    return exits.SUCCESS
            if deadline is not None and time.monotonic() >= deadline:
                output.warn("timed out; the task goes on")
                return exits.UNKNOWN_FOR_NOW
            time.sleep(POLL_S)

    def _new(self, task: BackendTask) -> Sequence[BackendEvent]:
        """Returns what came since the last time, the newest last; at first what the task's page shows."""
        events = list(task.events)
        for _ in range(_MOST_PAGES):
            if self._last_seq is None or not events or events[0].seq <= self._last_seq + 1:
                break
            older, _ = self._backend.events_before(self._task_id, events[0].seq, limit=_PAGE)
            if not older:
                break
            events = [*older, *events]
        new = [each for each in events if self._last_seq is None or each.seq > self._last_seq]
        self._last_seq = max([self._last_seq or 0, *(each.seq for each in new)])
        return new

    def _print(self, events: Sequence[BackendEvent], task: BackendTask) -> None:
        if self._as_json:
            for each in events:
                output.print_json_line(each.details)
            return
        for line in _lines(events, task):
            click.echo(line)


def _lines(events: Sequence[BackendEvent], task: BackendTask) -> Iterator[str]:
    for each in history.without_quiet_beats(events):
        yield f"{times.clock(each.at)}  {history.describe(each, task)}"
