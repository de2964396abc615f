"""What this process was given by its caller, and what the command is to be given: the same.

Python changes some of it at its own start: it ignores SIGPIPE and SIGXFSZ, and may put ``LC_CTYPE`` into the environment. The
environment is therefore read from where the kernel keeps the one that came; what became of the two signals cannot be known any
more, so it is concluded from the caller where that is a shell or a service manager, which hand on what they ignore.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

EVERY_SIGNAL = signal.valid_signals()

_CHANGED_BY_PYTHON = tuple(getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ") if hasattr(signal, name))
_HAND_ON_WHAT_THEY_IGNORE = frozenset({"sh", "ash", "bash", "dash", "ksh", "mksh", "zsh", "fish", "busybox", "systemd", "init"})
_NAMES_THE_PROCESS = (b"LISTEN_PID", b"WATCHDOG_PID", b"SYSTEMD_EXEC_PID")
"""Variables by which a service manager says which process it means; the command is that process."""


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What the caller gave.

    Attributes:
        environment: Names and values, as bytes.
        blocked: The signals that were blocked.
        ignored: Of the signals whose dispositions this process changes, those that were ignored.
    """

    environment: dict[bytes, bytes]
    blocked: frozenset[int]
    ignored: frozenset[int]

    @classmethod
    def taken(cls) -> Inheritance:
        """Takes note of it, and makes this process deaf: all signals are blocked from now on, for one reader to take."""
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, EVERY_SIGNAL)
        ignored = {number for number in _CHANGED_BY_PYTHON if number in _ignored_by_the_caller()}
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            ignored.add(signal.SIGCHLD)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # else nobody could be waited for
        return cls(_environment(), frozenset(blocked), frozenset(ignored))

    def hand_on(self, *, caller: int) -> dict[bytes, bytes]:
        """Restores it in the process that is to become the command; returns the environment for it.

        Args:
            caller: The process that ``clawlog run`` itself is.
        """
        for number in (*_CHANGED_BY_PYTHON, signal.SIGCHLD):
            signal.signal(number, signal.SIG_IGN if number in self.ignored else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.blocked)
        given = dict(self.environment)
        for name in _NAMES_THE_PROCESS:
            if given.get(name) == b"%d" % caller:
                given[name] = b"%d" % os.getpid()
        return given


def hold_standard_descriptors() -> None:
    """Takes the places of standard descriptors that are closed, lest a file that is opened here gets one; not inherited."""
    while (fd := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) <= 2:
        pass
    os.close(fd)


def let_go_of_descriptors(*, kept: int | None = None) -> None:
    """Closes all descriptors that were inherited, and puts nothing in the place of the standard ones.

    Whoever waits for the last holder of one to close it waits for the command alone.

    Args:
        kept: A standard descriptor that stays.
    """
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd in (0, 1, 2):
        if fd != kept:
            os.dup2(nothing, fd)
    os.close(nothing)
    for fd in _open_descriptors():
        try:
            if fd > 2 and os.get_inheritable(fd):  # what was opened here is not
                os.close(fd)
        except OSError:
            continue


def _open_descriptors() -> list[int]:
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return [int(name) for name in os.listdir(folder)]
        except OSError:
            continue
    return list(range(3, 256))


def _environment() -> dict[bytes, bytes]:
    try:
        with open("/proc/self/environ", "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return dict(os.environb)
    found: dict[bytes, bytes] = {}
    for entry in entries:
        name, equals, value = entry.partition(b"=")
        if equals:
            found.setdefault(name, value)  # as getenv(3): of two, the first counts
    return found


def _ignored_by_the_caller() -> frozenset[int]:
    try:
        with open(f"/proc/{os.getppid()}/status", encoding="utf-8", errors="replace") as file:
            facts = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    except OSError:
        return frozenset()
    if facts.get("Name") not in _HAND_ON_WHAT_THEY_IGNORE:
        return frozenset()
    mask = int(facts.get("SigIgn", "0"), 16)
    return frozenset(number for number in range(1, 65) if mask >> (number - 1) & 1)
