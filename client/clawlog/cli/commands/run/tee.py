"""Lets a command's output through, byte for byte and at once, and remembers its last line.

A program on a terminal writes otherwise than into a pipe, so it gets a terminal again where this process has one; that one
changes nothing on its way (no line ends, no echo). Copying is a thread's: a reader that does not read must not hold up a stop.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import termios
import threading
import tty

_CHUNK_BYTES = 64 * 1024
_KEPT_BYTES = 4 * 1024
_LAST_WORDS_S = 1.0
"""For how long output is still let through after the command has ended: what it started may hold on to it for ever."""

_LINE_END = re.compile(rb"[\r\n]+")


class Tee:
    """The output's way.

    Attributes:
        write_fd: Where the command is to write; closed here once it has been handed on.
    """

    def __init__(self) -> None:
        self._to_fd = sys.stdout.fileno()
        self._is_terminal = os.isatty(self._to_fd)
        self._read_fd, self.write_fd = os.openpty() if self._is_terminal else os.pipe()
        self._tail = b""
        self._thread = threading.Thread(target=self._copy, name="copy output", daemon=True)
        if self._is_terminal:
            tty.setraw(self.write_fd)
            self._follow_size()

    def begin(self) -> None:
        """Begins to copy, when the command has its end."""
        os.close(self.write_fd)
        self._thread.start()

    def finish(self) -> None:
        """Lets the rest through, after the command has ended."""
        self._thread.join(_LAST_WORDS_S)

    @property
    def last_line(self) -> str | None:
        """The last line that says something; a progress bar's rewriting of its line counts as a new one."""
        lines = (line.strip() for line in reversed(_LINE_END.split(self._tail)))
        last = next((line for line in lines if line), None)
        return None if last is None else last.decode("utf-8", "replace")

    def _copy(self) -> None:
        with contextlib.suppress(OSError):  # a pseudo-terminal's end is EIO; a reader that has gone is EPIPE
            while data := os.read(self._read_fd, _CHUNK_BYTES):
                self._tail = (self._tail + data)[-_KEPT_BYTES:]
                if self._is_terminal:
                    self._follow_size()
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(self._to_fd, rest) :]
        os.close(self._read_fd)  # so that the command notices, as it would without us

    def _follow_size(self) -> None:
        with contextlib.suppress(OSError):
            termios.tcsetwinsize(self._read_fd, termios.tcgetwinsize(self._to_fd))
