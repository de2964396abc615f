"""Passes the terminal on: job control, as a shell does for its jobs (tcsetpgrp(3))."""

from __future__ import annotations

import os
import signal


class Terminal:
    """The controlling terminal.

    Args:
        fd: A descriptor of it.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def of_this_process(cls) -> Terminal | None:
        """This process's controlling terminal, if it has one."""
        try:
            return cls(os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC))
        except OSError:
            return None

    @property
    def holder(self) -> int:
        """The process group that Ctrl-C goes to."""
        try:
            return os.tcgetpgrp(self._fd)
        except OSError:  # the terminal is closed
            return -1

    def is_mine(self) -> bool:
        """Whether this process's own group has it."""
        return self.holder == os.getpgrp()

    def give(self, group: int) -> None:
        """Gives it to a process group, or back to this process's own. A missing group or terminal is ignored."""
        # Otherwise taking it back from the background would suspend this process.
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        try:
            os.tcsetpgrp(self._fd, group)
        except OSError:
            return
        finally:
            signal.signal(signal.SIGTTOU, before)
