"""Copies a command's output, byte for byte and at once, and keeps its last line.

A program writes differently to a terminal than to a pipe, so it gets a pseudo-terminal where this process has a terminal; that
one changes nothing (no line ends, no echo). A thread copies: a slow reader must not delay a stop.
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
_DRAIN_S = 1.0
"""How long output is still copied after the command has ended: its children may hold the pipe open without limit."""

_LINE_END = re.compile(rb"[\r\n]+")


class Tee:
    """Copies the output.

    Attributes:
        write_fd: Where the command writes; closed here once the command has it.
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
        """Begins to copy, once the command has its end of the pipe."""
        os.close(self.write_fd)
        self._thread.start()

    def finish(self) -> None:
        """Copies the rest, after the command has ended."""
        self._thread.join(_DRAIN_S)

    @property
    def last_line(self) -> str | None:
        """The last line that is not empty; a progress bar that rewrites its line counts as a new one."""
        lines = (line.strip() for line in reversed(_LINE_END.split(self._tail)))
        last = next((line for line in lines if line), None)
        return None if last is None else last.decode("utf-8", "replace")

    def _copy(self) -> None:
        with contextlib.suppress(OSError):  # EIO ends a pseudo-terminal; EPIPE is a closed reader
            while data := os.read(self._read_fd, _CHUNK_BYTES):
                self._tail = (self._tail + data)[-_KEPT_BYTES:]
                if self._is_terminal:
                    self._follow_size()
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(self._to_fd, rest) :]
        os.close(self._read_fd)  # so that the command notices, as it would without this process

    def _follow_size(self) -> None:
        with contextlib.suppress(OSError):
            termios.tcsetwinsize(self._read_fd, termios.tcgetwinsize(self._to_fd))
