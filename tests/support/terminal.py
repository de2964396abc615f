"""A pseudo-terminal, and what a person at it would see."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import termios
import time
from collections.abc import Callable, Iterator

from support.installation import Installation


class Screen:
    """A terminal and what runs on it."""

    def __init__(self, pid: int, fd: int) -> None:
        self.pid = pid
        self._fd = fd
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def resize(self, rows: int, columns: int) -> None:
        termios.tcsetwinsize(self._fd, (rows, columns))

    def settings(self) -> list[object]:
        """How the terminal is set, such as whether it echoes."""
        return termios.tcgetattr(self._fd)

    def until_it_ends(self) -> None:
        """Reads on while anybody has the terminal open."""
        with contextlib.suppress(OSError):
            while data := os.read(self._fd, 65536):
                self.shown += data.decode("utf-8", "replace")

    def until(self, condition: Callable[[str], bool], what: str) -> None:
        deadline = time.monotonic() + 20
        while not condition(self.shown):
            assert time.monotonic() < deadline, f"waited in vain: {what}; the screen shows:\n{self.shown}"
            if select.select([self._fd], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self._fd, 65536).decode("utf-8", "replace")
                except OSError:  # nobody has the terminal open any more
                    assert condition(self.shown), f"all ended: {what}; the screen shows:\n{self.shown}"

    def shows(self, text: str) -> None:
        self.until(lambda shown: text in shown, f"{text!r}")
        self.shown = self.shown.partition(text)[2]


@contextlib.contextmanager
def on_terminal(installation: Installation, *command: str) -> Iterator[Screen]:
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, installation.env)
    termios.tcsetwinsize(fd, (24, 80))
    try:
        yield Screen(pid, fd)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.close(fd)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
