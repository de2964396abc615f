"""``clawlog stop TASK``: asks the task's backend for a soft stop, as the dashboard does, and can follow it."""

from __future__ import annotations

import getpass
import os
import time
from dataclasses import asdict

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.epilogs import epilog
from clawlog.cli.errors import BackendUnreachable
from clawlog.cli.render import output, times
from clawlog.cli.render.backend_views import BackendTask, Receipts
from clawlog.cli.render.receipts import receipt_lines
from clawlog.cli.render.views import ENDED
from clawlog.cli.sources import lookup
from clawlog.cli.sources.backend import Backend

POLL_S = 0.25
DEFAULT_TIMEOUT_S = 300.0


@click.command(
    short_help="Ask a task to stop at its next safe boundary.",
    epilog=epilog(
        ("clawlog stop 01a203dc", "ask, and return at once"),
        ("clawlog stop 01a203dc --reason typo --wait", "follow it to the end"),
        s0="the stop is requested; with --wait: the task has ended",
        s65="no such task, the id is ambiguous, or the task has ended",
        s69="the backend does not answer",
        s75="with --wait: timed out; the stop stays requested",
    ),
)
@options.task
@click.option("--reason", help="Why, in your words; the agent sees it.")
@click.option("--wait", is_flag=True, help="Follow the request until the agent has stopped.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0),
    default=DEFAULT_TIMEOUT_S,
    show_default=True,
    help="Seconds that --wait waits.",
)
@options.as_json
def command(*, task: str, reason: str | None, wait: bool, timeout_s: float, as_json: bool) -> int:
    """Ask a task to stop at its next safe boundary. TASK is its id, or the beginning of it.

    The request goes to the task's backend. The daemon sees it there and passes it on to the agent, which stops at its next
    safe boundary and acknowledges. Asking again while a stop is open does not make a second one.
    """
    found = lookup.find(task)
    backend = Backend(found.base_url, os.environ)
    stop = backend.request_stop(found.task_id, reason=reason, requested_by=_person())
    if not as_json:
        click.echo(f"{'requested':<12} {times.clock(stop.requested_at) if stop.requested_at else 'now'}")
    follower = StopFollower(backend, found.task_id, stop, quiet=as_json)
    status = follower.until(time.monotonic() + timeout_s) if wait else exits.SUCCESS
    if as_json:
        output.print_json({"task_id": found.task_id, "base_url": found.base_url, **asdict(follower.stop)})
    return status


class StopFollower:
    """Follows one stop's receipts, and prints each as it comes.

    Attributes:
        stop: Its last known receipts.
    """

    def __init__(self, backend: Backend, task_id: str, stop: Receipts, *, quiet: bool) -> None:
        self.stop = stop
        self._backend = backend
        self._task_id = task_id
        self._quiet = quiet
        self._printed = 0

    def until(self, deadline: float) -> int:
        """Polls until the task has ended, or the deadline (of ``time.monotonic``) has passed; returns the exit status."""
        away = False
        while True:
            try:
                task = self._backend.task(self._task_id)
            except BackendUnreachable as error:
                if not away:
                    output.warn(f"{error}; still trying")
                away = True
            else:
                away = False
                if self._is_over(task):
                    return exits.SUCCESS
            if time.monotonic() >= deadline:
                output.warn("timed out; the stop stays requested")
                return exits.UNKNOWN_FOR_NOW
            time.sleep(POLL_S)

    def _is_over(self, task: BackendTask) -> bool:
        if task.stop is not None and task.stop.interrupt_id == self.stop.interrupt_id:
            self.stop = task.stop
        self._print_receipts()
        if self.stop.acknowledged_at is not None:
            return True
        if task.status in ENDED:
            output.warn(f"the task ended ({task.status}) without acknowledging the stop")
            return True
        return False

    def _print_receipts(self) -> None:
        lines = list(receipt_lines(self.stop))
        if not self._quiet:
            for line in lines[self._printed :]:
                click.echo(line)
        self._printed = len(lines)


def _person() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        return None
