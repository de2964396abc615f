"""The process that the caller knows: it stands in front of the command, and does nothing but what the command would have done.

It stays in its process group and session, and so does the command: the terminal's signals reach both by the kernel's own hand,
and job control needs nobody. What is sent to this process alone is forwarded; it stops when the command stops, and ends as the
command ended, by the same signal. It holds none of the caller's descriptors, so nobody waits for it.

All else (the daemon, stops, the output that is read along) is the companion's, a process of its own that may be slow.
"""

from __future__ import annotations

import os
import resource
import signal
import time

from clawlog import trace_context
from clawlog.cli.commands.run import program, trace
from clawlog.cli.commands.run.companion import Companion
from clawlog.cli.commands.run.inheritance import (
    EVERY_SIGNAL,
    Inheritance,
    hold_standard_descriptors,
    let_go_of_descriptors,
)
from clawlog.cli.commands.run.plan import RunPlan
from clawlog.cli.errors import CommandError
from clawlog.protocol.ids import new_uuid

_STRAGGLER_S = 0.01
"""A signal to a whole group comes to one member after the other; the companion may be the last."""

_STOPPING = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_AFTER_ITS_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""What ends the waiting for the companion, once the command has ended."""


def run(plan: RunPlan) -> int:
    """Runs the command; returns its exit status, or ends this process by the signal that ended the command.

    Raises:
        CommandError: It cannot be run.
    """
    hold_standard_descriptors()
    inheritance = Inheritance.taken()
    task_id = new_uuid()
    front = os.getpid()
    companion = Companion.started(plan, task_id)

    def prepare() -> dict[bytes, bytes]:
        companion.take_output()
        given = inheritance.hand_on(caller=front)
        own = trace_context.below(task_id, trace.caller_of(task_id, os.environ))
        return {**given, b"CLAWLOG_TASK_ID": task_id.encode(), b"TRACEPARENT": own.encode()}

    try:
        pid = program.start(plan.command, prepare, _stop_by)
    except CommandError:
        companion.dismiss()
        signal.pthread_sigmask(signal.SIG_SETMASK, inheritance.blocked)
        raise
    let_go_of_descriptors()
    companion.begin(pid)
    status = _Mirror(pid, companion).until_it_ends()
    _await(companion, status)
    return _end_as(status)


class _Mirror:
    """This process as the command's mirror."""

    def __init__(self, pid: int, companion: Companion) -> None:
        self._pid = pid
        self._companion = companion
        self._stopped_by: int | None = None

    def until_it_ends(self) -> int:
        """Forwards and mirrors until the command has ended; returns its wait status."""
        while True:
            number = signal.sigwait(EVERY_SIGNAL)
            if number != signal.SIGCHLD:
                self._forward(number)
                continue
            status = self._reap()
            if status is not None:
                return status
            if self._stopped_by is not None and signal.SIGCONT not in signal.sigpending():
                _stop_by(self._stopped_by)

    def _reap(self) -> int | None:
        """Takes what has become of children, also of those that came to this one as the first process of a container."""
        self._stopped_by = None
        ended = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            except ChildProcessError:
                return ended
            if pid == 0:
                return ended
            if pid == self._pid:
                if os.WIFSTOPPED(status):
                    self._stopped_by = os.WSTOPSIG(status)
                elif os.WIFCONTINUED(status):
                    self._stopped_by = None
                else:
                    ended = status
            elif not os.WIFSTOPPED(status) and not os.WIFCONTINUED(status):
                self._companion.note_end(pid)

    def _forward(self, number: int) -> None:
        """Passes a signal on that came to this process alone: one that came to all of its group has the command already."""
        if self._companion.got(number):
            return
        time.sleep(_STRAGGLER_S)
        if not self._companion.got(number) and not _is_outdated(number):
            os.kill(self._pid, number)  # not reaped yet, so the number is the command's


def _is_outdated(number: int) -> bool:
    """Whether the kernel has withdrawn a signal meanwhile: one that stops takes one back that continues, and the reverse."""
    pending = signal.sigpending()
    return bool(pending & set(_STOPPING)) if number == signal.SIGCONT else number in _STOPPING and signal.SIGCONT in pending


def _stop_by(number: int) -> None:
    """Stops this process as the command was stopped; returns when it is continued."""
    if number == signal.SIGSTOP:
        os.kill(os.getpid(), number)
        return
    signal.signal(number, signal.SIG_DFL)
    if number not in signal.sigpending():  # the terminal's come to the whole group
        os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})  # here
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})


class _Enough(BaseException):
    """A signal came while only the companion was waited for."""


def _await(companion: Companion, status: int) -> None:
    """Waits until the companion has told how the command ended, for as long as that takes or nobody loses patience."""

    def enough(*_: object) -> None:
        raise _Enough

    try:
        for number in _AFTER_ITS_END:
            signal.signal(number, enough)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _AFTER_ITS_END)
        companion.tell_end(os.waitstatus_to_exitcode(status))
        signal.pthread_sigmask(signal.SIG_BLOCK, _AFTER_ITS_END)
    except _Enough:
        signal.pthread_sigmask(signal.SIG_BLOCK, _AFTER_ITS_END)


def _end_as(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else end_by(-code)


def end_by(number: int) -> int:
    """Ends this process by a signal; returns the status that stands for it, where that cannot be."""
    # The command has written its core file, if one was wanted; a second one of this process would be in its way.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    return 128 + number  # the first process of a container cannot end so
