"""The disk: SQLite's own files in memory, commits that take time, fail or stall; a crash keeps just what was committed.

And the spool's folder, which is there whether a daemon is or not.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawlog.protocol.spool import SpooledCalls, decode

if TYPE_CHECKING:
    from simulation.world import World

_KEPT = ("outbox.db", "outbox.db-wal", "outbox.seq", "ballast", "contracts")


class Connection(sqlite3.Connection):
    """SQLite's own; a commit fails while the simulated disk does."""

    world: World

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:  # type: ignore[override]
        """As SQLite's."""
        if sql.startswith(("COMMIT", "PRAGMA wal_checkpoint")):
            if self.world.disk_fails:
                raise _error("disk I/O error", 10, "SQLITE_IOERR")
            if self.world.room is not None and not self.world.room.take():
                raise _error("database or disk is full", 13, "SQLITE_FULL")
        return super().execute(sql, *args)


def _error(text: str, code: int, name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    return error


class Room:
    """What is left on a full disk: nothing, but for the space of the daemon's reserve once that has been given up.

    Args:
        ballast: The reserve's file.
        commits: How many commits fit before the disk is quite full.
    """

    def __init__(self, ballast: Path, commits: int) -> None:
        self.ballast = ballast
        self._left = commits
        self._freed = _COMMITS_OF_BALLAST

    def take(self) -> bool:
        """Takes the space of one commit. Returns whether there was some."""
        if self._left > 0:
            self._left -= 1
            return True
        if not self.ballast.exists() and self._freed > 0:
            self._freed -= 1
            return True
        return False


_COMMITS_OF_BALLAST = 1000  # megabytes hold more records of deliveries than there are


class DiskCalls:
    """What the reserve calls of ``os``: no space can be had while the disk is full.

    Args:
        world: Whose disk it is.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def posix_fallocate(self, descriptor: int, offset: int, size: int) -> None:
        """As the system's."""
        if self._world.room is not None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.posix_fallocate(descriptor, offset, size)


class Disk:
    """One life's disk and its one thread.

    Args:
        world: Where time and chance come from.
        folder: The state folder.

    Attributes:
        dead: The process is gone: nothing that it still does reaches anybody.
    """

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.dead = False
        self._free_at = 0.0

    def execute(self, func: Callable[..., Any], args: tuple[Any, ...]) -> asyncio.Future[Any]:
        """Does the thread's work in its turn, and tells the loop a little later: a crash may fall between the two."""
        loop, draw = self.world.loop, self.world.disk_draw
        future: asyncio.Future[Any] = loop.create_future()
        takes_s = 0.0 if self.dead else draw.uniform(0.0002, 0.004) + self.world.disk_stall_s
        begin = max(loop.now, self._free_at)
        done_at = self._free_at = begin + takes_s

        def work() -> None:
            if future.cancelled():
                return
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - the future's waiter has it
                loop.call_later(draw.uniform(0, 0.002), _fail, future, error)
            else:
                loop.call_later(draw.uniform(0, 0.002), _finish, future, result)

        loop.call_at(done_at, work)
        return future

    def image(self, folder: Path) -> None:
        """What a crash leaves, copied to a new folder."""
        folder.mkdir(mode=0o700)
        for name in _KEPT:
            source = self.folder / name
            if source.is_dir():
                shutil.copytree(source, folder / name)
            elif source.exists():
                shutil.copyfile(source, folder / name)


def _finish(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


class SpoolFiles:
    """The files of the spool, whatever daemon there is."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.changes = 1
        self.refused: dict[str, str] = {}

    def write(self, name: str, content: bytes) -> None:
        """A program's file, whole and durable."""
        self.files[name] = content
        self.changes += 1


class SimSpoolFolder:
    """The daemon's view of the spool's folder: what ``SpoolFolder`` is on a real one.

    Args:
        path: Its path.
        is_drop: Whether it is the one through which calls come out of sandboxes.
    """

    files: SpoolFiles
    dropped: SpoolFiles

    def __init__(self, path: str, *, is_drop: bool = False) -> None:
        self.path = path
        self.is_drop = is_drop
        self.problem: str | None = None
        self._store = type(self).dropped if is_drop else type(self).files
        self._drained_at = -1

    def make(self) -> None:
        """It is there."""

    def may_have_changed(self) -> bool:
        """Whether something has changed since ``note_drained``."""
        return self._store.changes != self._drained_at

    def look(self) -> tuple[tuple[int, int], bool]:
        """As ``SpoolFolder.look``."""
        return (self._store.changes, 1), True

    def note_drained(self, stamp: tuple[int, int] | None, *, settled: bool) -> None:
        """As ``SpoolFolder.note_drained``."""
        self._drained_at = stamp[0] if stamp is not None and settled else -1

    def close(self) -> None:
        """Nothing is open."""

    def names(self) -> list[str]:
        """The names, in order."""
        return sorted(self._store.files)

    def read(self, name: str) -> SpooledCalls:
        """A file's calls."""
        try:
            return decode(self._store.files[name])
        except KeyError:
            raise FileNotFoundError(name) from None

    def finish(self, name: str, refusals: list[str]) -> bool:
        """Removes a file, or sets it aside."""
        content = self._store.files.pop(name, b"")
        self._store.changes += 1
        if refusals:
            self._store.refused[name] = f"{refusals} {content!r}"
        return bool(refusals)
