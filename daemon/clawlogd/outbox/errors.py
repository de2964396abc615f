"""Why the outbox did not take or give something."""

from __future__ import annotations

import sqlite3


class OutboxError(Exception):
    """The outbox could not do what was asked; nothing was half-done."""


class StorageFailedError(OutboxError):
    """A commit or a read failed: nothing of a commit is on disk, and memory has been put back."""


class DamagedError(StorageFailedError):
    """SQLite found its file damaged: the daemon must start anew, which recovers what can be read."""


class OutboxFullError(OutboxError):
    """A bound is reached: nothing was accepted, and nothing old was dropped."""


class DuplicateEventError(StorageFailedError):
    """An event id was there already although nothing had told so: the group it was in was not committed."""


def storage_error(error: sqlite3.Error) -> StorageFailedError:
    """The outbox's error for one of SQLite's."""
    kind = DamagedError if is_damage(error) else StorageFailedError
    return kind(f"{error} ({getattr(error, 'sqlite_errorname', 'unknown')})")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that its file is damaged, not that the disk is full or failed."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
