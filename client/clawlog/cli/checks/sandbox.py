"""Checks what is open and what is closed where this runs in a coding agent's sandbox; nothing is made or written for that."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping

from clawlog import drop, locations
from clawlog.cli.checks.environment import Environment
from clawlog.cli.checks.findings import Finding, fault, ok, warning
from clawlog.connection import address
from clawlog.connection.address import Kind
from clawlog.errors import BadAddress

_LIMIT_S = 2.0
_MARKS = (("CODEX_SANDBOX_NETWORK_DISABLED", "Codex's sandbox"), ("SANDBOX_RUNTIME", "Claude Code's sandbox"))


def inside(environment: Environment) -> Iterator[Finding]:
    """Checks the ways out and in. Finds nothing where the daemon's socket is not forbidden."""
    if not _is_closed(environment):
        return
    env = environment.variables
    name = next((name for variable, name in _MARKS if env.get(variable)), "a sandbox")
    daemon = drop.daemon(env)
    closed = f"this runs in {name}: the daemon's socket is closed"
    place = _place(env, daemon)
    if place is None:
        yield fault(
            "sandbox",
            f"{closed}, and neither the spool nor a drop can be written to: checks for a stop work, what is reported is lost",
            "let the agent write to a folder, and set CLAWLOG_DROP to it, here and for clawlogd",
        )
    elif not daemon.alive:
        yield warning(
            "sandbox",
            f"{closed}, and none is seen to run; calls wait in {place}",
            "start one outside of the sandbox: clawlogd, or any call of a script there",
        )
    elif daemon.rank(place) > 1 and not place.endswith(f"/{locations.SPOOL_NAME}"):
        yield warning(
            "sandbox",
            f"{closed}; calls go to {place}, which the daemon does not empty",
            "set CLAWLOG_DROP to a folder that both may write to, here and for clawlogd",
        )
    else:
        yield ok("sandbox", f"{closed}; calls go through {place}, and a stop is read from {locations.VIEW_NAME}")


def _is_closed(environment: Environment) -> bool:
    try:
        where = address.parse(environment.address)
    except BadAddress:
        return False
    if where.kind is Kind.ZMQ_TCP:
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_LIMIT_S)
            probe.connect(where.path)
    except PermissionError:
        return not os.path.lexists(where.path) or os.stat(where.path, follow_symlinks=False).st_uid == os.geteuid()
    except OSError:
        return False
    return False


def _place(env: Mapping[str, str], daemon: drop.Daemon) -> str | None:
    """Where a call would go; None where nothing can be written."""
    spool = os.path.join(locations.state_dir(env), locations.SPOOL_NAME)
    if _may_write(spool):
        return spool
    places = sorted(drop.places(env), key=daemon.rank)
    return next((each for each in places if _is_own(each) and _may_write(each)), None)


def _is_own(path: str) -> bool:
    try:
        locations.check_drop(path)
    except FileNotFoundError:
        return True  # to be made
    except (OSError, locations.Unfit):
        return False
    return True


def _may_write(path: str) -> bool:
    while not os.path.lexists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return os.access(path, os.W_OK | os.X_OK)
