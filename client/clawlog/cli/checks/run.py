"""Which checks are made: all of them for ``clawlog doctor``; for ``clawlog status`` those that are quick."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from clawlog.cli.checks import agents, backends, daemons, program, sandbox, sockets, state
from clawlog.cli.checks.agents import AgentState
from clawlog.cli.checks.environment import Environment
from clawlog.cli.checks.findings import Finding, Verdict
from clawlog.cli.checks.program import Setting
from clawlog.cli.render.views import DaemonView
from clawlog.cli.sources import lookup

_QUICK_S = 2.0


def run_all(environment: Environment) -> tuple[list[Finding], list[Setting], list[AgentState]]:
    """Makes all checks; returns all findings, the daemon's settings, and the coding agents that are here."""
    installed = program.configuration(environment)
    if closed := list(sandbox.inside(environment)):  # else each check would find the same
        return [*program.versions(environment, installed), *installed.findings, *closed], [*installed.settings], []
    view, reported = daemons.answering(environment, startable=installed.startable)
    about_agents, found = agents.reporting(environment, lookup.known() if view is not None else ())
    findings = [
        *program.versions(environment, installed),
        *installed.findings,
        *state.folder(environment),
        *state.disk(environment),
        *state.spooled(environment),
        *sockets.listening(environment),
        *reported,
        *backends.reachable(environment, view),
        *backends.spoken_to(view),
        *about_agents,
    ]
    return findings, [*installed.settings], found


def beside_daemon(environment: Environment, view: DaemonView) -> list[Finding]:
    """Returns the problems that the running daemon does not report itself."""
    found = [
        *state.folder(environment),
        *state.disk(environment),
        *sockets.listening(environment),
        *daemons.same(environment, view),
    ]
    lane = view.lane(backends.default_url(environment, view))
    if lane is None or not lane.is_broken:  # else the daemon reports it, with more detail
        asked = backends.reachable(environment, view, timeout_s=_QUICK_S)
        found += map(_milder, asked) if lane is None else (each for each in asked if each.check == "clock")
    return _wrong(found)


def without_daemon(environment: Environment, reason: str) -> list[Finding]:
    """Returns the problems where no daemon runs, which may be why.

    Args:
        environment: The user's set-up.
        reason: Why it is taken not to run.
    """
    installed = program.configuration(environment)
    found = [
        *installed.findings,
        *state.folder(environment),
        *state.disk(environment),
        *sockets.listening(environment),
        *daemons.absent(environment, reason, startable=installed.startable),
        *backends.reachable(environment, None, timeout_s=_QUICK_S),
    ]
    return _wrong(found)


def _milder(finding: Finding) -> Finding:
    """A backend that nothing was sent to yet may never be needed: its fault counts as a warning."""
    return replace(finding, verdict=Verdict.WARNING) if finding.verdict is Verdict.FAULT else finding


def _wrong(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.verdict is not Verdict.OK]
