"""How the outbox knows that what it kept is what it wrote: checksums, a seal on the closed file, a witness of its numbers.

SQLite itself passes over a flipped bit in a payload, drops the tail of a damaged WAL in silence, and takes a second for some
hundred thousand waiting events to check every page. So each record has a checksum, a tiny second file says how far the event
numbers had come, and a file that was closed in order need not be checked again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import zlib
from pathlib import Path

from clawlogd.errors import StorageDamaged, StorageFailed

_WITNESS_BYTES = 30  # twenty digits, a space, the checksum in eight hexadecimal ones, a line feed


# ── Checksums ──────────────────────────────────────────────────────────────────────────────────────────────────────


def event_checksum(seq: int, event_id: bytes, lane: int, task_id: str, at_ms: int, body: bytes) -> int:  # noqa: PLR0917 - as stored
    """The CRC-32 of everything that an event's delivery rests on."""
    return zlib.crc32(body, zlib.crc32(b"%d %s %d %s %d" % (seq, event_id, lane, task_id.encode(), at_ms)))


def row_checksum(key: str, body: bytes) -> int:
    """The CRC-32 of a task's or step's row, bound to its key."""
    return zlib.crc32(body, zlib.crc32(key.encode()))


def lane_number(base_url: str) -> int:
    """A backend's number: made from its address, so that each proves the other (63 bits: they do not collide)."""
    return int.from_bytes(hashlib.sha256(base_url.encode()).digest()[:8], "big") >> 1


# ── What SQLite finds ──────────────────────────────────────────────────────────────────────────────────────────────


def storage_error(error: sqlite3.Error) -> StorageFailed:
    """The outbox's error for one of SQLite's."""
    kind = StorageDamaged if is_damage(error) else StorageFailed
    return kind(f"{error} ({getattr(error, 'sqlite_errorname', 'unknown')})")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite reports a damaged file, not a disk that is full or failed."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


# ── The closed file ────────────────────────────────────────────────────────────────────────────────────────────────


class Seal:
    """Says whether a file is still just what the last daemon closed: then it need not be checked.

    The seal is a small file beside it, with the size, the times of the last change and the inode number that the file had when
    it was closed. It is taken away before the file is opened, so that none is there after a crash.

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


# ── How far the numbers had come ───────────────────────────────────────────────────────────────────────────────────


class Witness:
    """Remembers the last committed event number in a file of its own.

    When SQLite drops the tail of a damaged WAL, the database is simply older, and nothing in it says so. This file is written
    after each commit (not synced: it must only survive the process, and a number lower than the truth does no harm), so that
    the daemon can tell at its next start that confirmed events are gone, and how many.

    Args:
        path: The file. It is made when missing.

    Attributes:
        last_seq: What the last run left: 0 where there was none, or none that can be read.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.last_seq = _read_witness(os.pread(self._descriptor, _WITNESS_BYTES, 0))

    def advance(self, seq: int) -> None:
        """Notes that everything up to ``seq`` is on disk. Failing at it fails nothing else: the commit has been made."""
        self.last_seq = seq
        digits = b"%020d" % seq
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, b"%s %08x\n" % (digits, zlib.crc32(digits)), 0)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)


def _read_witness(content: bytes) -> int:
    digits, _, check = content.removesuffix(b"\n").partition(b" ")
    return int(digits) if digits.isdigit() and check == b"%08x" % zlib.crc32(digits) else 0
