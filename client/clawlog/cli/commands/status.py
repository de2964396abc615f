"""``clawlog status``: the daemon's health and queue, on one screen.

During an outage it answers four questions: since when, why, how much waits, and how long there is room. Where all is well,
``cli.quick.status`` has answered before this is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict

import click

from clawlog import exits
from clawlog.cli import options
from clawlog.cli.checks.environment import Environment
from clawlog.cli.checks.findings import Finding, Verdict
from clawlog.cli.epilogs import epilog
from clawlog.cli.render import daemon_lines, output, views
from clawlog.cli.render.counts import counted
from clawlog.cli.render.views import DaemonView
from clawlog.cli.sources import daemon
from clawlog.cli.sources.daemon import NotRunning
from clawlog.errors import DaemonUnreachable
from clawlog.protocol.summary import one_line


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

    The first line is about its tasks: how many are in each state; of those that have ended, those of the last 24 hours.
    "daemon ok" is the daemon's own health. Problems outside the daemon (permissions, disk, clock, a daemon that could not
    start) are listed, too. No daemon is started.
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
        shown = daemon_lines.fleet(answer, *daemon.newest_tasks())
        output.print_lines(daemon_lines.screen(answer, shown, _problems(view, findings), healthy=healthy))
    return exits.SUCCESS if healthy else exits.FAILED


def _not_running(reason: str, findings: Sequence[Finding], *, as_json: bool) -> int:
    waiting = daemon.spooled_calls()
    if as_json:
        listed = [asdict(finding) for finding in findings]
        output.print_json(
            {"running": False, "healthy": False, "problems": [reason], "findings": listed, "spooled_calls": waiting}
        )
        return exits.NOT_RUNNING
    output.print_lines([((f"○ not running   {one_line(reason)}", ""),), *daemon_lines.wrong(_problems(None, findings))])
    if waiting:
        click.echo(f"{counted(waiting, 'script call', 'wait')} in the spool; the next daemon delivers them")
    if not any(finding.verdict is Verdict.FAULT and finding.check != "backend" for finding in findings):
        click.echo("The next script call starts it; or run `clawlog up` or `clawlogd`")
    return exits.NOT_RUNNING


def _problems(view: DaemonView | None, findings: Sequence[Finding]) -> list[tuple[str, str | None]]:
    """Returns the problems, each with its advice: the daemon's own, then those of the checks."""
    from clawlog.cli.checks import daemons  # noqa: PLC0415 - the help need not pay for it

    own = [] if view is None else [(each, daemons.remedy(each, view)) for each in view.problems]
    return own + [(f"{each.check}: {each.found}", each.advice) for each in findings]
