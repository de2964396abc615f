"""Checks the daemon's socket: whether it is where callers expect it, private, and served by the right daemon."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from collections.abc import Iterator

from clawlog.cli.checks.environment import Environment
from clawlog.cli.checks.findings import Finding, fault, ok, warning
from clawlog.connection import address
from clawlog.connection.address import Address, Kind
from clawlog.errors import BadAddress

_MAX_PATH_BYTES = 107
_LOCK_NAME = "clawlogd.lock"
_PROBE_LIMIT_S = 2.0


def listening(environment: Environment) -> Iterator[Finding]:
    """Checks the socket, as callers find it."""
    try:
        where = address.parse(environment.address)
    except BadAddress as error:
        yield fault("socket", str(error), "correct CLAWLOG_SOCKET, or unset it")
        return
    if where.kind is Kind.ZMQ_TCP:
        yield ok("socket", f"{where}, over the network")
    else:
        yield _local(where)


def _local(where: Address) -> Finding:
    path = where.path
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        return fault("socket", f"{path} is longer than {_MAX_PATH_BYTES} bytes", "set CLAWLOG_SOCKET to a shorter path")
    if path.startswith("\0"):
        return warning("socket", f"{where} can be reached by every user", "use a socket with a path")
    if (problem := _folder_problem(os.path.dirname(path))) is not None:
        return problem
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return ok("socket", f"{path} (not there yet)")
    except OSError as error:
        return fault("socket", f"{path}: {error.strerror}", "see that its folder is yours, or set CLAWLOG_SOCKET")
    if not stat.S_ISSOCK(found.st_mode):
        return fault("socket", f"{path} is not a socket", "move it away: the daemon does not overwrite it")
    if found.st_uid not in (os.geteuid(), 0):
        return fault("socket", f"{path} belongs to user {found.st_uid}", "set CLAWLOG_SOCKET to your own daemon's")
    if found.st_mode & 0o007:
        mode = stat.S_IMODE(found.st_mode)
        return warning("socket", f"{path} is open to all (mode {mode:o})", f"chmod 600 {path}")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_PROBE_LIMIT_S)
            probe.connect(path)
    except ConnectionRefusedError:
        return warning(
            "socket",
            f"{path} is left over from a daemon that has ended",
            "the next daemon replaces it; any script call starts one",
        )
    except OSError as error:
        return fault(
            "socket", f"{path}: {error.strerror or 'does not answer'}", "see whose it is (ls -l), or set CLAWLOG_SOCKET"
        )
    return ok("socket", path)


def _folder_problem(path: str) -> Finding | None:
    """Returns what is wrong with the socket's folder, by the daemon's own rules; the folder need not exist."""
    try:
        found = os.lstat(path)
    except OSError:
        return None  # the check of the socket itself says why
    if stat.S_ISLNK(found.st_mode):
        return fault("socket", f"{path} is a symbolic link", "set CLAWLOG_SOCKET to a path in the folder itself")
    if found.st_uid not in (os.geteuid(), 0):
        return fault("socket", f"{path} belongs to user {found.st_uid}", "set CLAWLOG_SOCKET to a path in a folder of yours")
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        mode = stat.S_IMODE(found.st_mode)
        found_there = f"{path}: others may write there (mode {mode:o}), and could put a socket of theirs in its place"
        return fault("socket", found_there, f"chmod go-w {path}")
    return None


def lock_holder(environment: Environment) -> int | None:
    """Returns the process that holds the state folder, if one does; 0 where its id is unknown."""
    try:
        fd = os.open(os.path.join(environment.state_dir, _LOCK_NAME), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            text = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
            return int(text) if text.isdecimal() else 0
        return None
    finally:
        os.close(fd)
