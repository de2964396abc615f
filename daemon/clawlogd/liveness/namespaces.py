"""Which process a caller means by a number: it may live in another pid namespace, as in a container, or on another machine.

The kernel names the caller's own process as it is seen from here, and ``/proc`` says in how many namespaces that process has a
number. One that has a single number lives in ours, and its numbers are ours. Another's are looked up, or not believed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from clawlogd.context import Origin, Peer

_PROC = Path("/proc")


class NotSeenHere(Exception):  # noqa: N818 - names what is the case, as in clawlogd.errors
    """The process that a caller means cannot be watched from here; the text says why."""


def process_here(pid: int, peer: Peer) -> int:
    """The number that a caller's process has here.

    Args:
        pid: The number that the caller gave.
        peer: The caller.

    Raises:
        NotSeenHere: None, or none that is known.
    """
    if peer.origin is Origin.NETWORK:
        raise NotSeenHere("the caller may be on another machine, whose processes cannot be watched from here")
    if peer.pid_namespace is not None and peer.pid_namespace != _namespace("self"):
        raise NotSeenHere("it was written down in another pid namespace (a container?)")
    if peer.origin is Origin.SPOOL:
        return pid
    if peer.origin is Origin.UNKNOWN:
        raise NotSeenHere("it is not known over ZeroMQ here who the caller is, and over the Unix socket it would be")
    if peer.pid == 0:
        raise NotSeenHere("the caller is in a pid namespace that cannot be seen from here (a container?)")
    numbers = _numbers(peer.pid)
    if len(numbers) <= 1:
        return pid  # in our namespace, or gone already
    namespace = _namespace(str(peer.pid))
    for here in _processes():
        theirs = _numbers(here)
        if len(theirs) == len(numbers) and theirs[-1] == pid and namespace is not None and _namespace(str(here)) == namespace:
            return here
    raise NotSeenHere(f"no process {pid} runs in the caller's pid namespace (a container?), as far as is seen from here")


def _numbers(pid: int) -> list[int]:
    """The process's number in our namespace and in each below, down to its own; empty where that is not told."""
    try:
        status = (_PROC / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    line = next((each for each in status.splitlines() if each.startswith("NSpid:")), "NSpid:")
    return [int(number) for number in line.split()[1:] if number.isdigit()]


def _namespace(process: str) -> int | None:
    try:
        return (_PROC / process / "ns" / "pid").stat().st_ino
    except OSError:
        return None


def _processes() -> Iterator[int]:
    return (int(entry.name) for entry in os.scandir(_PROC) if entry.name.isdigit())
