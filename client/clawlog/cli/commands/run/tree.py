"""All that a command has started: the processes that a stop reaches.

These are its descendants, and those of them that lost their parent but stayed in its session: they bear its task's id in their
environment. What went into a session of its own and lost its parent was meant to stay (a daemon). Where there is no ``/proc``,
the command alone is reached.
"""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Process:
    """A process as ``/proc`` tells of it; the time of its start tells it from another one with the same number."""

    pid: int
    parent: int
    session: int
    state: str
    started: str


class Tree:
    """A command's processes.

    Args:
        root: The command's.
        mark: What their environments hold.
        spared: Processes that never belong to it.
    """

    def __init__(self, root: int, mark: bytes, spared: frozenset[int]) -> None:
        self._root = root
        self._mark = mark
        self._spared = spared
        self._session = os.getsid(0)
        self._known: dict[int, str] = {}

    def living(self) -> list[int]:
        """Those that run now."""
        every = {each.pid: each for each in _processes()}
        if not every:
            return [self._root] if _exists(self._root) else []
        members = {pid for pid, started in self._known.items() if pid in every and every[pid].started == started}
        members.add(self._root)
        for each in every.values():
            if each.session == self._session and each.pid not in members and self._is_marked(each.pid):
                members.add(each.pid)
        grown = True
        while grown:
            found = {each.pid for each in every.values() if each.parent in members} - members
            members |= found
            grown = bool(found)
        members -= self._spared
        self._known |= {pid: every[pid].started for pid in members if pid in every}
        return sorted(pid for pid in members if pid in every and every[pid].state not in "ZX")

    def send(self, *numbers: int) -> None:
        """Sends signals to all of them."""
        for pid in self.living():
            for number in numbers:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)

    def kill_root(self) -> None:
        """Kills the command alone, as a signal to it would."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self._root, signal.SIGKILL)

    def _is_marked(self, pid: int) -> bool:
        if pid in self._spared:
            return False
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                return self._mark in file.read().split(b"\0")
        except OSError:
            return False


def state_of(pid: int) -> str:
    """A process's state, such as ``T`` where a signal holds it; empty where there is none, or no ``/proc``."""
    found = _read(str(pid))
    return found.state if found else ""


def _processes() -> list[Process]:
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    return [found for name in names if name.isdecimal() and (found := _read(name)) is not None]


def _read(name: str) -> Process | None:
    try:
        with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return Process(int(name), int(fields[1]), int(fields[3]), fields[0], fields[19])
    except (OSError, ValueError, IndexError):
        return None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
