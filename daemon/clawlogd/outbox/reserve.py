"""A file that only takes space, so that some can be freed when the disk is full.

On a full disk even the record that an event was delivered cannot be written. The reserve's space is enough for many of those.
The file is named ``ballast``.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path


class Reserve:
    """Space held in reserve.

    Args:
        path: The file.
        size_bytes: How much it holds; 0 for none.

    Attributes:
        in_use: Whether its space was freed, and could not be taken again since.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._path = path
        self._size_bytes = size_bytes
        self.in_use = False

    def restore(self) -> bool:
        """Takes the space, unless it is held already. Returns whether it is held: the disk may not have it."""
        if not self._size_bytes:
            return False
        try:
            if self._path.stat().st_size >= self._size_bytes:
                self.in_use = False
                return True
        except FileNotFoundError:
            pass
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self._size_bytes)
            finally:
                os.close(descriptor)
        except OSError:
            self._path.unlink(missing_ok=True)
            return False
        self.in_use = False
        return True

    def free(self) -> bool:
        """Frees the space. Returns whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        self.in_use = True
        return True

    def regain_room(self, make_room: Callable[[], None]) -> bool:
        """Makes room for the outbox's file, by the reserve's space where nothing else is left.

        Args:
            make_room: Folds the file's WAL and tries whether it can be written to.

        Returns:
            Whether there is room with the reserve held.

        Raises:
            sqlite3.Error: There is none, even with its space.
        """
        try:
            make_room()
        except sqlite3.Error:
            # It may be the WAL that fills the disk: folding it into the reserve's space frees all that it takes.
            if not self.free():
                raise
            make_room()
        if self.in_use and self.restore():
            make_room()  # without the reserve, too: else the next event would fail again
        return not self.in_use
