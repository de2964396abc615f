"""Opening the outbox, whatever state its file is in.

A damaged file is moved aside, never deleted; what can be read of it goes into a new one. An unknown schema is left alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clawlogd.clock import Clock
from clawlogd.logs import Log
from clawlogd.outbox.store import Store, fsync_folder

_TABLES = {
    "ledger": ("one", "pruned_count", "lost_count"),
    "lanes": ("lane", "base_url"),
    "events": ("seq", "event_id", "lane", "task_id", "state", "at_ms", "size", "crc", "body", "reply"),
    "dead_letters": ("seq", "status", "reply", "at_ms"),
    "tasks": ("task_id", "body"),
    "steps": ("task_id", "position", "body"),
}


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was done about a damaged file.

    Attributes:
        reason: What was wrong with it.
        moved_to: Where it lies now.
        events: How many events could be read from it.
    """

    reason: str
    moved_to: Path
    events: int


def open_store(path: Path, *, clock: Clock, suspicious: bool) -> tuple[Store, Recovery | None]:
    """Opens the outbox's file, recovering what can be read when it is damaged.

    Args:
        path: The file.
        clock: For the damaged file's new name.
        suspicious: Whether the last run ended badly: then the whole file is checked first.

    Raises:
        UnknownSchemaError: A newer version wrote the file. It is left as it is.
        sqlite3.Error: No file can be made there at all.
    """
    store = Store(path)
    try:
        store.open()
        reason = store.check() if suspicious else None
        if reason is None:
            store.last_seq()
            return store, None
        store.close()
    except sqlite3.DatabaseError as error:
        store.close()
        if isinstance(error, sqlite3.OperationalError) and not _damage(error):
            raise
        reason = str(error)
    return _recover(path, clock, reason)


def _damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _recover(path: Path, clock: Clock, reason: str) -> tuple[Store, Recovery]:
    aside = path.with_name(f"{path.name}.corrupt-{clock.wall_ms()}")
    for suffix in ("", "-wal", "-shm"):
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.rename(aside.with_name(aside.name + suffix))
    fsync_folder(path.parent)
    store = Store(path)
    store.open()
    store.close()
    target = sqlite3.connect(path, isolation_level=None)
    source = sqlite3.connect(aside, isolation_level=None)
    try:
        target.execute("PRAGMA synchronous = FULL")
        target.execute("BEGIN IMMEDIATE")
        for table, columns in _TABLES.items():
            marks = ",".join("?" * len(columns))
            insert = f"INSERT OR REPLACE INTO {table} ({','.join(columns)}) VALUES ({marks})"  # noqa: S608 - names from above
            target.executemany(insert, _rows(source, table, columns))
        target.execute("COMMIT")
        count: int = target.execute("SELECT count(*) FROM events WHERE state <> 1").fetchone()[0]
    finally:
        source.close()
        target.close()
    Log("outbox").error("outbox_recovered", reason=reason, moved_to=str(aside), events=count)
    store.open()
    return store, Recovery(reason, aside, count)


def _rows(source: sqlite3.Connection, table: str, columns: tuple[str, ...]) -> Iterator[tuple[object, ...]]:
    """Every row that can be read: forward up to the damage, then backward to it."""
    key = ", ".join(columns[: 2 if table == "steps" else 1])
    seen: set[object] = set()
    for direction in ("", " DESC"):
        order = ", ".join(f"{name}{direction}" for name in key.split(", "))
        try:
            for row in source.execute(f"SELECT {','.join(columns)} FROM {table} ORDER BY {order}"):  # noqa: S608 - names from above
                identity = row[: 2 if table == "steps" else 1]
                if identity not in seen:
                    seen.add(identity)
                    yield row
        except sqlite3.Error:
            continue
        return
