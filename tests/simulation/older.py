"""What a daemon of before left: the outbox of now, written as the older versions had it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

from clawlogd.outbox.integrity import event_checksum, row_checksum
from clawlogd.outbox.schema import migrate

_EVENTS = "seq, event_id, lane, task_id, state, at_ms, size, crc, body, reply"


def make_older(path: Path, version: int) -> None:
    """Writes an outbox anew, in an older version's tables.

    Args:
        path: The file; what is in its WAL counts.
        version: The schema's version: 1, 2 or 3.
    """
    draft = path.with_name("older.db")
    with contextlib.closing(_open(path)) as now, contextlib.closing(_open(draft)) as older:
        migrate(older, to=version)
        older.execute("BEGIN")
        _copy(now, older, version)
        older.execute("COMMIT")
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}.sealed"):
        path.with_name(name).unlink(missing_ok=True)
    draft.rename(path)


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.Connection(path, isolation_level=None)  # not the simulated one: its disk may be full


def _copy(now: sqlite3.Connection, older: sqlite3.Connection, version: int) -> None:
    older.execute("UPDATE ledger SET (pruned_count, lost_count) = (?, ?)", _only(now, "pruned_count, lost_count", "ledger"))
    numbers = {lane: n for n, (lane,) in enumerate(now.execute("SELECT lane FROM lanes ORDER BY base_url").fetchall(), 1)}
    number = (lambda lane: numbers.get(lane, lane)) if version == 1 else (lambda lane: lane)
    lanes = now.execute("SELECT lane, base_url FROM lanes").fetchall()
    older.executemany("INSERT INTO lanes VALUES (?, ?)", [(number(lane), url) for lane, url in lanes])
    for seq, event_id, lane, task_id, state, at_ms, size, crc, body, reply in now.execute(f"SELECT {_EVENTS} FROM events"):
        if version == 1 and body is not None:
            crc = event_checksum(seq, event_id, number(lane), task_id, at_ms, body)  # noqa: PLW2901 - that of the older row
        row = (seq, event_id, number(lane), task_id, state, at_ms, size, crc, body, reply)
        older.execute(f"INSERT INTO events ({_EVENTS}) VALUES (?,?,?,?,?,?,?,?,?,?)", row)
    older.executemany("INSERT INTO dead_letters VALUES (?,?,?,?)", now.execute("SELECT * FROM dead_letters"))
    checked = version > 1
    for task_id, body, crc in now.execute("SELECT task_id, body, crc FROM tasks"):
        row = (task_id, body, crc) if checked else (task_id, body)
        older.execute(f"INSERT INTO tasks VALUES ({','.join('?' * len(row))})", row)
    for task_id, body in now.execute("SELECT task_id, body FROM steps"):
        position = json.loads(body)["position"]
        row = (task_id, position, body, *([row_checksum(f"{task_id}/{position}", body)] if checked else []))
        older.execute(f"INSERT INTO steps VALUES ({','.join('?' * len(row))})", row)


def _only(connection: sqlite3.Connection, columns: str, table: str) -> tuple[int, ...]:
    row: tuple[int, ...] = connection.execute(f"SELECT {columns} FROM {table}").fetchone()
    return row
