"""Checks where events are kept: the state folder, its permissions, the space on its disk, and the spool."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator

from clawlog import locations
from clawlog.cli.checks.environment import Environment
from clawlog.cli.checks.findings import Finding, fault, ok, warning
from clawlog.cli.render.counts import counted
from clawlog.protocol import spool

LOW_BYTES = 256 * 1024**2
FULL_BYTES = 8 * 1024**2


def folder(environment: Environment) -> Iterator[Finding]:
    """Checks who owns the state folder, and who may read it."""
    path = environment.state_dir
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        yield from _missing(path)
        return
    except OSError as error:
        yield fault("state", f"{path}: {error.strerror}", "make it reachable, or set CLAWLOG_STATE_DIR")
        return
    if stat.S_ISLNK(found.st_mode):
        yield fault("state", f"{path} is a symbolic link", "set CLAWLOG_STATE_DIR to the folder itself")
    elif not stat.S_ISDIR(found.st_mode):
        yield fault("state", f"{path} is not a folder", "move it away, or set CLAWLOG_STATE_DIR")
    elif found.st_uid != os.geteuid():
        yield fault(
            "state", f"{path} belongs to user {found.st_uid}, not to {os.geteuid()}", "set CLAWLOG_STATE_DIR to your own"
        )
    elif not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        yield fault("state", f"{path} cannot be written", f"chmod 700 {path}")
    elif stat.S_IMODE(found.st_mode) & 0o077:
        yield warning("state", f"{path} is open to others (mode {stat.S_IMODE(found.st_mode):o})", f"chmod 700 {path}")
    else:
        yield ok("state", path)


def disk(environment: Environment) -> Iterator[Finding]:
    """Checks the space on the disk, on which events wait during an outage."""
    path = environment.state_dir
    while not os.path.isdir(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    try:
        free_bytes = shutil.disk_usage(path).free
        inodes = os.statvfs(path)
    except OSError as error:
        yield fault("disk", f"{path}: {error.strerror}", "make it reachable, or set CLAWLOG_STATE_DIR")
        return
    free = f"{free_bytes / 1024**2:,.0f} MiB free at {path}"
    if free_bytes < FULL_BYTES or (inodes.f_files and not inodes.f_favail):
        yield fault("disk", f"full: {free}, {inodes.f_favail} files", "free some space: nothing is accepted until then")
    elif free_bytes < LOW_BYTES:
        yield warning("disk", f"nearly full: {free}", "free some space, or lower outbox.max_bytes")
    else:
        yield ok("disk", free)


def spooled(environment: Environment) -> Iterator[Finding]:
    """Checks the calls that scripts stored because no daemon could be reached."""
    path = os.path.join(environment.state_dir, locations.SPOOL_NAME)
    waiting = _count(path)
    refused = _count(os.path.join(path, "refused"))
    if refused:
        found = f"{counted(refused, 'call')} could not be used"
        yield warning("spool", found, f"see {path}/refused, and remove what is not needed")
    elif waiting:
        found = f"{counted(waiting, 'call', 'wait')} for a daemon"
        yield warning("spool", found, "start one: any script call does, or clawlogd")
    else:
        yield ok("spool", "empty")


def _missing(path: str) -> Iterator[Finding]:
    parent = path
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    if os.access(parent, os.W_OK | os.X_OK):
        yield ok("state", f"{path} (created when first needed)")
    else:
        yield fault(
            "state", f"{path} cannot be created: you may not write to {parent}", "set CLAWLOG_STATE_DIR to a folder of yours"
        )


def _count(path: str) -> int:
    try:
        return sum(name.endswith(spool.SUFFIX) for name in os.listdir(path))
    except OSError:
        return 0
