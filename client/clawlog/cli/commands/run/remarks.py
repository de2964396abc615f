"""What is said of the task itself to the person at the terminal: two lines on stderr, and never into anything else.

The command's output is its caller's. So nothing is said where stderr is no terminal, with ``--quiet``, or while a program has
the whole screen.
"""

from __future__ import annotations

import contextlib
import os
import termios

from clawlog.cli.render import ids
from clawlog.connection.results import CreatedTask
from clawlog.protocol.summary import one_line

_STDERR = 2
_OUTPUT_FLAGS, _LOCAL_FLAGS = 1, 3


class Remarks:
    """Says it.

    Args:
        quiet: Whether nothing is to be said.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._named = False

    @property
    def wanted(self) -> bool:
        """Whether somebody would read them."""
        return not self._quiet and _takes_lines(_STDERR)

    def created(self, task: CreatedTask) -> None:
        """Says which task it is, and where it can be seen: once."""
        if self._named:
            return
        self._named = True
        name = ids.short(task.task_id, ids.SHORTEST)
        self._say(f"task {name} · {task.url}" if task.url else f"task {name}")

    def stopped(self, by: str | None, reason: str | None) -> None:
        """Says who has stopped it, and why."""
        self._say(f"stopped{f' by {by}' if by else ''}{f': {reason}' if reason else ''}")

    def _say(self, text: str) -> None:
        if self.wanted:
            with contextlib.suppress(OSError):
                os.write(_STDERR, f"clawlog: {one_line(text)}\n".encode("utf-8", "replace"))


def _takes_lines(fd: int) -> bool:
    """Whether it is a terminal that is read line by line: a program that fills the screen has it otherwise."""
    try:
        settings = termios.tcgetattr(fd)
    except termios.error:
        return False
    return bool(settings[_OUTPUT_FLAGS] & termios.OPOST and settings[_LOCAL_FLAGS] & termios.ICANON)
