"""The outbox's tables, and the forward migrations between their versions.

``events`` holds every accepted event. One that was delivered stays as a small row (without its body) until it is pruned, so
that a repeated call is known for one, and so that the sequence has no gap that nobody can explain: ``ledger`` counts the
numbers that were pruned, and those that were found to be missing.
"""

from __future__ import annotations

import contextlib
import sqlite3
from enum import IntEnum
from pathlib import Path

import msgspec

from clawlogd.outbox.integrity import event_checksum, lane_number, row_checksum


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

# A lane's number is made from its address, tasks and steps have checksums, and pruning needs not read what waits.
_VERSION_2 = """
UPDATE events SET (lane, crc) = (
    SELECT lane_number(base_url), iif(
        events.crc = event_checksum(seq, event_id, events.lane, task_id, at_ms, body),
        event_checksum(seq, event_id, lane_number(base_url), task_id, at_ms, body),
        events.crc
    )
    FROM lanes WHERE lanes.lane = events.lane
)
WHERE body IS NOT NULL AND lane IN (SELECT lane FROM lanes);
UPDATE events SET lane = (SELECT lane_number(base_url) FROM lanes WHERE lanes.lane = events.lane)
WHERE body IS NULL AND lane IN (SELECT lane FROM lanes);
UPDATE lanes SET lane = lane_number(base_url);
ALTER TABLE tasks ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
UPDATE tasks SET crc = row_checksum(task_id, body);
ALTER TABLE steps ADD COLUMN crc INTEGER NOT NULL DEFAULT 0;
UPDATE steps SET crc = row_checksum(task_id || '/' || position, body);
CREATE INDEX events_settled ON events (at_ms) WHERE state = 1;
"""

# Which event an event id was minted for, so that another call with it is refused; unknown of those that are there.
_VERSION_3 = "ALTER TABLE events ADD COLUMN identity INTEGER;"

# A step's row is found by its id, because plans change. A row that is damaged stays so, under a key that no step has.
_VERSION_4 = """
CREATE TABLE steps_by_id (
    task_id TEXT NOT NULL,
    step_id TEXT NOT NULL,
    body BLOB NOT NULL,
    crc INTEGER NOT NULL,
    PRIMARY KEY (task_id, step_id)
) STRICT, WITHOUT ROWID;
INSERT INTO steps_by_id (task_id, step_id, body, crc)
    SELECT task_id, step_id, body, iif(step_id GLOB '[?]*', crc, row_checksum(task_id || '/' || step_id, body))
    FROM (SELECT task_id, step_key(task_id, position, body, crc) AS step_id, body, crc FROM steps);
DROP TABLE steps;
ALTER TABLE steps_by_id RENAME TO steps;
"""

MIGRATIONS: tuple[str, ...] = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4)
"""The script at index n brings a database from version n to n + 1."""

CURRENT_VERSION = len(MIGRATIONS)


class UnknownSchemaError(Exception):
    """The file was written by a newer version; it must not be touched."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"outbox.db has schema version {version}, and this clawlogd knows versions up to {CURRENT_VERSION}; "
            "run the newer clawlogd that wrote it, or give this one another state folder"
        )


def version_of(connection: sqlite3.Connection) -> int:
    """The schema version that a database is of; 0 for a new one."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def refuse_newer(path: Path) -> None:
    """Looks at a file's schema version without writing anything: not even the WAL is folded in.

    Raises:
        UnknownSchemaError: A newer version wrote it.
    """
    with (
        contextlib.suppress(sqlite3.Error),  # what is wrong with it shows when it is opened
        contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        if (version := version_of(connection)) > CURRENT_VERSION:
            raise UnknownSchemaError(version)


def migrate(connection: sqlite3.Connection, to: int = CURRENT_VERSION) -> None:
    """Brings the database to a version, by default the current one, each step in one transaction.

    Raises:
        UnknownSchemaError: The database is newer than this program. It has not been changed.
    """
    version = version_of(connection)
    if version > CURRENT_VERSION:
        raise UnknownSchemaError(version)
    connection.create_function("lane_number", 1, lane_number, deterministic=True)
    connection.create_function("event_checksum", 6, event_checksum, deterministic=True)
    connection.create_function("row_checksum", 2, row_checksum, deterministic=True)
    connection.create_function("step_key", 4, _step_key, deterministic=True)
    for number, script in enumerate(MIGRATIONS[version:to], start=version + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE;{script}PRAGMA user_version = {number};COMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


class _StepHead(msgspec.Struct):
    step_id: str


_decode_step = msgspec.json.Decoder(_StepHead).decode


def _step_key(task_id: str, position: int, body: bytes, crc: int) -> str:
    """The id of the step in a row that was found by its position; one that no step can have where the row is damaged."""
    if crc == row_checksum(f"{task_id}/{position}", body):
        with contextlib.suppress(msgspec.DecodeError):
            return _decode_step(body).step_id
    return f"?{position}"


def schema_of(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Every table and index by name, as SQL."""
    return connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").fetchall()


def current_schema() -> list[tuple[str, str]]:
    """What ``schema_of`` gives for a sound database of the current version."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        return schema_of(connection)
