"""A file that only takes space, so that some can be freed when the disk is full.

On a full disk even the record that an event was delivered cannot be written. The reserve's space is enough for many of those.
The file is named ``ballast``.
"""

from __future__ import annotations

import os
from pathlib import Path


class Reserve:
    """Space held in reserve.

    Args:
        path: The file.
        size_bytes: How much it holds; 0 for none.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._path = path
        self._size_bytes = size_bytes

    def restore(self) -> bool:
        """Takes the space, unless it is held already. Returns whether it is held: the disk may not have it."""
        if not self._size_bytes:
            return False
        try:
            if self._path.stat().st_size >= self._size_bytes:
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
        return True

    def free(self) -> bool:
        """Frees the space. Returns whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
