"""The command: a process that leads a group of its own, so that a stop reaches all that it has started.

Because it has a group of its own, Ctrl-C and Ctrl-Z would not reach it: it gets the terminal when there is one to give, or when
it asks for it, and all other signals are passed on to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from clawlog.cli.commands.run.terminal import Terminal
from clawlog.cli.errors import CommandError

EXIT_NOT_RUNNABLE = 126
EXIT_NOT_FOUND = 127

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_WANTS_TERMINAL = (signal.SIGTTIN, signal.SIGTTOU)


class Child:
    """The command's process.

    Attributes:
        ended: Becomes its wait status's meaning: an exit status, or a signal's number, negative.
    """

    def __init__(self, terminal: Terminal | None) -> None:
        self._terminal = terminal
        self._process: subprocess.Popen[bytes] | None = None
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def pid(self) -> int:
        """Its process id, which is its group's."""
        assert self._process is not None  # noqa: S101 - only asked for after start()
        return self._process.pid

    def start(self, command: Sequence[str], env: Mapping[str, str], stdout_fd: int | None, *, to_foreground: bool) -> None:
        """Starts it.

        Args:
            command: What to run, with its arguments.
            env: Its environment.
            stdout_fd: Where its output goes; by default where this process's does.
            to_foreground: Whether it gets the terminal at once, where this process has it.

        Raises:
            CommandError: There is no such program, or it cannot be run.
        """
        loop = asyncio.get_running_loop()
        try:
            self._process = subprocess.Popen(command, env=dict(env), stdout=stdout_fd, process_group=0)
        except FileNotFoundError:
            raise CommandError(f"{command[0]}: there is no such program", EXIT_NOT_FOUND) from None
        except OSError as error:
            raise CommandError(f"{command[0]} cannot be run: {error.strerror}", EXIT_NOT_RUNNABLE) from None
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        loop.call_soon(self._reap)  # it may have ended already
        for number in _PASSED_ON:
            loop.add_signal_handler(number, self.send, number)
        loop.add_signal_handler(signal.SIGTSTP, self.send, signal.SIGTSTP)
        loop.add_signal_handler(signal.SIGCONT, self._offer_terminal)
        if to_foreground:
            self._offer_terminal()

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to it and all of its group, while there is anybody in it."""
        # The number stays the group's while anybody is in it; once it is empty the number could be another's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if not self.ended.done() or not self.is_alone():
                os.killpg(self.pid, number)

    def is_alone(self) -> bool:
        """Whether, now that it has ended, nobody of its group is left."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return not _runs_in_group(self.pid)

    def ask_to_stop(self, number: signal.Signals) -> None:
        """Sends the signal that asks it to stop; a stopped process is woken to hear it."""
        self.send(number)
        self.send(signal.SIGCONT)

    def _offer_terminal(self) -> None:
        if self._terminal is not None and self._terminal.is_mine() and not self.ended.done():
            self._terminal.give(self.pid)

    def _reap(self) -> None:
        """Reaps it, or stops with it."""
        while not self.ended.done():
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                self._stopped(signal.Signals(os.WSTOPSIG(status)))
            else:
                assert self._process is not None  # noqa: S101 - it has just ended
                self._process.returncode = code = os.waitstatus_to_exitcode(status)  # it is reaped: Popen need not look
                if self._terminal is not None and self._terminal.holder == pid:
                    self._terminal.give(os.getpgrp())
                self.ended.set_result(code)

    def _stopped(self, number: signal.Signals) -> None:
        """It was stopped: so is this process, for the shell that waits for it; and both go on together."""
        terminal = self._terminal
        if terminal is None:
            return  # whoever stopped it will continue it
        if number in _WANTS_TERMINAL and (terminal.is_mine() or terminal.holder == self.pid):
            self._offer_terminal()
        else:
            if terminal.holder == self.pid:
                terminal.give(os.getpgrp())
            # Not SIGSTOP: where no shell is there to continue it, the system lets this one pass.
            loop = asyncio.get_running_loop()
            loop.remove_signal_handler(signal.SIGTSTP)
            os.kill(os.getpid(), signal.SIGTSTP)
            loop.add_signal_handler(signal.SIGTSTP, self.send, signal.SIGTSTP)
            self._offer_terminal()
        self.send(signal.SIGCONT)


def _runs_in_group(group: int) -> bool:
    """Whether any process of a group runs: one that has ended may stay listed, where nobody reaps orphans (some containers)."""
    try:
        pids = [name for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return True  # no such folder on this system: signals count them all
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
                state, _parent, its_group = stat.read().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False
