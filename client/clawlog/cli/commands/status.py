"""``clawlog status``: the daemon's health and queue, on one screen.

During an outage it answers four questions: since when, why, how much waits, and how long there is room.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.checks.environment import Environment
from clawlog.cli.checks.findings import Finding, Verdict
from clawlog.cli.epilogs import epilog
from clawlog.cli.render import marks, output, times, views
from clawlog.cli.render.counts import counted
from clawlog.cli.render.views import DaemonView
from clawlog.cli.sources import daemon
from clawlog.cli.sources.daemon import NotRunning
from clawlog.errors import DaemonUnreachable

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command(
    short_help="Show the daemon's health and queue.",
    epilog=epilog(
        ("clawlog status", "one screen"),
        ("clawlog status --json | jq .problems", "for programs"),
        s0="healthy",
        s1="degraded: an outage, no contract, refused events or a full disk",
        s3="no daemon is running",
    ),
)
@options.as_json
def command(*, as_json: bool) -> int:
    """Show the daemon's health and queue: how many events wait, since when and why, and how much room is left.

    Problems outside the daemon (permissions, disk, clock, a daemon that could not start) are listed, too. No daemon is started.
    """
    from clawlog.cli.checks import run  # noqa: PLC0415 - the help need not pay for it

    environment = Environment.of(os.environ)
    try:
        answer = daemon.status()
    except NotRunning as error:
        return _not_running(str(error), run.without_daemon(environment, str(error)), as_json=as_json)
    except DaemonUnreachable as error:
        if as_json:
            output.print_json({"running": True, "healthy": False, "problems": [str(error)], "findings": []})
        else:
            output.warn(f"degraded: {error}; see: clawlog doctor")
        return exits.FAILED
    view = views.daemon(answer)
    findings = run.beside_daemon(environment, view)
    healthy = view.healthy and not any(finding.verdict is Verdict.FAULT for finding in findings)
    if as_json:
        output.print_json({"running": True, **answer, "healthy": healthy, "findings": [asdict(each) for each in findings]})
    else:
        output.draw(*_screen(view, findings, healthy=healthy))
    return exits.SUCCESS if healthy else exits.FAILED


def _not_running(reason: str, findings: Sequence[Finding], *, as_json: bool) -> int:
    from rich.text import Text  # noqa: PLC0415 - see output.console

    waiting = daemon.spooled_calls()
    if as_json:
        listed = [asdict(finding) for finding in findings]
        output.print_json(
            {"running": False, "healthy": False, "problems": [reason], "findings": listed, "spooled_calls": waiting}
        )
        return exits.NOT_RUNNING
    output.draw(Text(f"○ not running   {reason}", overflow="fold"), *_problems(None, findings))
    if waiting:
        click.echo(f"{counted(waiting, 'script call', 'wait')} in the spool; the next daemon delivers them")
    if not any(finding.verdict is Verdict.FAULT and finding.check != "backend" for finding in findings):
        click.echo("The next script call starts it; or run `clawlog up` or `clawlogd`")
    return exits.NOT_RUNNING


def _screen(view: DaemonView, findings: Sequence[Finding], *, healthy: bool) -> Iterator[RenderableType]:
    from rich.text import Text  # noqa: PLC0415 - see output.console

    mark = ("● healthy", "bold green") if healthy else ("● degraded", "bold red")
    up, memory = times.duration(view.uptime_s), f"{view.memory_bytes / 1024**2:.0f} MiB"
    yield Text.assemble(mark, f"   clawlogd {view.version}, process {view.pid}, up {up}, {memory}")
    yield from _problems(view, findings)
    yield _details(view)
    yield Text()
    if view.backends:
        yield _lanes(view)
    else:
        yield Text("nothing sent yet", style="dim")


def _problems(view: DaemonView | None, findings: Sequence[Finding]) -> Iterator[RenderableType]:
    """Returns the problems, each with its advice: the daemon's own, then those of the checks."""
    from rich.table import Table  # noqa: PLC0415 - see output.console

    from clawlog.cli.checks import daemons  # noqa: PLC0415 - the help need not pay for it

    shown = Table.grid(padding=(0, 1))
    shown.add_column(no_wrap=True, style="bold red")
    shown.add_column(overflow="fold")
    for problem in view.problems if view is not None else ():
        shown.add_row(" !", output.with_advice(problem, daemons.remedy(problem, view) if view is not None else None))
    for finding in findings:
        shown.add_row(" !", output.with_advice(f"{finding.check}: {finding.found}", finding.advice))
    if shown.row_count:
        yield shown


def _details(view: DaemonView) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415 - see output.console

    details = Table.grid(padding=(0, 2))
    details.add_column(style="dim", no_wrap=True)
    details.add_column(overflow="fold")
    tasks, outbox = view.tasks, view.outbox
    details.add_row("tasks", f"{tasks.known} known: {tasks.live} live, {tasks.lost} lost, {tasks.stopping} asked to stop")
    details.add_row(
        "waiting", f"{counted(outbox.pending, 'event')}, {outbox.bytes / 1024**2:.1f} MiB; {outbox.dead_letters} refused"
    )
    details.add_row("room", _room(view))
    details.add_row("default", view.base_url)
    details.add_row("socket", ", ".join(each for each in (view.socket, view.zmq) if each) or "none")
    details.add_row("state", view.state_dir)
    return details


def _room(view: DaemonView) -> str:
    """Returns how much room is left, and how long it will last: the question during an outage."""
    outbox = view.outbox
    bounds = f"for {outbox.max_events:,} events or {outbox.max_bytes / 1024**3:.1f} GiB"
    if outbox.hours_left is None:
        return bounds
    return f"{bounds}: at {outbox.accepted_per_hour:.0f} an hour, full in {times.duration(outbox.hours_left * 3600)}"


def _lanes(view: DaemonView) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415 - see output.console
    from rich.text import Text  # noqa: PLC0415 - as above

    lanes = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    lanes.add_column("BACKEND", overflow="fold")
    lanes.add_column("STATE", no_wrap=True)
    for name in ("DOWN FOR", "WAITING", "OLDEST", "SENT"):
        lanes.add_column(name, no_wrap=True, justify="right")
    for lane in view.backends:
        lanes.add_row(
            output.shown(lane.base_url),
            Text(lane.state.replace("_", " "), style=marks.lane_style(lane.state)),
            _age(None if lane.outage_since is None else times.age_s(lane.outage_since)),
            str(lane.pending),
            _age(lane.oldest_age_s),
            str(lane.delivered),
        )
    return lanes


def _age(seconds: float | None) -> str:
    return "-" if seconds is None else times.age(seconds)
