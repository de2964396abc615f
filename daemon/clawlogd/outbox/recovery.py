"""Opening the outbox, whatever state its file is in.

The whole file is checked at each start, unless it is just what the last daemon closed (see ``integrity.Seal``). A damaged one
is kept aside, never deleted; what can be read of it goes into a new one. The new one takes its place only when it is whole, so
that a crash or a full disk amid a recovery costs nothing. A file of an unknown schema is left alone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clawlogd.clock import Clock
from clawlogd.logs import Log
from clawlogd.outbox.integrity import Seal, event_checksum, is_damage, lane_number
from clawlogd.outbox.schema import CURRENT_VERSION, EventState, migrate, version_of
from clawlogd.outbox.store import Store, fsync_folder

_STRETCH = 64  # event numbers that are read together where the file is damaged
_SIDE_FILES = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was done about a damaged file.

    Attributes:
        reason: What was wrong with it.
        moved_to: Where it lies now.
        events: How many undelivered events could be read from it.
    """

    reason: str
    moved_to: Path
    events: int


def open_store(path: Path, *, clock: Clock, last_seq: int = 0) -> tuple[Store, Recovery | None]:
    """Opens the outbox's file, recovering what can be read when it is damaged.

    Args:
        path: The file.
        clock: For the damaged file's new name.
        last_seq: How far the event numbers had come, as far as another file knows.

    Raises:
        UnknownSchemaError: A newer version wrote the file. It is left as it is.
        sqlite3.Error: No file can be made there at all.
    """
    rebuilt = path.with_name(f"{path.name}.rebuilt")
    if rebuilt.exists():  # a recovery was cut short at its last step
        _replace(path, rebuilt)
    store = Store(path)
    unchanged = Seal(path).take()
    try:
        store.open()
        reason = None if unchanged else store.check()
        if reason is None:
            return store, None
    except sqlite3.DatabaseError as error:
        if not is_damage(error) and error.sqlite_errorcode != sqlite3.SQLITE_ERROR:  # such as a table that is not there
            store.close()
            raise
        reason = str(error)
    store.close()
    recovery = _recover(path, rebuilt, f"{path.name}.corrupt-{clock.wall_ms()}", reason, last_seq)
    store.open()
    return store, recovery


def _recover(path: Path, rebuilt: Path, aside_name: str, reason: str, last_seq: int) -> Recovery:
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    with contextlib.closing(_connect(path)) as source, contextlib.closing(_connect(draft)) as target:
        target.execute("PRAGMA synchronous = FULL")
        migrate(target, to=_version(source))
        target.execute("BEGIN IMMEDIATE")
        target.execute("DELETE FROM ledger")  # which is there from birth, and is copied as all else is
        for (table,) in target.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid").fetchall():
            _copy(source, target, table, last_seq)
        _mend(target, last_seq)
        target.execute("COMMIT")
        count: int = target.execute("SELECT count(*) FROM events WHERE state <> 1").fetchone()[0]
    aside = path.with_name(aside_name)
    for suffix in ("", *_SIDE_FILES):
        old = path.with_name(path.name + suffix)
        if old.exists():
            _keep(old, aside.with_name(aside.name + suffix))
    draft.rename(rebuilt)
    fsync_folder(path.parent)
    _replace(path, rebuilt)
    Log("outbox").error("outbox_recovered", reason=reason, moved_to=str(aside), events=count)
    return Recovery(reason, aside, count)


def _keep(old: Path, aside: Path) -> None:
    try:
        os.link(old, aside)
    except OSError:  # a file system without links
        shutil.copy2(old, aside)


def _replace(path: Path, rebuilt: Path) -> None:
    """Puts a whole, new file in the place of the damaged one. Its WAL goes first: SQLite would apply it to the new one."""
    for suffix in _SIDE_FILES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    rebuilt.replace(path)
    fsync_folder(path.parent)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return connection


def _version(source: sqlite3.Connection) -> int:
    try:
        return min(max(version_of(source), 1), CURRENT_VERSION)
    except sqlite3.Error:
        return CURRENT_VERSION


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, table: str, last_seq: int) -> None:
    info = target.execute(f"PRAGMA table_info({table})").fetchall()
    columns = [name for _, name, *_ in info]
    key = [name for _, name, _, _, _, place in sorted(info, key=lambda row: row[5]) if place]
    insert = f"INSERT OR REPLACE INTO {table} ({','.join(columns)}) VALUES ({','.join('?' * len(columns))})"  # noqa: S608 - our names
    for row in _rows(source, table, columns, key, last_seq):
        with contextlib.suppress(sqlite3.IntegrityError, sqlite3.DataError):  # garbage that only looks like a row
            target.execute(insert, row)


def _rows(
    source: sqlite3.Connection, table: str, columns: list[str], key: list[str], last_seq: int
) -> Iterator[tuple[object, ...]]:
    """Every row that can be read: forward up to the damage, backward to it, and what lies between by small stretches."""
    select = f"SELECT {','.join(columns)} FROM {table} NOT INDEXED"  # noqa: S608 - our schema's names
    reached: list[object] = []
    for direction in ("", " DESC"):
        last: tuple[object, ...] | None = None
        try:
            for last in source.execute(f"{select} ORDER BY {', '.join(name + direction for name in key)}"):
                yield last
        except sqlite3.Error:
            reached.append(last[0] if last else None)
            continue
        return
    if table == "events":
        first, end = (each if isinstance(each, int) else None for each in reached)
        yield from _between(source, select, first or 0, last_seq if end is None else end)


def _between(source: sqlite3.Connection, select: str, after: int, to: int) -> Iterator[tuple[object, ...]]:
    for start in range(after + 1, to + 1, _STRETCH):
        try:
            yield from source.execute(f"{select} WHERE seq BETWEEN ? AND ?", (start, min(start + _STRETCH - 1, to))).fetchall()
        except sqlite3.Error:
            for seq in range(start, min(start + _STRETCH, to + 1)):
                with contextlib.suppress(sqlite3.Error):
                    yield from source.execute(f"{select} WHERE seq = ?", (seq,)).fetchall()


def _mend(target: sqlite3.Connection, last_seq: int) -> None:
    """Sets right what damage made inconsistent: what has its body is to be delivered, for delivering twice harms nothing."""
    fits = "body IS NOT NULL AND crc = event_checksum(seq, event_id, lane, task_id, at_ms, body)"
    target.execute(f"DELETE FROM events WHERE seq > ? AND NOT ({fits})", (last_seq,))  # noqa: S608 - numbers that never were
    known = ",".join(str(int(state)) for state in EventState)
    target.execute(f"UPDATE events SET state = 0 WHERE body IS NOT NULL AND (state = 1 OR state NOT IN ({known}))")  # noqa: S608 - numbers of our own
    target.execute(f"UPDATE events SET state = 1 WHERE body IS NULL AND state NOT IN ({known})")  # noqa: S608 - as above
    _mend_lanes(target)
    if not target.execute("SELECT count(*) FROM ledger").fetchone()[0]:
        # Numbers below the oldest that is left are taken for pruned: they are, as a rule, long delivered.
        target.execute("INSERT INTO ledger (one, pruned_count) SELECT 1, coalesce(min(seq) - 1, 0) FROM events")


def _mend_lanes(target: sqlite3.Connection) -> None:
    """Gives events with a lane that nobody reads their own again, by their checksum; where none fits, any one.

    There such an event becomes a dead letter in its turn, as every damaged one does. One whose checksum fits as it is has the
    lane of a backend that only a task still names.
    """
    lanes = [lane for lane, base_url in target.execute("SELECT lane, base_url FROM lanes") if lane == lane_number(base_url)]
    if not lanes:
        return
    columns = "seq, event_id, lane, task_id, at_ms, body, crc"
    strays = f"SELECT {columns} FROM events WHERE state <> 1 AND body IS NOT NULL AND lane NOT IN (SELECT lane FROM lanes)"  # noqa: S608 - our names
    for seq, event_id, found, task_id, at_ms, body, crc in target.execute(strays).fetchall():
        fitting = (lane for lane in (found, *lanes) if event_checksum(seq, event_id, lane, task_id, at_ms, body) == crc)
        target.execute("UPDATE events SET lane = ? WHERE seq = ?", (next(fitting, lanes[0]), seq))
