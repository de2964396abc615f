"""Which process has an SQLite database: a locked file beside it, in which that process says who and where it is.

It also says how far the database has come. A database that is found earlier than that was brought back from a copy.

SQLite's own lock keeps a second writer out, too, but says neither whose it is nor where to find it. The file stays when its
owner ends; what is in it counts only while it is locked.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from clawlog_backend.domain.times import UtcMs

_MOST_BYTES = 4_096
_RANGE_LOCK = struct.Struct("hhqqi4x")  # struct flock of Linux, 64 bits: type, whence, start, length, pid


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that uses a database.

    Attributes:
        pid: Its number, as it sees itself.
        since: When it began, in RFC 3339.
        version: Its version.
        address: Where it answers; empty while it does not yet.
        store_id: The database's identity, and ``seq`` the number of its newest change, as far as was noted.
        file: The number of the database's file on its disk (inode).
    """

    pid: int
    since: str
    version: str
    address: str = ""
    store_id: str = ""
    seq: int = 0
    file: int = 0

    def __str__(self) -> str:
        where = f" at {self.address}" if self.address else ""
        return f"process {self.pid}{where} (version {self.version}), since {self.since}"


class DatabaseInUseError(Exception):
    """Another process uses the database; the text says which."""


class Ownership:
    """This process's claim on an SQLite file.

    Args:
        database: The file; it is there.
        version: This program's version.

    Attributes:
        before: What the last process that had it noted; ``None`` where that cannot be read.

    Raises:
        DatabaseInUseError: Another process has it.
        OSError: The file beside it cannot be made.
    """

    def __init__(self, database: Path, *, version: str) -> None:
        # Beside the file itself rather than beside a link to it, so that whoever comes by another name meets it.
        path = Path(f"{os.path.realpath(database)}-owner")
        self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = _read(self._descriptor)
            os.close(self._descriptor)
            raise DatabaseInUseError(_in_use(str(other) if other else "another process")) from error
        self.before = _read(self._descriptor)
        self._file = database.stat().st_ino
        self._owner = Owner(os.getpid(), UtcMs.now().rfc3339(), version)
        if self.before is not None:  # how far it had come stays there until the database was read
            known = self.before
            self._owner = replace(self._owner, store_id=known.store_id, seq=known.seq, file=known.file)
        self._write(self._owner)

    def was_brought_back(self, store_id: str, seq: int) -> bool:
        """Whether the database is not the one that was here last, as it was or later: a copy, or another file."""
        before = self.before
        if before is None or before.store_id != store_id:
            return False  # of another database, or of a version that notes nothing
        return seq < before.seq or before.file != self._file

    def note(self, store_id: str, seq: int) -> None:
        """Say how far the database has come. To be called after the commit, so that it never says more than is there."""
        self._owner = replace(self._owner, store_id=store_id, seq=seq, file=self._file)
        self._write(self._owner)

    def announce(self, address: str) -> None:
        """Say where this process answers."""
        self._owner = replace(self._owner, address=address)
        self._write(self._owner)

    def release(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)

    def _write(self, owner: Owner) -> None:
        text = json.dumps(asdict(owner)).encode()
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))


def find_holder(database: Path) -> str | None:
    """What to say where SQLite found its file locked, by a program that knows nothing of :class:`Ownership`.

    An earlier version is such a program. ``None`` where nobody has the file any more.
    """
    with database.open("rb") as file:
        asked = _RANGE_LOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = _RANGE_LOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
        if kind == fcntl.F_UNLCK:
            return None
    # 0 and less: a process of another machine or namespace.
    return _in_use(f"process {pid} (an earlier version, or another program)" if pid > 0 else "another program")


def _in_use(who: str) -> str:
    return (
        f"it is in use by {who}. One SQLite database has one backend: use that one, end it first, name another file with "
        "--database, or see docs/scaling.md for several backends on PostgreSQL"
    )


def _read(descriptor: int) -> Owner | None:
    # It is written by whoever has the lock, so that it may be of another version, or half there.
    try:
        found = json.loads(os.pread(descriptor, _MOST_BYTES, 0))
        place = str(found.get("store_id", "")), int(found.get("seq", 0)), int(found.get("file", 0))
        return Owner(int(found["pid"]), str(found["since"]), str(found["version"]), str(found.get("address", "")), *place)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
