"""``clawlog status``: how the daemon stands, on one screen.

During an outage it has to answer four questions: since when, why, how much waits, and how long it can go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from clawlog.cli import daemon, exits, options, output, times, views
from clawlog.cli.daemon import NotRunning
from clawlog.cli.views import DaemonView
from clawlog.errors import DaemonUnreachable

if TYPE_CHECKING:
    from rich.console import RenderableType

_STYLES = {"idle": "green", "delivering": "green", "retrying": "yellow"}


@click.command(
    short_help="How the daemon stands: what waits, since when, for how long it can.",
    epilog=exits.epilog(
        ("clawlog status", "one screen"),
        ("clawlog status --json | jq .problems", "for programs"),
        s0="healthy",
        s1="degraded: an outage, refused events, a full disk; the screen says which",
        s3="the daemon does not run",
    ),
)
@options.as_json
def command(*, as_json: bool) -> int:
    """Show how the daemon stands: its backends, what waits for them, since when and why, and for how long it can go on.

    It only looks: no daemon is started.
    """
    try:
        answer = daemon.status()
    except NotRunning as error:
        return _not_running(str(error), as_json=as_json)
    except DaemonUnreachable as error:
        if as_json:
            output.print_json({"running": True, "healthy": False, "problems": [str(error)]})
        else:
            output.warn(f"degraded: {error}")
        return exits.FAILED
    view = views.daemon(answer)
    if as_json:
        output.print_json({"running": True, **answer})
    else:
        output.draw(*_screen(view))
    return exits.SUCCESS if view.healthy else exits.FAILED


def _not_running(reason: str, *, as_json: bool) -> int:
    waiting = daemon.spooled_calls()
    if as_json:
        output.print_json({"running": False, "healthy": False, "problems": [reason], "spooled_calls": waiting})
    else:
        click.echo(f"not running  {reason}")
        if waiting:
            click.echo(f"{waiting} script calls wait in the spool: the next daemon delivers them")
        click.echo("The next script call starts one; or: clawlog up, clawlogd")
    return exits.NOT_RUNNING


def _screen(view: DaemonView) -> Iterator[RenderableType]:
    from rich.text import Text  # noqa: PLC0415 - see output.console

    mark = ("● healthy", "bold green") if view.healthy else ("● degraded", "bold red")
    up, memory = times.duration(view.uptime_s), f"{view.memory_bytes / 1024**2:.0f} MiB"
    yield Text.assemble(mark, f"   clawlogd {view.version}, process {view.pid}, up {up}, {memory}")
    for problem in view.problems:
        yield Text.assemble(("  ! ", "red"), problem)
    yield _facts(view)
    yield Text()
    if view.backends:
        yield _lanes(view)
    else:
        yield Text("no backend yet: the first task brings one", style="dim")


def _facts(view: DaemonView) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415 - see output.console

    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    tasks, outbox = view.tasks, view.outbox
    facts.add_row("tasks", f"{tasks.known} known: {tasks.live} live, {tasks.lost} lost, {tasks.stopping} asked to stop")
    facts.add_row(
        "waiting", f"{_count(outbox.pending, 'event')}, {outbox.bytes / 1024**2:.1f} MiB; {outbox.dead_letters} refused"
    )
    facts.add_row("room", _room(view))
    facts.add_row("socket", ", ".join(each for each in (view.socket, view.zmq) if each) or "none")
    facts.add_row("state", view.state_dir)
    return facts


def _room(view: DaemonView) -> str:
    """How long it can go on: the question during an outage."""
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
            Text(lane.state, style=_STYLES.get(lane.state, "bold red")),
            _age(None if lane.outage_since is None else times.age_s(lane.outage_since)),
            str(lane.pending),
            _age(lane.oldest_age_s),
            str(lane.delivered),
        )
    return lanes


def _age(seconds: float | None) -> str:
    return "-" if seconds is None else times.age(seconds)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
