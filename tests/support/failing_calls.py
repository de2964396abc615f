"""Makes one system call of a program fail, and then another, until each has failed that its own code makes.

The interpreter's own start comes first; what fails there is not the program's. From the first look into the library on, all
calls are its own: those of its imports, too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ERRORS = ("EPERM", "EACCES", "ENOENT", "EROFS", "ENOSPC", "EMFILE")

CALLS = frozenset({
    "openat", "newfstatat", "fstat", "statx", "lstat", "stat", "read", "pread64", "write", "pwrite64", "writev", "getdents64",
    "readlink", "readlinkat", "access", "faccessat", "faccessat2", "mkdir", "mkdirat", "link", "linkat", "rename", "renameat",
    "renameat2", "unlink", "unlinkat", "rmdir", "fsync", "fdatasync", "ftruncate", "utimensat", "fchmod", "chmod", "flock",
    "fcntl", "lseek", "ioctl", "getcwd",
    "chdir", "dup", "dup2", "dup3", "socket", "connect", "sendto", "recvfrom", "setsockopt",
    "getsockopt", "poll", "pipe2", "clock_nanosleep", "getrandom", "close", "pidfd_open", "pidfd_send_signal",
})  # fmt: skip
"""Calls that may fail without the memory or the signals being in disorder."""

_LINE = re.compile(r"^\d+\s+(\w+)\(")


@dataclass(frozen=True, slots=True)
class Failing:
    """One call that is made to fail.

    Attributes:
        call: Its name.
        number: The how-manieth of that name it is.
        error: How it fails.
    """

    call: str
    number: int
    error: str

    def __str__(self) -> str:
        return f"{self.call} {self.number}: {self.error}"


class Sweep:
    """All calls of one command line.

    Args:
        command: The interpreter, the program, its arguments.
        env: Its environment.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self._command = list(command)
        self._env = dict(env)

    def run(self, failing: Failing | None = None, trace: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Runs it once."""
        options = ["--seccomp-bpf", "-f", "-o", str(trace or "/dev/null"), "-e", "signal=none"]
        if failing is not None:
            options += [
                "-e",
                f"trace={failing.call}",
                "-e",
                f"inject={failing.call}:error={failing.error}:when={failing.number}",
            ]
        command = [shutil.which("strace") or "strace", *options, *self._command]
        return subprocess.run(
            command, env=self._env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )

    def failures(self) -> Iterator[Failing]:
        """Each call that can fail, with each error."""
        with tempfile.TemporaryDirectory() as folder:
            trace = Path(folder) / "trace"
            self.run(trace=trace)
            lines = trace.read_text(encoding="utf-8", errors="replace").splitlines()
        begun, before, own = False, Counter[str](), Counter[str]()
        for line in lines:
            if (found := _LINE.match(line)) is None:
                continue
            begun = begun or "/clawlog/scripting" in line
            (own if begun else before)[found[1]] += 1
        for call in sorted(CALLS & own.keys()):
            for number in range(before[call] + 1, before[call] + own[call] + 1):
                for error in ERRORS:
                    yield Failing(call, number, error)
