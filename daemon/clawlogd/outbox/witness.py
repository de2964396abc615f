"""A second, tiny file that knows how far the event numbers had come.

SQLite drops the tail of a damaged WAL in silence: the database is then simply older, and nothing in it says so. This file is
written after each commit (not synced: it must only survive the process, and a number lower than the truth does no harm), so
that the daemon can tell at its next start that confirmed events are gone, and how many.
"""

from __future__ import annotations

import os
from pathlib import Path


class Witness:
    """Remembers the last committed event number.

    Args:
        path: The file. It is made when missing.

    Attributes:
        last_seq: What the last run left: 0 where there was none.
        clean: Whether the last run ended in good order (or there was none).
    """

    def __init__(self, path: Path) -> None:
        existed = path.exists()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        seq, _, state = os.pread(self._descriptor, 64, 0).decode("ascii", "replace").strip().partition(" ")
        self.last_seq = int(seq) if seq.isdigit() and len(seq) == 20 else 0
        self.clean = not existed or state == "clean"
        self._write("open ")

    def advance(self, seq: int) -> None:
        """Notes that everything up to ``seq`` is on disk."""
        self.last_seq = seq
        self._write("open ")

    def close(self, *, clean: bool) -> None:
        """Notes how the run ended."""
        self._write("clean" if clean else "open ")
        os.close(self._descriptor)

    def _write(self, state: str) -> None:
        os.pwrite(self._descriptor, f"{self.last_seq:020d} {state}\n".encode(), 0)
