"""A sandbox as coding agents have them, by bubblewrap: a read-only home, no network, process ids of its own, no Unix sockets.

What of the outside may be written to is named; all else is there to be read, the real /tmp among it: the drop of whoever runs
the tests is never touched.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from functools import cache
from pathlib import Path

import pytest


class Sockets(Enum):
    """What becomes of Unix sockets."""

    ALLOWED = "allowed"
    NO_CONNECT = "connecting is refused"
    """As in Codex's sandbox."""
    NONE = "none can be made"
    """As in Claude Code's."""


# Of <linux/seccomp.h>, <linux/audit.h>, <linux/filter.h>.
_ALLOW, _EPERM = 0x7FFF0000, 0x00050001
_ARCHITECTURES = {"x86_64": (0xC000003E, 41, 42), "aarch64": (0xC00000B7, 198, 203)}  # and the calls socket, connect
_AF_UNIX = 1
_LOAD, _IS, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16


def seccomp_filter(sockets: Sockets) -> bytes:
    """A program for the kernel that refuses Unix sockets with EPERM, as ``bwrap --seccomp`` takes it."""
    architecture, make, connect = _ARCHITECTURES[os.uname().machine]
    if sockets is Sockets.NONE:
        refused = [(_LOAD, 0, 0, _NUMBER), (_IS, 0, 3, make), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_IS, 0, 1, _AF_UNIX)]
    else:
        refused = [(_LOAD, 0, 0, _NUMBER), (_IS, 0, 1, connect)]
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE), (_IS, 1, 0, architecture), (_RETURN, 0, 0, _ALLOW),
        *refused,
        (_RETURN, 0, 0, _EPERM), (_RETURN, 0, 0, _ALLOW),
    ]  # fmt: skip
    return b"".join(struct.pack("=HBBI", *each) for each in program)


@cache
def why_not() -> str | None:
    """Why no sandbox can be made here; None where one can."""
    if (bwrap := shutil.which("bwrap")) is None:
        return "bubblewrap is not installed"
    if os.uname().machine not in _ARCHITECTURES:
        return f"no filter for {os.uname().machine}"
    command = [bwrap, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-pid", "--unshare-net", "true"]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return None if tried.returncode == 0 else f"the kernel forbids sandboxes: {tried.stderr.strip()}"


def needs_sandbox() -> None:
    """Skips a test, with the reason, where no sandbox can be made."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)


class Sandbox:
    """Runs programs in a sandbox.

    Args:
        tmp: What is its /tmp, to be written to.
        writable: What else of the outside may be written to.
        sockets: What becomes of Unix sockets.
    """

    def __init__(self, tmp: Path | None, writable: Sequence[Path] = (), sockets: Sockets = Sockets.NO_CONNECT) -> None:
        self._binds = [each for path in writable for each in ("--bind", str(path), str(path))]
        self._tmp = ["--bind", str(tmp), "/tmp"] if tmp is not None else []
        self._sockets = sockets

    def command(self, command: Sequence[str], cwd: Path, filter_fd: int | None) -> list[str]:
        """The command line that runs another in it."""
        seccomp = [] if filter_fd is None else ["--seccomp", str(filter_fd)]
        options = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", *self._tmp, *self._binds]
        options += ["--unshare-pid", "--unshare-net", "--die-with-parent", "--chdir", str(cwd)]
        return [shutil.which("bwrap") or "bwrap", *options, *seccomp, "--", *command]

    @contextmanager
    def filter(self) -> Iterator[int | None]:
        """A descriptor of the filter, to be passed on."""
        if self._sockets is Sockets.ALLOWED:
            yield None
            return
        with tempfile.TemporaryFile() as file:
            file.write(seccomp_filter(self._sockets))
            file.flush()
            file.seek(0)
            yield file.fileno()

    def run(self, command: Sequence[str], env: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
        """Runs a program to its end."""
        with self.filter() as fd:
            return subprocess.run(
                self.command(command, cwd, fd), env=dict(env), pass_fds=[] if fd is None else [fd],
                capture_output=True, text=True, encoding="utf-8", timeout=30, check=False,
            )  # fmt: skip
