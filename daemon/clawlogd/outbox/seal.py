"""Knows whether the outbox's file is still just what the last daemon closed.

SQLite's check of every page takes a second for some hundred thousand waiting events. A file that was closed in order, and has
not been written to since, is what was checked before it was written to: it need not be checked again. Its seal is a small file
beside it, which bears the size, the times of the last change and the inode number that it had when it was closed. The seal is
taken away before the file is opened, so that none is there after a crash.
"""

from __future__ import annotations

import contextlib
from pathlib import Path


class Seal:
    """The seal of a file.

    Args:
        path: The sealed file. The seal lies beside it, named ``….sealed``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seal = path.with_name(f"{path.name}.sealed")

    def put(self) -> None:
        """Seals the file, which has just been closed. Where that fails, the next start checks it: that harms nothing."""
        with contextlib.suppress(OSError):
            self._seal.write_bytes(self._state())

    def take(self) -> bool:
        """Takes the seal away. Returns whether it was there and unbroken: nobody has changed the file since."""
        try:
            sealed = self._seal.read_bytes()
            self._seal.unlink()
            # What a crash left in a WAL would change the file as soon as it is opened.
            return sealed == self._state() and not self._path.with_name(f"{self._path.name}-wal").exists()
        except OSError:
            return False

    def _state(self) -> bytes:
        stat = self._path.stat()
        return b"%d %d %d %d\n" % (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
