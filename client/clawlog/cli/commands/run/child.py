"""The command: a process that leads a group of its own, so that a stop reaches all that it has started.

Because it has a group of its own, Ctrl-C and Ctrl-Z would not reach it: it gets the terminal where there is one, or when it
asks for it, and all other signals are passed on to it.
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
_NEEDS_TERMINAL = (signal.SIGTTIN, signal.SIGTTOU)


class Child:
    """The command's process.

    Attributes:
        ended: Its exit status, or a signal's number, negative; set once it has ended.
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
            stdout_fd: Its output; by default this process's.
            to_foreground: Whether it gets the terminal at once, if this process has it.

        Raises:
            CommandError: The program does not exist, or cannot be run.
        """
        loop = asyncio.get_running_loop()
        try:
            self._process = subprocess.Popen(command, env=dict(env), stdout=stdout_fd, process_group=0)
        except FileNotFoundError:
            raise CommandError(f"{command[0]}: no such program", EXIT_NOT_FOUND) from None
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
        """Sends a signal to its whole group, while the group has processes."""
        # The id stays the group's while it has processes; once it is empty the id could be another group's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if not self.ended.done() or not self.is_alone():
                os.killpg(self.pid, number)

    def is_alone(self) -> bool:
        """Whether, after it has ended, no process of its group is left."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return not _runs_in_group(self.pid)

    def ask_to_stop(self, number: signal.Signals) -> None:
        """Sends the signal that asks it to stop; a suspended process is continued, so that it can react."""
        self.send(number)
        self.send(signal.SIGCONT)

    def _offer_terminal(self) -> None:
        if self._terminal is not None and self._terminal.is_mine() and not self.ended.done():
            self._terminal.give(self.pid)

    def _reap(self) -> None:
        """Reaps it after its end, or suspends this process with it."""
        while not self.ended.done():
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                self._stopped(signal.Signals(os.WSTOPSIG(status)))
            else:
                assert self._process is not None  # noqa: S101 - it has just ended
                self._process.returncode = code = os.waitstatus_to_exitcode(status)  # already reaped, so Popen must not wait
                if self._terminal is not None and self._terminal.holder == pid:
                    self._terminal.give(os.getpgrp())
                self.ended.set_result(code)

    def _stopped(self, number: signal.Signals) -> None:
        """Suspends this process with it, for the shell that waits; both continue together."""
        terminal = self._terminal
        if terminal is None:
            return  # the process that suspended it will continue it
        if number in _NEEDS_TERMINAL and (terminal.is_mine() or terminal.holder == self.pid):
            self._offer_terminal()
        else:
            if terminal.holder == self.pid:
                terminal.give(os.getpgrp())
            # Not SIGSTOP: without a shell that could continue it, the system ignores SIGTSTP.
            loop = asyncio.get_running_loop()
            loop.remove_signal_handler(signal.SIGTSTP)
            os.kill(os.getpid(), signal.SIGTSTP)
            loop.add_signal_handler(signal.SIGTSTP, self.send, signal.SIGTSTP)
            self._offer_terminal()
        self.send(signal.SIGCONT)


def _runs_in_group(group: int) -> bool:
    """Whether any process of a group runs: ended ones may stay listed where orphans are not reaped (some containers)."""
    try:
        pids = [name for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return True  # no such folder on this system: rely on the signal alone
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
                state, _parent, its_group = stat.read().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False
