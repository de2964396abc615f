"""Lets a command's output through, byte for byte and at once, and remembers its last line.

A program on a terminal writes otherwise than into a pipe, so it gets a terminal again where this process has one; that one
changes nothing on its way (no line ends, no echo). Where output and errors go to the same place they take one way, so that
their order is kept. What is closed stays closed.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import termios
import threading
import tty

_CHUNK_BYTES = 64 * 1024
_KEPT_BYTES = 4 * 1024
_TERMINALS_DELAY_S = 0.05
"""The kernel hands a pseudo-terminal's output over a moment after it was written."""

_LINE_END = re.compile(rb"[\r\n]+")


class Tee:
    """The way of stdout and stderr."""

    def __init__(self) -> None:
        self._way_of: dict[int, _Way] = {}
        self._last: _Way | None = None
        for fd in (1, 2):
            place = _place(fd)
            if place is None:
                continue
            way = next((each for each in self._way_of.values() if each.place == place), None)
            self._way_of[fd] = way or _Way(fd, place)

    @property
    def last_line(self) -> str | None:
        """The last line that says something; a progress bar's rewriting of its line counts as a new one."""
        newest = max(self._ways, key=lambda way: way.count, default=None)
        return newest.last_line if newest else None

    @property
    def _ways(self) -> list[_Way]:
        return list(dict.fromkeys(self._way_of.values()))

    def take(self) -> None:
        """In the command's process: its output goes here."""
        for fd, way in self._way_of.items():
            os.dup2(way.write_fd, fd)

    def begin(self) -> None:
        """In the companion: begins to copy."""
        for way in self._ways:
            way.begin()

    def close_ends(self) -> None:
        """In the front process: it has no part in it."""
        for way in self._ways:
            way.close()

    def follow_size(self) -> None:
        """The terminal's size has changed."""
        for way in self._ways:
            way.follow_size()

    def drain(self) -> None:
        """Returns when everything that the command wrote has been passed on; what it left behind may write on."""
        for way in self._ways:
            way.drain()

    def join(self) -> None:
        """Returns when nobody writes any more."""
        for way in self._ways:
            way.join()


class _Way:
    count = 0

    def __init__(self, fd: int, place: tuple[int, ...]) -> None:
        self.place = place
        self.count = 0
        self._to_fd = os.dup(fd)
        self._is_terminal = os.isatty(fd)
        self._read_fd, self.write_fd = os.openpty() if self._is_terminal else os.pipe()
        self._tail = b""
        self._drained = threading.Event()
        self._wake_read, self._wake_write = os.pipe()
        self._thread: threading.Thread | None = None
        if self._is_terminal:
            tty.setraw(self.write_fd)
            self.follow_size()

    @property
    def last_line(self) -> str | None:
        lines = (line.strip() for line in reversed(_LINE_END.split(self._tail)))
        last = next((line for line in lines if line), None)
        return None if last is None else last.decode("utf-8", "replace")

    def begin(self) -> None:
        os.close(self.write_fd)
        # Made here, behind the fork: of threads that its parent made and did not start, a child holds that they have been.
        self._thread = threading.Thread(target=self._copy, name="copy output", daemon=True)
        self._thread.start()

    def close(self) -> None:
        for fd in (self._to_fd, self._read_fd, self.write_fd, self._wake_read, self._wake_write):
            os.close(fd)

    def drain(self) -> None:
        os.write(self._wake_write, b"d")
        self._drained.wait()

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def follow_size(self) -> None:
        if self._is_terminal:
            with contextlib.suppress(OSError):
                termios.tcsetwinsize(self._read_fd, termios.tcgetwinsize(self._to_fd))

    def _copy(self) -> None:
        poll = select.poll()
        poll.register(self._read_fd, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        wait_ms: float | None = None
        with contextlib.suppress(OSError):  # a pseudo-terminal's end is EIO; a reader that has gone is EPIPE
            while True:
                ready = dict(poll.poll(wait_ms))
                if self._read_fd in ready:
                    if not (data := os.read(self._read_fd, _CHUNK_BYTES)):
                        break
                    self._pass_on(data)
                elif self._wake_read in ready:
                    os.read(self._wake_read, 1)
                    wait_ms = _TERMINALS_DELAY_S * 1000 if self._is_terminal else 0
                elif wait_ms is not None:
                    wait_ms = None
                    self._drained.set()
        os.close(self._read_fd)  # so that the command notices, as it would without us
        os.close(self._to_fd)
        self._drained.set()

    def _pass_on(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-_KEPT_BYTES:]
        self.count += 1
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._to_fd, rest) :]


def _place(fd: int) -> tuple[int, ...] | None:
    """What tells two descriptors of one place from two places; None where it is closed, or was when this process began."""
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    if not os.get_inheritable(fd):
        return None
    return (found.st_dev, found.st_ino, found.st_rdev)
