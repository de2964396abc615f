"""A terminal in which an agent runs as it does for a person, who presses keys."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import termios
import threading
from typing import Self

_SEQUENCES = re.compile(rb"\x1b\[[0-9;?<>=]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[=>78()][B0]?")
_WHERE_IS_THE_CURSOR = b"\x1b[6n"
_ROWS, _COLUMNS = 40, 120


class Terminal:
    """A pseudo terminal; a context manager.

    Attributes:
        far_end: The descriptor that is a program's stdin, stdout and stderr.
    """

    def __init__(self) -> None:
        self._near, self.far_end = pty.openpty()
        fcntl.ioctl(self.far_end, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        self._shown = bytearray()
        self._reader = threading.Thread(target=self._read, name="terminal", daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.far_end)
        self._reader.join(10)
        os.close(self._near)

    @property
    def text(self) -> str:
        """All that was shown so far, without spaces: programs draw words piece by piece."""
        return "".join(_SEQUENCES.sub(b"", bytes(self._shown)).decode("utf-8", "replace").split())

    def press(self, keys: str) -> None:
        os.write(self._near, keys.encode())

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the last program has closed it
            while data := os.read(self._near, 65536):
                self._shown += data
                if _WHERE_IS_THE_CURSOR in data:
                    self.press("\x1b[1;1R")
