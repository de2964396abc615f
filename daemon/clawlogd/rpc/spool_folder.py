"""One folder of calls that programs wrote down: what is in it, reading, removing and setting aside its files.

Whoever may write there could have put anything in it: a link, a pipe, a device, half a file, very much of something. So the
folder is opened once and all else is done within it, by names that are never followed, and everything is bounded.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator, Sequence

from clawlog import locations
from clawlog.protocol.spool import SUFFIX, SpooledCalls, decode
from clawlogd.clock import parse_rfc3339
from clawlogd.logs import Log

Stamp = tuple[int, int]
"""A folder's time and inode."""

UNKNOWN: Stamp = (-1, -1)

_MAX_FILE_BYTES = 1024 * 1024
_CLOCK_GRAIN_S = 0.02  # a folder's time is kept by the tick of some kernel's clock: two changes in one tick may have the same
_MAX_DROP_ENTRIES = 20_000  # twice as many as programs put there


class SpoolFolder:
    """A folder of calls.

    Args:
        path: Where it is.
        is_drop: Whether it lies where others may have put something in its place: it must be this user's alone then, nobody may
            be able to replace it, and it is not made here.

    Attributes:
        problem: Why it cannot be read; None where it can, or is not there.
    """

    def __init__(self, path: str, *, is_drop: bool = False) -> None:
        self.path = path
        self.is_drop = is_drop
        self.problem: str | None = None
        self._log = Log("spool")
        self._seen = UNKNOWN  # the folder's time and inode when they were last looked at
        self._seen_since = 0.0  # since when they are these, monotonic
        self._drained_at = UNKNOWN  # the same when nothing was in it
        self._descriptor: int | None = None  # of the folder with that inode
        self._finished: set[str] = set()  # names of files that could not be removed

    def make(self) -> None:
        """Makes the folder: that there is one makes it quick to see that nothing is in it. A drop is made by who uses it."""
        if not self.is_drop:
            with contextlib.suppress(OSError):
                os.mkdir(self.path, 0o700)

    def may_have_changed(self) -> bool:
        """Whether it may hold something since ``note_drained``; cheap, and no proof."""
        if self._descriptor is not None:
            found = os.fstat(self._descriptor)  # half as dear as by its path
            if found.st_mtime_ns == self._drained_at[0] and found.st_nlink:
                return False
        stamp, _ = self.look()
        return stamp is not None and stamp != self._drained_at

    def look(self) -> tuple[Stamp | None, bool]:
        """The folder's time and inode, and whether they prove that it is not changed any more after what is listed next.

        They do once they have been seen for longer than a tick, by a clock that nobody steps: the folder's own may be another
        machine's, or have been put back since.
        """
        try:
            found = os.lstat(self.path)
        except OSError:
            return None, False
        stamp, now = (found.st_mtime_ns, found.st_ino), time.monotonic()
        if stamp != self._seen:
            self._seen, self._seen_since = stamp, now
        return stamp, now - self._seen_since > _CLOCK_GRAIN_S

    def note_drained(self, stamp: Stamp | None, *, settled: bool) -> None:
        """Notes that nothing is in it beside what waits, as of a look at it."""
        before, self._drained_at = self._drained_at, stamp if stamp is not None and settled else UNKNOWN
        if before[1] != self._drained_at[1]:
            self.close()
            if self._drained_at is not UNKNOWN:
                self._keep_open(self._drained_at[1])

    def close(self) -> None:
        """Lets go of the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def names(self) -> list[str]:
        """The names of the calls that are to be made, in order."""
        self.problem = None
        try:
            with self._opened() as folder:
                found = self._listed(folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            self.problem = f"{self.path}: {error.strerror}"
            self._log.warning_seldom("spool_unreadable", error=self.problem)
            return []
        self._finished.intersection_update(found)
        return sorted(name for name in found if name not in self._finished)

    def read(self, name: str) -> SpooledCalls:
        """Reads a file that a program of this user has written whole.

        Raises:
            OSError: It cannot be read, or is no file of this user's.
            ValueError: It is damaged, or holds more than a program's call.
        """
        with contextlib.ExitStack() as stack:
            try:
                folder = stack.enter_context(self._opened())
            except OSError as error:  # the fault is not the file's
                raise FileNotFoundError(0, f"{self.path}: {error.strerror}") from error
            # Not blocking: a pipe in a file's place would wait for ever for somebody to write.
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(descriptor, "rb", closefd=True) as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_uid not in {os.geteuid(), 0}:
                raise ValueError("not a file of this user's")
            if found.st_size > _MAX_FILE_BYTES:
                raise ValueError(f"{found.st_size} bytes; a call has at most {_MAX_FILE_BYTES}")
            calls = decode(file.read(_MAX_FILE_BYTES + 1))
        parse_rfc3339(calls.at)
        return calls

    def finish(self, name: str, refusals: Sequence[str]) -> bool:
        """Removes a file whose calls have been made, or sets it aside. Returns whether it is set aside."""
        try:
            with self._opened() as folder:
                if refusals:
                    self._set_aside(folder, name, "\n".join(refusals))
                else:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=folder)
                os.fsync(folder)
        except OSError as error:  # it must not be made again at each turn, and holds up none of the others
            self._finished.add(name)
            self._log.warning("spool_file_stays", file=name, folder=self.path, error=error.strerror)
        return bool(refusals)

    def _set_aside(self, folder: int, name: str, why: str) -> None:
        self._log.warning("spool_file_set_aside", file=name, folder=self.path, why=why)
        with contextlib.suppress(FileExistsError):
            os.mkdir("refused", 0o700, dir_fd=folder)
        refused = os.open("refused", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            os.rename(name, name, src_dir_fd=folder, dst_dir_fd=refused)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{name}.why", dir_fd=refused)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(f"{name}.why", flags, 0o600, dir_fd=refused)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(why + "\n")
        finally:
            os.close(refused)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """The folder, for as long as something is done in it.

        Raises:
            OSError: It is not there, or is a link or no folder; or it is somebody else's, or could be.
        """
        if self.is_drop:
            try:
                locations.check_drop(self.path)
            except locations.Unfit as error:
                raise PermissionError(0, str(error)) from None
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except NotADirectoryError:
            raise NotADirectoryError(0, "it is a link or no folder") from None
        try:
            self._check(os.fstat(descriptor))
            yield descriptor
        finally:
            os.close(descriptor)

    def _check(self, found: os.stat_result) -> None:
        if found.st_uid != os.geteuid() and (self.is_drop or found.st_uid != 0):
            raise PermissionError(0, f"it belongs to user {found.st_uid}")
        if self.is_drop and found.st_mode & 0o077:
            raise PermissionError(0, "others may enter it (chmod 700)")
        if self.is_drop and not os.access(self.path, os.W_OK):
            raise PermissionError(0, "it cannot be emptied from here: its file system is read-only")

    def _listed(self, folder: int) -> list[str]:
        found = []
        with os.scandir(folder) as entries:
            for number, each in enumerate(entries):
                if self.is_drop and number >= _MAX_DROP_ENTRIES:
                    raise OSError(
                        0, f"it holds more than {_MAX_DROP_ENTRIES} files; nothing of it is taken until some are removed"
                    )
                if each.name.endswith(SUFFIX):
                    found.append(each.name)
        return found

    def _keep_open(self, inode: int) -> None:
        with contextlib.suppress(OSError):
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            if os.fstat(self._descriptor).st_ino != inode:
                self.close()
