"""Whether processes still run: by pidfd where there is one, else by polling.

A reused pid is never taken for the one that was meant: a process is its number, its start and its boot together. One process is
watched once, for however many tasks, and pidfds take no more than a share of the descriptors: callers need theirs.
"""

from __future__ import annotations

import asyncio
import functools
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from clawlogd.model import WatchedProcess

_STARTTIME_FIELD = 22  # of /proc/PID/stat, see proc(5)
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_CLOCK_SLACK_MS = 1000  # the wall clock may have been slewed since
_SHARE_OF_DESCRIPTORS = 4  # at most one in so many is a pidfd


def identify(pid: int) -> WatchedProcess | None:
    """The process that has this number now; None where none has, or it has ended and waits to be reaped."""
    hidden = False
    try:
        os.kill(pid, 0)
    except PermissionError:
        hidden = True  # another user's: it exists, and /proc may not show it (hidepid)
    except (ProcessLookupError, OverflowError):
        return None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return _hidden(pid) if hidden or not Path("/proc/self/stat").exists() else None
    except ProcessLookupError:
        return None
    except OSError:
        return _hidden(pid)
    state, *fields = stat.rpartition(")")[2].split()
    if state in {"Z", "X"}:
        return None
    return WatchedProcess(pid, int(fields[_STARTTIME_FIELD - 4]), _boot_id(), _pidfd_inode(pid))


def _hidden(pid: int) -> WatchedProcess:
    """A process that ``/proc`` hides: the kernel still tells it from any other of this boot, from 6.9 on."""
    inode = _pidfd_inode(pid)
    return WatchedProcess(pid, None, _boot_id() if inode else None, inode)


def identify_at(pid: int, at_ms: int) -> WatchedProcess:
    """The process that had this number at a time in the past, in milliseconds since 1970.

    Where that one has ended, or its number belongs to one that began later, the answer is a process that does not run.
    """
    process = identify(pid)
    if process is None or process.started_ticks is None:
        return process or _ended(pid)
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - process.started_ticks / _TICKS_PER_S
    return process if (time.time() - age_s) * 1000 <= at_ms + _CLOCK_SLACK_MS else _ended(pid)


def runs(process: WatchedProcess) -> bool:
    """Whether this very process runs (stopped counts as running; ended and unreaped does not)."""
    now = identify(process.pid)
    if now is None:
        return False
    # What can be seen may change between two runs of the daemon (its sandbox, say): what both saw has to agree.
    seen = ((now.started_ticks, process.started_ticks), (now.boot_id, process.boot_id), (now.pidfd_inode, process.pidfd_inode))
    return all(mine is None or theirs is None or mine == theirs for mine, theirs in seen)


def stopped(pid: int) -> bool:
    """Whether a process is held by a signal (``SIGSTOP``, Ctrl-Z) or by a debugger: it is there, and does nothing."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in {"T", "t"}


@dataclass(eq=False, slots=True)
class _Watched:
    process: WatchedProcess
    pidfd: int | None
    task_ids: set[str] = field(default_factory=set)


class ProcessWatcher:
    """Reports when processes end.

    Args:
        ended: Called with the id of each task whose process has ended, or turns out not to run.
        poll_s: How often processes are checked where the kernel gives no pidfd.
        max_pidfds: How many processes are watched by pidfd, the others by polling; by default a share of this process's bound.
    """

    def __init__(self, *, ended: Callable[[str], None], poll_s: float = 2.0, max_pidfds: int | None = None) -> None:
        self._ended = ended
        self._poll_s = poll_s
        self._max_pidfds = _share_of_descriptors() if max_pidfds is None else max_pidfds
        self._pidfds = 0
        self._loop = asyncio.get_running_loop()
        self._watched: dict[WatchedProcess, _Watched] = {}
        self._by_task: dict[str, _Watched] = {}
        self._polling: asyncio.TimerHandle | None = None

    def watch(self, task_id: str, process: WatchedProcess) -> None:
        """Watches a process for a task, instead of any other before."""
        known = self._by_task.get(task_id)
        if known is not None and known.process == process:
            return
        self.unwatch(task_id)
        watched = self._watched.get(process) or self._begin(process)
        if watched is None:
            self._loop.call_soon(self._report_unless_watched, task_id)
            return
        watched.task_ids.add(task_id)
        self._by_task[task_id] = watched

    def unwatch(self, task_id: str) -> None:
        """Stops watching for a task."""
        watched = self._by_task.pop(task_id, None)
        if watched is not None:
            watched.task_ids.discard(task_id)
            if not watched.task_ids:
                self._end(watched)

    def running(self, task_id: str) -> bool:
        """Whether the process that is watched for a task runs, as far as is known."""
        return task_id in self._by_task

    def close(self) -> None:
        """Stops watching all."""
        for task_id in list(self._by_task):
            self.unwatch(task_id)
        if self._polling is not None:
            self._polling.cancel()

    def _begin(self, process: WatchedProcess) -> _Watched | None:
        pidfd = self._open(process.pid)
        if not runs(process):  # checked after the pidfd was opened, so that it is this process that the pidfd stands for
            if pidfd is not None:
                os.close(pidfd)
            return None
        watched = self._watched[process] = _Watched(process, pidfd)
        if pidfd is not None:
            self._pidfds += 1
            self._loop.add_reader(pidfd, self._gone, watched)
        elif self._polling is None:
            self._polling = self._loop.call_later(self._poll_s, self._poll)
        return watched

    def _open(self, pid: int) -> int | None:
        if self._pidfds >= self._max_pidfds:
            return None
        try:
            return os.pidfd_open(pid)
        except (OSError, AttributeError):  # gone, no descriptors left, or no Linux
            return None

    def _end(self, watched: _Watched) -> None:
        self._watched.pop(watched.process, None)
        if watched.pidfd is not None:
            self._loop.remove_reader(watched.pidfd)
            os.close(watched.pidfd)
            watched.pidfd = None
            self._pidfds -= 1

    def _gone(self, watched: _Watched) -> None:
        task_ids = list(watched.task_ids)
        for task_id in task_ids:
            self.unwatch(task_id)
        for task_id in task_ids:
            self._ended(task_id)

    def _poll(self) -> None:
        polled = [watched for watched in self._watched.values() if watched.pidfd is None]
        self._polling = self._loop.call_later(self._poll_s, self._poll) if polled else None
        for watched in polled:
            if not runs(watched.process):
                self._gone(watched)

    def _report_unless_watched(self, task_id: str) -> None:
        if task_id not in self._by_task:
            self._ended(task_id)


def _ended(pid: int) -> WatchedProcess:
    return WatchedProcess(pid, started_ticks=-1)  # no process begins before its boot


def _share_of_descriptors() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**16 if soft == resource.RLIM_INFINITY else soft // _SHARE_OF_DESCRIPTORS


def _pidfd_inode(pid: int) -> int | None:
    """The number that no two processes of one boot share; None where the kernel has none, or the boot is not known."""
    if _boot_id() is None:
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except (OSError, AttributeError):
        return None
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return None if found.st_dev == _anonymous_device() else found.st_ino


@functools.cache
def _anonymous_device() -> int:
    """The file system of descriptors that have no identity. Before Linux 6.9, pidfds were among them."""
    descriptor = os.eventfd(0)
    try:
        return os.fstat(descriptor).st_dev
    finally:
        os.close(descriptor)


@functools.cache
def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
