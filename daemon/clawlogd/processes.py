"""Does a process still run? By pidfd where there is one, else by polling.

A reused pid is never taken for the one that was meant: a process is its number, its start and its boot together.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from clawlogd.model import WatchedProcess

_STARTTIME_FIELD = 22  # of /proc/PID/stat, see proc(5)


def identify(pid: int) -> WatchedProcess | None:
    """The process that has this number now; None where none has, or it has ended and waits to be reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    except OverflowError:
        return None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else WatchedProcess(pid)
    except OSError:
        return WatchedProcess(pid)
    state, *fields = stat.rpartition(")")[2].split()
    if state in {"Z", "X"}:
        return None
    return WatchedProcess(pid, int(fields[_STARTTIME_FIELD - 4]), _boot_id())


def runs(process: WatchedProcess) -> bool:
    """Whether this very process runs (stopped counts as running; ended and unreaped does not)."""
    now = identify(process.pid)
    if now is None:
        return False
    return process.started_ticks is None or (now.started_ticks, now.boot_id) == (process.started_ticks, process.boot_id)


class ProcessWatcher:
    """Tells when processes end.

    Args:
        ended: Called with the task's id when its process has ended.
        poll_s: How often is looked where the kernel gives no pidfd.
    """

    def __init__(self, *, ended: Callable[[str], None], poll_s: float = 2.0) -> None:
        self._ended = ended
        self._poll_s = poll_s
        self._loop = asyncio.get_running_loop()
        self._by_task: dict[str, tuple[WatchedProcess, int | asyncio.TimerHandle]] = {}

    def watch(self, task_id: str, process: WatchedProcess) -> None:
        """Watches a process for a task, instead of any other before."""
        known = self._by_task.get(task_id)
        if known and known[0] == process:
            return
        self.unwatch(task_id)
        try:
            descriptor = os.pidfd_open(process.pid)
        except (OSError, AttributeError):  # gone, no descriptors left, or no Linux
            self._poll(task_id, process)
            return
        if runs(process):  # looked at after the pidfd was opened, so that it is this process that the pidfd stands for
            self._by_task[task_id] = process, descriptor
            self._loop.add_reader(descriptor, self._gone, task_id)
        else:
            os.close(descriptor)
            self._loop.call_soon(self._gone_if_watching_nothing, task_id)

    def unwatch(self, task_id: str) -> None:
        """Stops watching for a task."""
        _, handle = self._by_task.pop(task_id, (None, None))
        if isinstance(handle, int):
            self._loop.remove_reader(handle)
            os.close(handle)
        elif handle is not None:
            handle.cancel()

    def watches(self, task_id: str) -> bool:
        """Whether a task's process runs, as far as has been seen."""
        return task_id in self._by_task

    def close(self) -> None:
        """Stops watching all."""
        for task_id in list(self._by_task):
            self.unwatch(task_id)

    def _poll(self, task_id: str, process: WatchedProcess) -> None:
        if runs(process):
            self._by_task[task_id] = process, self._loop.call_later(self._poll_s, self._poll, task_id, process)
        else:
            self._by_task.pop(task_id, None)
            self._loop.call_soon(self._gone_if_watching_nothing, task_id)

    def _gone_if_watching_nothing(self, task_id: str) -> None:
        if task_id not in self._by_task:
            self._ended(task_id)

    def _gone(self, task_id: str) -> None:
        self.unwatch(task_id)
        self._ended(task_id)


def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
