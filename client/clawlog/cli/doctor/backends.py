"""Does the default backend answer, is it one, does it take our token, and does its clock agree with this machine's?"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from clawlog.cli import configuration
from clawlog.cli.backend_http import Backend
from clawlog.cli.configuration import Configuration
from clawlog.cli.doctor.findings import Finding, fault, ok, warning
from clawlog.cli.doctor.place import Place
from clawlog.cli.errors import BackendRefused, BackendUnreachable, CommandError

SKEW_S = 10.0
_EARLIEST_YEAR = 2025
"""Before this version was made, no clock can rightly be."""


def reachable(place: Place) -> Iterator[Finding]:
    """The default backend, asked as the daemon asks it."""
    try:
        settings = configuration.load(place.env)
        backend = Backend(settings.base_url, place.env)
    except CommandError as error:
        yield fault("backend", str(error), "mend that file or variable")
        return
    yield from _token(settings)
    try:
        date = backend.date()
    except BackendUnreachable as error:
        yield fault("backend", str(error), "start it (clawlog up), or set CLAWLOG_BASE_URL to where it is")
    except BackendRefused as error:
        yield fault("backend", str(error), _advice(error.code))
    else:
        yield ok("backend", settings.base_url)
        yield from _clock(date)


def _advice(code: int) -> str:
    if code in (401, 403):
        return "put the backend's token into a file of mode 600 and set CLAWLOG_TOKEN_FILE to its path"
    if code == 404 or code < 400:
        return "that is no ClawLog backend: set CLAWLOG_BASE_URL to one, without /api"
    return "look at the backend's log"


def _token(settings: Configuration) -> Iterator[Finding]:
    path = settings.token_file
    if path is None:
        return
    mode = stat.S_IMODE(os.stat(path).st_mode)  # it has just been read
    if mode & 0o077:
        yield warning("token", f"{path} can be read by others (mode {mode:o})", f"chmod 600 {path}")
    else:
        yield ok("token", path)


def _clock(date: str | None) -> Iterator[Finding]:
    now = datetime.now(UTC)
    if now.year < _EARLIEST_YEAR:
        yield fault("clock", f"this machine thinks it is {now:%Y-%m-%d}", "set its clock: the events' times come from it")
        return
    try:
        skew_s = (now - parsedate_to_datetime(date or "")).total_seconds()
    except (TypeError, ValueError):
        yield ok("clock", "the backend does not tell its own")
        return
    if abs(skew_s) > SKEW_S:
        which = "behind" if skew_s < 0 else "ahead of"
        yield warning("clock", f"{abs(skew_s):.0f} s {which} the backend's", "set the clock of one of them; see: timedatectl")
    else:
        yield ok("clock", "agrees with the backend's")
