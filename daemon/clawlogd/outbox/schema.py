"""The outbox's tables, and the forward migrations between their versions.

``events`` holds every accepted event. One that was delivered stays as a small row (without its body) until it is pruned, so
that a repeated call is known for one, and so that the sequence has no gap that nobody can explain: ``ledger`` counts the
numbers that were pruned, and those that were found to be missing.
"""

from __future__ import annotations

import sqlite3
from enum import IntEnum


class EventState(IntEnum):
    """Where an event stands on its way."""

    PENDING = 0
    SETTLED = 1  # delivered, or dropped by an operator
    DEAD = 2
    HELD = 3  # behind a task_created that is dead


_VERSION_1 = """
CREATE TABLE ledger (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    pruned_count INTEGER NOT NULL DEFAULT 0,
    lost_count INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO ledger (one) VALUES (1);
CREATE TABLE lanes (
    lane INTEGER PRIMARY KEY,
    base_url TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    event_id BLOB NOT NULL UNIQUE,
    lane INTEGER NOT NULL,
    task_id TEXT NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    at_ms INTEGER NOT NULL,
    size INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    body BLOB,
    reply BLOB
) STRICT;
CREATE INDEX events_waiting ON events (lane, state, seq, task_id, size) WHERE state <> 1;
CREATE TABLE dead_letters (
    seq INTEGER PRIMARY KEY,
    status INTEGER,
    reply TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE tasks (
    task_id TEXT PRIMARY KEY,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE steps (
    task_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (task_id, position)
) STRICT, WITHOUT ROWID;
"""

MIGRATIONS: tuple[str, ...] = (_VERSION_1,)
"""The script at index n brings a database from version n to n + 1."""

CURRENT_VERSION = len(MIGRATIONS)


class UnknownSchemaError(Exception):
    """The file was written by a newer version; it must not be touched."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"outbox.db has schema version {version}, and this clawlogd knows versions up to {CURRENT_VERSION}; "
            "run the newer clawlogd that wrote it, or give this one another state folder"
        )


def migrate(connection: sqlite3.Connection) -> None:
    """Brings the database to the current version, each step in one transaction.

    Raises:
        UnknownSchemaError: The database is newer than this program. It has not been changed.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > CURRENT_VERSION:
        raise UnknownSchemaError(version)
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE;{script}PRAGMA user_version = {number};COMMIT;")
