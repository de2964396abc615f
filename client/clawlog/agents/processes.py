"""What the hook must know of processes: when it began itself, and whether its parent is the session's own."""

from __future__ import annotations

import os
import subprocess
import time

_SHELLS = frozenset({"sh", "dash", "bash", "ash", "ksh", "zsh", "fish", "busybox"})
_SHARED = frozenset({b"app-server", b"gateway"})
"""Words in the command line of a server that runs the hooks of many sessions, and outlives them."""


def started_at() -> float:
    """Returns when this process was forked, in seconds since 1970: where the system does not say, now."""
    now = time.time()
    try:
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return now
    return now - age if 0.0 <= age < 60.0 else now


def agent_of(pid: int) -> int | None:
    """Returns the process if it may stand for the session: not a shell, and no server of many sessions; else None."""
    if pid <= 1:
        return None
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(64 * 1024).split(b"\0")
    except FileNotFoundError:
        if os.path.exists("/proc/self/cmdline"):
            return None  # it has ended
        words = _listed(pid)
    except OSError:
        return None
    if not any(words):
        return None
    name = os.path.basename(words[0].decode("utf-8", "replace")).lstrip("-")
    return None if name in _SHELLS or _SHARED.intersection(words) else pid


def _listed(pid: int) -> list[bytes]:
    """The command line, where there is no ``/proc``."""
    try:
        command = ["/bin/ps", "-o", "command=", "-p", str(pid)]
        found = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=2.0, check=False)
    except (OSError, subprocess.SubprocessError):
        return []
    return found.stdout.split()
