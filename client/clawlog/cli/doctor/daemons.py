"""Does the daemon answer, is it of this version, is it the one that has this state, and is it well?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import version

from clawlog import autostart
from clawlog.cli import daemon, times, views
from clawlog.cli.daemon import NotRunning
from clawlog.cli.doctor import sockets
from clawlog.cli.doctor.findings import Finding, fault, ok, warning
from clawlog.cli.doctor.place import Place
from clawlog.cli.views import DaemonView
from clawlog.errors import ClawlogError
from clawlog.protocol import limits


def answering(place: Place) -> Iterator[Finding]:
    """The daemon's own word on itself."""
    holder = sockets.lock_holder(place)
    try:
        view = views.daemon(daemon.status())
    except NotRunning as error:
        yield from _absent(place, holder, str(error))
        return
    except ClawlogError as error:
        who, what = (f"process {holder} may hang", f"end it (kill {holder}), and") if holder else ("it may hang", "end it, and")
        yield fault("daemon", f"{error}: {who}", f"{what} look at its log")
        return
    yield from _same(place, view)
    if view.healthy:
        yield ok("daemon", f"process {view.pid}, up {times.duration(view.uptime_s)}, healthy")
    for problem in view.problems:
        yield fault("daemon", problem, "see: clawlog status")


def _absent(place: Place, holder: int | None, reason: str) -> Iterator[Finding]:
    if holder is not None:
        yield fault(
            "daemon",
            f"{reason}, but process {holder or '?'} has the state folder {place.state_dir}",
            "it listens elsewhere: set CLAWLOG_SOCKET to its socket, or end it",
        )
    elif not autostart.is_wanted(place.env):
        yield fault("daemon", f"{reason}, and CLAWLOG_AUTOSTART=0 forbids to start one", "start one: clawlogd, or a service")
    elif place.program is None:
        yield fault("daemon", f"{reason}, and clawlogd is not installed", "pipx install clawlog-status-sync")
    else:
        yield ok("daemon", "does not run; the next script call starts it")


def _same(place: Place, view: DaemonView) -> Iterator[Finding]:
    own = version("clawlog-status-sync")
    if view.protocol != limits.PROTOCOL_VERSION:
        found = f"it speaks protocol {view.protocol}, this command {limits.PROTOCOL_VERSION}"
        yield fault("daemon", found, "end it after an upgrade: the next call starts the new one")
    elif view.version != own:
        found = f"it is version {view.version}, this command {own}"
        yield warning("daemon", found, f"end it (kill {view.pid}): the next call starts the new one")
    if os.path.realpath(view.state_dir) != os.path.realpath(place.state_dir):
        yield warning(
            "daemon",
            f"it keeps its state in {view.state_dir}, but without it scripts here would write to {place.state_dir}",
            "set CLAWLOG_STATE_DIR, or CLAWLOG_SOCKET, so that both fit",
        )
