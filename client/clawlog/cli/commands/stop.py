"""``clawlog stop TASK…``: asks the tasks' backends for a soft stop, as the dashboard does, and can follow it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.epilogs import epilog
from clawlog.cli.errors import BackendUnreachable
from clawlog.cli.render import ids, output, times
from clawlog.cli.render.backend_views import BackendTask, Receipts
from clawlog.cli.render.receipts import receipt_lines
from clawlog.cli.render.views import ENDED
from clawlog.cli.sources import configuration, many, person
from clawlog.cli.sources.backend import Backend
from clawlog.cli.sources.lookup import Found
from clawlog.cli.sources.many import Outcome

POLL_S = 0.25
DEFAULT_TIMEOUT_S = 300.0
_MOST_OF_A_PROJECT = 500


@click.command(
    short_help="Ask tasks to stop at their next safe boundary.",
    epilog=epilog(
        ("clawlog stop 8803", "ask, and return at once"),
        ("clawlog stop 8803 --reason typo --wait", "follow it to the end"),
        ("clawlog stop --project shop", "all active tasks of a project"),
        s0="the stop is requested; with --wait: the tasks have ended",
        s65="no such task, the id is ambiguous, or the task has ended",
        s69="the backend does not answer",
        s75="with --wait: timed out; the stop stays requested",
    ),
)
@options.live_tasks
@click.option("--project", help="Also all active tasks of this project at the default backend.")
@click.option("--reason", help="Why, in your words; the agent sees it.")
@click.option("--wait", is_flag=True, help="Follow the request until the agents have stopped.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0),
    default=DEFAULT_TIMEOUT_S,
    show_default=True,
    help="Seconds that --wait waits.",
)
@options.as_json
def command(
    *, tasks: tuple[str, ...], project: str | None, reason: str | None, wait: bool, timeout_s: float, as_json: bool
) -> int:
    """Ask tasks to stop at their next safe boundary. Each TASK is an id, or at least four of its last characters.

    The request goes to the task's backend. The daemon sees it there and passes it on to the agent, which stops at its next
    safe boundary and acknowledges. Asking again while a stop is open does not make a second one.
    """
    if not tasks and project is None:
        raise click.UsageError("no task: name one at least, or a --project; see: clawlog tasks")
    named = [*tasks, *(_of_project(project) if project is not None else ())]
    outcomes = many.for_each(
        named, lambda backend, found: _request(backend, found, reason, prefixed=len(named) > 1, quiet=as_json)
    )
    if len(outcomes) == 1 and (error := outcomes[0].error) is not None and project is None:
        raise error
    for each in outcomes:
        if each.error is not None and not as_json:
            output.warn(str(each.error))
    if not outcomes:
        output.warn(f"no active tasks of project {project}")
    status = many.status(outcomes)
    followers = [each.value for each in outcomes if each.value is not None]
    if wait and followers:
        waited = follow(followers, time.monotonic() + timeout_s)
        status = status or waited
    if as_json:
        described = [_described(each) for each in outcomes]
        output.print_json(described[0] if len(tasks) == 1 and project is None else {"tasks": described})
    return status


def _of_project(project: str) -> Sequence[str]:
    backend = Backend(configuration.load(os.environ).base_url, os.environ)
    found = backend.tasks(status="active", project=project, limit=_MOST_OF_A_PROJECT)
    if len(found) == _MOST_OF_A_PROJECT:
        output.warn(f"only the newest {_MOST_OF_A_PROJECT} tasks are asked; repeat it for those that remain")
    # A server that does not know the filter answers with every project's tasks.
    return [each.task_id for each in found if each.metadata.get("project") == project]


def _request(backend: Backend, found: Found, reason: str | None, *, prefixed: bool, quiet: bool) -> StopFollower:
    stop = backend.request_stop(found.task_id, reason=reason, requested_by=person.name())
    follower = StopFollower(backend, found, stop, prefixed=prefixed, quiet=quiet)
    follower.echo(f"{'requested':<12} {times.clock(stop.requested_at) if stop.requested_at else 'now'}")
    return follower


def _described(outcome: Outcome[StopFollower]) -> Mapping[str, Any]:
    if outcome.value is None or outcome.found is None:
        return {"task_id": outcome.task_id, "error": str(outcome.error)}
    return {"task_id": outcome.task_id, "base_url": outcome.found.base_url, **asdict(outcome.value.stop)}


class StopFollower:
    """Follows one stop's receipts, and prints each as it comes.

    Attributes:
        stop: Its last known receipts.
        is_over: Whether the task has acknowledged it, or has ended.
    """

    def __init__(self, backend: Backend, found: Found, stop: Receipts, *, prefixed: bool, quiet: bool) -> None:
        self.stop = stop
        self.is_over = False
        self._backend = backend
        self._task_id = found.task_id
        self._prefix = f"{ids.short(found.task_id, ids.LISTED_CHARS)}  " if prefixed else ""
        self._quiet = quiet
        self._printed = 0
        self._away = False

    def echo(self, line: str) -> None:
        """Prints a line about it."""
        if not self._quiet:
            click.echo(f"{self._prefix}{line}")

    def poll(self) -> None:
        """Asks once how far it has come."""
        try:
            task = self._backend.task(self._task_id)
        except BackendUnreachable as error:
            if not self._away:
                output.warn(f"{error}; still trying")
            self._away = True
        else:
            self._away = False
            self.is_over = self._has_ended(task)

    def _has_ended(self, task: BackendTask) -> bool:
        if task.stop is not None and task.stop.interrupt_id == self.stop.interrupt_id:
            self.stop = task.stop
        self._print_receipts()
        if self.stop.acknowledged_at is not None:
            return True
        if task.status in ENDED:
            output.warn(f"{self._prefix}the task ended ({task.status}) without acknowledging the stop")
            return True
        return False

    def _print_receipts(self) -> None:
        lines = list(receipt_lines(self.stop))
        for line in lines[self._printed :]:
            self.echo(line)
        self._printed = len(lines)


def follow(followers: Sequence[StopFollower], deadline: float) -> int:
    """Follows stops until all tasks have ended, or the deadline (of ``time.monotonic``) has passed; returns the exit status."""
    while True:
        for each in followers:
            if not each.is_over:
                each.poll()
        if all(each.is_over for each in followers):
            return exits.SUCCESS
        if time.monotonic() >= deadline:
            output.warn("timed out; the stop stays requested")
            return exits.UNKNOWN_FOR_NOW
        time.sleep(POLL_S)
