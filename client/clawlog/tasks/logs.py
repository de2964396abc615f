"""``clawlog.LogHandler``: a program's log lines as the summaries of its task's heartbeats."""

from __future__ import annotations

import logging
import threading

from clawlog.tasks.base import BaseTask, innermost_task, inside


class _Emitting(threading.local):
    active = False


_emitting = _Emitting()
"""Whether this thread reports a record already, so that what that logs is not reported in turn."""


class LogHandler(logging.Handler):
    """Shows what a program logs as what its task does now: the newest line is the summary of the next heartbeat.

    Only some lines are sent, at least 1 s apart; the newest one of a burst goes with the next report or ``checkpoint()``. It
    may be used like any handler, from threads, signal handlers and asyncio; it holds no lock, and leaves out this library's
    own records.

    Args:
        task: The task; by default the one that the logging code is in (``clawlog.current_task()``). Threads that were started
            within a block are not in it: give it for them.
        level: The least level that is reported.
    """

    def __init__(self, task: BaseTask | None = None, level: int | str = logging.NOTSET) -> None:
        super().__init__(level)
        self._task = None if task is None else inside(task)

    def handle(self, record: logging.LogRecord) -> bool | logging.LogRecord:  # type: ignore[override]
        """Reports a record that the filters let through, without the handler's lock: a report may call."""
        passed = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Reports a record."""
        task = self._task or innermost_task.get()
        if task is None or _emitting.active or str(record.name).partition(".")[0] == "clawlog":
            return
        _emitting.active = True
        try:
            paced = task.lifecycle.paced
            paced.note(None, self.format(record).partition("\n")[0])
            if paced.is_due():
                task.post(task.lifecycle.reports_paced)
        except Exception:  # noqa: BLE001 - as every handler of the standard library does
            self.handleError(record)
        finally:
            _emitting.active = False
