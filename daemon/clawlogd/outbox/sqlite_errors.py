"""What SQLite's errors mean for the outbox."""

from __future__ import annotations

import sqlite3

from clawlogd.errors import StorageDamaged, StorageFailed


def storage_error(error: sqlite3.Error) -> StorageFailed:
    """The outbox's error for one of SQLite's."""
    kind = StorageDamaged if is_damage(error) else StorageFailed
    return kind(f"{error} ({getattr(error, 'sqlite_errorname', 'unknown')})")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that its file is damaged, not that the disk is full or failed."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
