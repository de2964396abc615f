"""A second, tiny file that knows how far the event numbers had come.

SQLite drops the tail of a damaged WAL in silence: the database is then simply older, and nothing in it says so. This file is
written after each commit (not synced: it must only survive the process, and a number lower than the truth does no harm), so
that the daemon can tell at its next start that confirmed events are gone, and how many.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from pathlib import Path

_BYTES = 30  # twenty digits, a space, the checksum in eight hexadecimal ones, a line feed


class Witness:
    """Remembers the last committed event number.

    Args:
        path: The file. It is made when missing.

    Attributes:
        last_seq: What the last run left: 0 where there was none, or none that can be read.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.last_seq = _read(os.pread(self._descriptor, _BYTES, 0))

    def advance(self, seq: int) -> None:
        """Notes that everything up to ``seq`` is on disk. Failing at it fails nothing else: the commit has been made."""
        self.last_seq = seq
        digits = b"%020d" % seq
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, b"%s %08x\n" % (digits, zlib.crc32(digits)), 0)

    def close(self) -> None:
        """Gives the file back."""
        os.close(self._descriptor)


def _read(content: bytes) -> int:
    digits, _, check = content.removesuffix(b"\n").partition(b" ")
    return int(digits) if digits.isdigit() and check == b"%08x" % zlib.crc32(digits) else 0
