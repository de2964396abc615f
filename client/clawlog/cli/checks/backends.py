"""Checks the default backend: whether it answers, is one, accepts the token, and has a clock that agrees with this machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from clawlog.cli.checks.environment import Environment
from clawlog.cli.checks.findings import Finding, fault, ok, warning
from clawlog.cli.errors import BackendRefused, BackendUnreachable, CommandError
from clawlog.cli.render import times
from clawlog.cli.render.contracts import IN_FORCE, reason
from clawlog.cli.render.views import DaemonView
from clawlog.cli.sources import configuration, daemon
from clawlog.cli.sources.backend import TIMEOUT_S, Backend
from clawlog.cli.sources.configuration import Configuration

SKEW_S = 10.0
_EARLIEST_YEAR = 2025
"""No clock can be right that shows a time before this version."""


def default_url(environment: Environment, view: DaemonView | None) -> str:
    """Returns the backend of tasks that name none: the environment's, else the running daemon's, else the configured one.

    Raises:
        CommandError: The configuration cannot be read.
    """
    if named := environment.variables.get("CLAWLOG_BASE_URL"):
        return named.rstrip("/")
    return view.base_url if view is not None else configuration.load(environment.variables).base_url


def reachable(environment: Environment, view: DaemonView | None, *, timeout_s: float = TIMEOUT_S) -> Iterator[Finding]:
    """Checks the default backend with a request like the daemon's.

    Args:
        environment: The user's set-up.
        view: The daemon's status, where one runs.
        timeout_s: How long to wait for an answer.
    """
    try:
        settings = configuration.load(environment.variables)
        backend = Backend(default_url(environment, view), environment.variables, timeout_s=timeout_s)
    except CommandError as error:
        yield fault("backend", str(error), "correct that file or variable")
        return
    yield from _token(settings)
    try:
        date = backend.date()
    except BackendUnreachable as error:
        advice = "start it with `clawlog up`, or set CLAWLOG_BASE_URL to its address"
        if "certificate" in str(error):
            advice = "name its authority's certificate in http.ca_file"
        yield fault("backend", str(error), advice)
    except BackendRefused as error:
        yield _refusal(error, backend.base_url, view)
        yield from _clock(error.date)
    else:
        yield ok("backend", backend.base_url)
        yield from _clock(date)


def _refusal(error: BackendRefused, base_url: str, view: DaemonView | None) -> Finding:
    lane = view.lane(base_url) if view is not None else None
    if error.code in (401, 403):
        if lane is not None and lane.delivered and not lane.is_broken:
            return warning(
                "backend",
                f"{base_url} accepts the daemon's token, but this command has none or a wrong one",
                "set CLAWLOG_TOKEN_FILE here, too: clawlog show and clawlog stop need it",
            )
        advice = "put the backend's token into a file of mode 600 and set CLAWLOG_TOKEN_FILE to its path"
    elif error.code == 404 or error.code < 400:
        return _stranger(error, base_url, view)
    else:
        advice = "see the backend's log"
    return fault("backend", str(error), advice)


def _stranger(error: BackendRefused, base_url: str, view: DaemonView | None) -> Finding:
    """A server that does not answer as the standard contract says: none at all, or one that is spoken to in its own way."""
    spoken = daemon.contract_of(base_url) if view is not None else None
    if spoken is not None and spoken.state == "found":
        return ok("backend", f"{base_url}, which is spoken to in its own way")
    advice = "this is not a ClawLog backend: set CLAWLOG_BASE_URL to one, without /api"
    return fault("backend", str(error), f"{advice}; or see what is known of it: clawlog contract show {base_url}")


def spoken_to(view: DaemonView | None) -> Iterator[Finding]:
    """Says of each backend of the running daemon how it is spoken to."""
    urls = () if view is None else tuple(dict.fromkeys([view.base_url, *(each.base_url for each in view.backends)]))
    for base_url in urls:
        spoken = daemon.contract_of(base_url)
        if spoken is None:
            continue  # an older daemon, which speaks the standard contract alone; or the backend does not answer
        why = reason(spoken)
        if spoken.state in IN_FORCE:
            how = "as the standard contract says" if spoken.state == "standard" else "in its own way"
            yield ok("contract", f"{base_url} is spoken to {how} ({why})")
        elif spoken.state == "missing":
            found = f"{base_url} has none: nothing is sent to it, nothing is lost"
            yield fault("contract", found, f"clawlog contract show {base_url}")
        else:
            yield ok("contract", f"how {base_url} is spoken to is not known yet ({why or 'nothing was read'})")


def _token(settings: Configuration) -> Iterator[Finding]:
    for path in filter(None, (settings.token_file, *(file for _, file in settings.own_token_files))):
        try:
            mode = stat.S_IMODE(os.stat(path).st_mode)
        except OSError as error:
            yield fault("token", f"{path} cannot be read: {error.strerror}", "create it, or correct token_file")
            continue
        if mode & 0o077:
            yield warning("token", f"{path} can be read by others (mode {mode:o})", f"chmod 600 {path}")
        else:
            yield ok("token", path)


def _clock(date: str | None) -> Iterator[Finding]:
    now = datetime.now(UTC)
    if now.year < _EARLIEST_YEAR:
        yield fault("clock", f"this machine's date is {now:%Y-%m-%d}", "set its clock: events take their times from it")
        return
    try:
        skew_s = (now - parsedate_to_datetime(date or "")).total_seconds()
    except (TypeError, ValueError):
        yield ok("clock", "the backend sends no date")
        return
    if abs(skew_s) > SKEW_S:
        which = "behind" if skew_s < 0 else "ahead of"
        found = f"this machine's clock is {times.duration(abs(skew_s))} {which} the backend's"
        yield warning("clock", found, "set the clock of one of them; see: timedatectl")
    else:
        yield ok("clock", "agrees with the backend's")
