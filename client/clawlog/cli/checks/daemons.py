"""Checks the daemon: whether it answers, has this version and this state folder, and is healthy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import version

from clawlog import autostart, locations
from clawlog.cli.checks import sockets
from clawlog.cli.checks.environment import Environment
from clawlog.cli.checks.findings import Finding, fault, ok, warning
from clawlog.cli.render import times, views
from clawlog.cli.render.views import DaemonView
from clawlog.cli.sources import daemon
from clawlog.cli.sources.daemon import NotRunning
from clawlog.connection import address
from clawlog.connection.address import Kind
from clawlog.errors import ClawlogError
from clawlog.protocol import vocabulary

_REMEDIES = {
    "outage": "start that backend, or correct its address (CLAWLOG_BASE_URL, --base-url); waiting events are kept",
    "no_contract": "correct its address; or write a contract for it, as docs/foreign-servers.md shows",
    "unauthorized": "put that backend's token into a file of mode 600 and set CLAWLOG_TOKEN_FILE to its path",
}
"""The remedy for a lane's state."""

_RELOAD_FAILED = "the settings could not be read again"


def answering(environment: Environment, *, startable: bool) -> tuple[DaemonView | None, list[Finding]]:
    """Returns the daemon's status, where one runs, and the findings about it.

    Args:
        environment: The user's set-up.
        startable: Whether its settings would let one start, where none runs.
    """
    try:
        view = views.daemon(daemon.status())
    except NotRunning as error:
        return None, list(absent(environment, str(error), startable=startable))
    except ClawlogError as error:
        holder = sockets.lock_holder(environment)
        who, what = (f"process {holder} may hang", f"end it (kill {holder}), and") if holder else ("it may hang", "end it, and")
        return None, [fault("daemon", f"{error}: {who}", f"{what} see its log")]
    return view, [*same(environment, view), *_health(view)]


def remedy(problem: str, view: DaemonView) -> str | None:
    """Returns the remedy for a problem that the daemon reports; None where the problem itself says it."""
    if view.outbox.storage_error and view.outbox.storage_error in problem:
        return f"free some space on the disk of {view.state_dir}"
    if problem.startswith(_RELOAD_FAILED):
        return "correct the file, then reload (systemctl reload, or SIGHUP)"
    lane = next((each for each in view.backends if each.base_url in problem.split()), None)
    return _REMEDIES.get(lane.state) if lane is not None else None


def absent(environment: Environment, reason: str, *, startable: bool) -> Iterator[Finding]:
    """Returns the findings where no daemon runs.

    Args:
        environment: The user's set-up.
        reason: Why it is taken not to run.
        startable: Whether its settings would let it start.
    """
    holder = sockets.lock_holder(environment)
    if holder is not None:
        yield fault(
            "daemon",
            f"{reason}, but process {holder or '?'} has the state folder {environment.state_dir}",
            "it listens elsewhere: set CLAWLOG_SOCKET to its socket, or end it",
        )
    elif not autostart.is_wanted(environment.variables):
        yield fault(
            "daemon", f"{reason}, and CLAWLOG_AUTOSTART=0 forbids starting one", "start it with `clawlog up` or `clawlogd`"
        )
    elif environment.program is None:
        yield fault("daemon", f"{reason}, and clawlogd is not installed", "pipx install . in a clone of its repository")
    else:
        yield ok("daemon", "not running; the next script call starts it" if startable else "not running")


def _health(view: DaemonView) -> Iterator[Finding]:
    if view.healthy:
        yield ok("daemon", f"process {view.pid}, up {times.duration(view.uptime_s)}, healthy")
    for problem in view.problems:
        yield fault("daemon", problem, remedy(problem, view) or "see docs/troubleshooting.md")


def same(environment: Environment, view: DaemonView) -> Iterator[Finding]:
    """Checks that the daemon has this version, and the state folder that scripts here would use."""
    own = version("clawlog-status-sync")
    if view.protocol != vocabulary.PROTOCOL_VERSION:
        found = f"it speaks protocol {view.protocol}, this command {vocabulary.PROTOCOL_VERSION}"
        yield fault("daemon", found, f"restart it (kill {view.pid}): the next call starts the installed version")
    elif view.version != own:
        found = f"it is version {view.version}, this command {own}"
        yield warning("daemon", found, f"restart it (kill {view.pid}): the next call starts the installed version")
    if not _is_shared(environment) and os.path.realpath(view.state_dir) != os.path.realpath(environment.state_dir):
        yield warning(
            "daemon",
            f"it keeps its state in {view.state_dir}, but scripts here would use {environment.state_dir}",
            "set CLAWLOG_STATE_DIR, or CLAWLOG_SOCKET, so that both agree",
        )


def _is_shared(environment: Environment) -> bool:
    """Whether the daemon runs on another machine or for the whole system: its state folder is not its callers'."""
    where = address.parse(environment.address)
    return where.kind is Kind.ZMQ_TCP or os.path.dirname(where.path) == locations.SYSTEM_SOCKET_DIR
