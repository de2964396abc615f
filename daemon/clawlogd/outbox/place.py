"""Is the outbox's file still where it was? One that was removed or replaced takes every write, and none can be found again."""

from __future__ import annotations

from pathlib import Path

from clawlogd.errors import StorageLost


class Place:
    """The path of a file that is open, and which file that is.

    Args:
        path: The file's path.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._found()

    def check(self) -> None:
        """Checks that the path still leads to the same file.

        Raises:
            StorageLost: It leads to none, or to another.
        """
        if self._found() != self._file:
            raise StorageLost(
                f"{self._path} was removed or replaced while this daemon has it open; put it back, "
                "or restart clawlogd, which begins anew: what is written down meanwhile waits in the spool"
            )

    def _found(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat(follow_symlinks=False)
        except OSError:
            return None
        return found.st_dev, found.st_ino
