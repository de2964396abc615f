"""Reads keys one by one, without echo, and restores the terminal afterwards."""

from __future__ import annotations

import os
import select
import signal
import termios
import tty
from types import FrameType
from typing import Self

from clawlog.cli.commands.top.model import Key

_KEYS = {
    b"q": Key.QUIT,
    b"\x03": Key.QUIT,
    b"\x1b[A": Key.UP,
    b"\x1bOA": Key.UP,
    b"k": Key.UP,
    b"\x1b[B": Key.DOWN,
    b"\x1bOB": Key.DOWN,
    b"j": Key.DOWN,
    b"\x1b[5~": Key.PAGE_UP,
    b"\x1b[6~": Key.PAGE_DOWN,
    b" ": Key.PAGE_DOWN,
    b"\x1b[H": Key.FIRST,
    b"\x1b[1~": Key.FIRST,
    b"g": Key.FIRST,
    b"\x1b[F": Key.LAST,
    b"\x1b[4~": Key.LAST,
    b"G": Key.LAST,
    b"a": Key.ALL,
    b"s": Key.STOP,
    b"\r": Key.OPEN,
    b"\n": Key.OPEN,
    b"\x1b": Key.BACK,
    b"b": Key.BROWSER,
    b"/": Key.SEARCH,
    b"\x7f": Key.ERASE,
    b"\x08": Key.ERASE,
    b"o": Key.ORDER,
    b"?": Key.HELP,
}


class Keyboard:
    """The terminal's keys, within its context. A resize ends a wait, too.

    Args:
        fd: The terminal.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._before = termios.tcgetattr(fd)
        self._woken_fd, self._wake_fd = os.pipe()

    def __enter__(self) -> Self:
        os.set_blocking(self._wake_fd, False)
        os.set_blocking(self._woken_fd, False)
        signal.set_wakeup_fd(self._wake_fd, warn_on_full_buffer=False)
        signal.signal(signal.SIGWINCH, _wake)
        tty.setcbreak(self._fd)  # Ctrl-C and Ctrl-Z keep their meaning
        return self

    def __exit__(self, *_: object) -> None:
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.close(self._woken_fd)
        os.close(self._wake_fd)

    def pressed(self, timeout_s: float) -> bytes:
        """Returns what was pressed within the time, as the terminal sends it; nothing also after a resize."""
        ready, _, _ = select.select([self._fd, self._woken_fd], [], [], max(0.0, timeout_s))
        if self._woken_fd in ready:
            os.read(self._woken_fd, 4096)
        if self._fd not in ready:
            return b""
        return os.read(self._fd, 1024) or b"\x03"  # the terminal has gone away


def take(data: bytes, *, typing: bool = False) -> tuple[Key | str, bytes]:
    """Returns the first key in a terminal's input, and the rest.

    Args:
        data: Letters, or escape sequences (ECMA-48).
        typing: Whether letters are themselves, and no commands.
    """
    length = next((length for length in (4, 3, 1) if data[:length] in _KEYS and len(data) >= length), 0)
    if data.startswith(b"\x1b") and len(data) > 1 and length < 2:
        length = _sequence_length(data)
    elif typing and data[0] >= 0x20 and data[0] != 0x7F:
        length = _UTF8_BYTES.get(data[0] >> 4, 1)
        return data[:length].decode("utf-8", "ignore"), data[length:]
    return _KEYS.get(data[: max(length, 1)], Key.OTHER), data[max(length, 1) :]


_UTF8_BYTES = {0xC: 2, 0xD: 2, 0xE: 3, 0xF: 4}
"""How long a letter is, by its first four bits."""


def _sequence_length(data: bytes) -> int:
    """Returns the length of the unknown escape sequence at the front, up to its final byte."""
    if data[1:2] not in (b"[", b"O"):
        return 2
    return next((index + 1 for index in range(2, len(data)) if 0x40 <= data[index] <= 0x7E), len(data))


def _wake(number: int, frame: FrameType | None) -> None:
    """Does nothing: that the signal has a handler makes it write to the wake-up descriptor."""
