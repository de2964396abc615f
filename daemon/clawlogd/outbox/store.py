"""The outbox's file: one SQLite connection, used by one thread, never by the event loop.

One connection, because SQLite before 3.51 can lose a WAL reset between two; ``synchronous=FULL``, because ``NORMAL`` loses
confirmed commits at a power cut. Every record bears a checksum: SQLite itself passes over a flipped bit in a payload.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

from clawlogd.outbox.errors import DuplicateEventError, StorageFailedError
from clawlogd.outbox.group import Group
from clawlogd.outbox.schema import EventState, migrate

T = TypeVar("T")

_CHUNK_SIZES = (256, 32, 4, 1)
_STUCK = "SELECT seq, e.event_id, e.lane, e.task_id, e.size, e.body"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it waits for delivery.

    Attributes:
        seq: Its number: gapless over the whole outbox.
        event_id: Its UUID, as 16 bytes.
        task_id: Whose it is.
        at_ms: When it happened.
        body: The event's JSON.
        intact: Whether its checksum fits.
    """

    seq: int
    event_id: bytes
    task_id: str
    at_ms: int
    body: bytes
    intact: bool


@dataclass(frozen=True, slots=True)
class StuckEvent:
    """An event that waits for a person, or behind one that does."""

    seq: int
    event_id: bytes
    lane: int
    task_id: str
    size_bytes: int
    body: bytes


@dataclass(frozen=True, slots=True)
class DeadEvent(StuckEvent):
    """A dead letter: the backend's status and reply, and when it refused."""

    status: int | None
    reply: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much of one state waits in a lane."""

    lane: int
    state: EventState
    count: int
    size_bytes: int


def checksum(seq: int, event_id: bytes, lane: int, task_id: str, at_ms: int, body: bytes) -> int:  # noqa: PLR0917 - as stored
    """The CRC-32 of everything that an event's delivery rests on."""
    return zlib.crc32(body, zlib.crc32(b"%d %s %d %s %d" % (seq, event_id, lane, task_id.encode(), at_ms)))


class Store:
    """Reads and writes ``outbox.db``. Each method is one transaction, and blocks.

    Args:
        path: The database's file. Made with mode 0600 (the process's umask is 077).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Opens the file, or makes it, and brings it to the current schema.

        Raises:
            sqlite3.DatabaseError: It is damaged.
            UnknownSchemaError: A newer version wrote it.
        """
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, cached_statements=64)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA cache_size = -4096")  # KiB; the queue must not fill memory
            connection.execute("PRAGMA trusted_schema = OFF")
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def close(self) -> None:
        """Closes the file; the WAL is folded into it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def check(self) -> str | None:
        """SQLite's own quick check: None when all is well, else what is wrong first."""
        found: str = self._open().execute("PRAGMA quick_check(1)").fetchone()[0]
        return None if found == "ok" else found

    def commit(self, group: Group) -> None:
        """Makes a group durable, all of it or nothing.

        Raises:
            DuplicateEventError: An event id of it is there already.
            StorageFailedError: The disk is full or failed. The connection is opened anew at the next call.
        """
        try:
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                _write(connection, group)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.IntegrityError as error:
            raise DuplicateEventError(str(error)) from error
        except sqlite3.Error as error:
            self._abandon()
            raise StorageFailedError(f"{error} ({getattr(error, 'sqlite_errorname', 'unknown')})") from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self.open()
        assert self._connection is not None  # noqa: S101 - open() has set it
        return self._connection

    def _abandon(self) -> None:
        # After a failed write the state of SQLite's caches is not worth trusting; what is on disk is.
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                return

    # ── Reading ────────────────────────────────────────────────────────────────────────────────────────────────────

    def last_seq(self) -> int:
        """The highest number given out, as far as the file knows."""
        seq: int = self._open().execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
        return seq

    def lanes(self) -> list[tuple[int, str]]:
        """Number and address of every backend that ever had an event."""
        return self._open().execute("SELECT lane, base_url FROM lanes").fetchall()

    def waiting(self) -> list[Waiting]:
        """How much waits, by lane and state."""
        rows = self._open().execute("SELECT lane, state, count(*), sum(size) FROM events WHERE state <> 1 GROUP BY lane, state")
        return [Waiting(lane, EventState(state), count, size) for lane, state, count, size in rows]

    def waiting_by_task(self) -> list[tuple[str, int]]:
        """How many undelivered events each task has."""
        return self._open().execute("SELECT task_id, count(*) FROM events WHERE state <> 1 GROUP BY task_id").fetchall()

    def tasks(self) -> list[tuple[str, bytes]]:
        """Every task row."""
        return self._open().execute("SELECT task_id, body FROM tasks").fetchall()

    def steps(self) -> list[tuple[str, bytes]]:
        """Every step row, in order within its task."""
        return self._open().execute("SELECT task_id, body FROM steps ORDER BY task_id, position").fetchall()

    def pending(self, lane: int, after: int, limit: int, without: Iterable[str] = ()) -> list[StoredEvent]:
        """The oldest events that a lane may send.

        Args:
            lane: The lane's number.
            after: Only events with a higher number.
            limit: How many at most.
            without: Tasks whose events are passed over.
        """
        left_out = list(without)
        skip = f"AND task_id NOT IN ({','.join('?' * len(left_out))})" if left_out else ""
        return self._select_pending(lane, f"AND seq > ? {skip} ORDER BY seq LIMIT ?", (after, *left_out, limit))

    def first_of_task(self, lane: int, task_id: str) -> list[StoredEvent]:
        """One task's oldest event that the lane may send, if there is one."""
        return self._select_pending(lane, "AND task_id = ? ORDER BY seq LIMIT 1", (task_id,))

    def _select_pending(self, lane: int, condition: str, values: Sequence[object]) -> list[StoredEvent]:
        # "state <> 1" stands there for the planner: it is the condition of the partial index.
        rows = self._open().execute(
            "SELECT seq, event_id, task_id, at_ms, body, crc FROM events INDEXED BY events_waiting "  # noqa: S608 - only "?"
            f"WHERE lane = ? AND state = 0 AND state <> 1 {condition}",
            (lane, *values),
        )
        return [
            StoredEvent(seq, event_id, task_id, at_ms, body, crc == checksum(seq, event_id, lane, task_id, at_ms, body))
            for seq, event_id, task_id, at_ms, body, crc in rows
        ]

    def reply(self, event_id: bytes) -> bytes | None:
        """What the first call with this event id was answered; None where there was none."""
        row = self._open().execute("SELECT reply FROM events WHERE event_id = ?", (event_id,)).fetchone()
        return row[0] if row else None

    def dead(self, event_ids: Sequence[bytes] | None = None) -> list[DeadEvent]:
        """Dead letters, oldest first: those named, or all (at most 10,000)."""
        only = "" if event_ids is None else f"AND event_id IN ({','.join('?' * len(event_ids))})"
        rows = self._open().execute(
            f"{_STUCK}, status, d.reply, d.at_ms FROM events AS e JOIN dead_letters AS d USING (seq) "
            f"WHERE state = 2 {only} ORDER BY seq LIMIT 10000",
            tuple(event_ids or ()),
        )
        return [DeadEvent(*row) for row in rows]

    def held(self, task_id: str) -> list[StuckEvent]:
        """What waits behind a task's dead creation."""
        query = f"{_STUCK} FROM events AS e WHERE state <> 1 AND state = 3 AND task_id = ? ORDER BY seq"
        return [StuckEvent(*row) for row in self._open().execute(query, (task_id,))]

    # ── Keeping ────────────────────────────────────────────────────────────────────────────────────────────────────

    def prune(self, before_ms: int, limit: int = 5000) -> int:
        """Forgets settled events that happened before a time. Returns how many."""
        connection = self._open()
        with _transaction(connection):
            query = "SELECT seq FROM events WHERE state = 1 AND at_ms < ? ORDER BY seq LIMIT ?"
            gone = [seq for (seq,) in connection.execute(query, (before_ms, limit))]
            newest = connection.execute("SELECT max(seq) FROM events").fetchone()[0]
            if gone and gone[-1] == newest:
                gone.pop()  # the newest stays: it says how far the numbers have come
            connection.executemany("DELETE FROM events WHERE seq = ?", ((seq,) for seq in gone))
            connection.execute("UPDATE ledger SET pruned_count = pruned_count + ?", (len(gone),))
        return len(gone)

    def note_lost(self, last_seq: int) -> int:
        """Counts the numbers up to ``last_seq`` that are neither in the file nor pruned: accepted events that are gone.

        They are entered into the ledger, so that each is counted once. Returns how many were found now.
        """
        connection = self._open()
        query = "SELECT count(*) + (SELECT pruned_count + lost_count FROM ledger) FROM events"
        lost: int = last_seq - connection.execute(query).fetchone()[0]
        if lost > 0:
            connection.execute("UPDATE ledger SET lost_count = lost_count + ?", (lost,))
        return max(lost, 0)

    def lost(self) -> int:
        """How many accepted events were ever found to be gone."""
        count: int = self._open().execute("SELECT lost_count FROM ledger").fetchone()[0]
        return count

    def damaged(self, after: int, limit: int) -> tuple[list[int], int | None]:
        """Checks the checksums of a stretch of waiting events.

        Returns:
            The numbers of those that do not fit, and the last number looked at (None at the end).
        """
        rows = (
            self._open()
            .execute(
                "SELECT seq, event_id, lane, task_id, at_ms, body, crc FROM events "
                "WHERE state <> 1 AND seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            )
            .fetchall()
        )
        bad = [row[0] for row in rows if row[5] is None or row[6] != checksum(*row[:6])]
        return bad, rows[-1][0] if rows else None


class _transaction:  # noqa: N801 - reads as a statement
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._connection.execute("COMMIT")
        elif self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _write(connection: sqlite3.Connection, group: Group) -> None:
    many = connection.executemany
    if group.lanes:
        many("INSERT INTO lanes (lane, base_url) VALUES (?, ?)", group.lanes)
    if group.events:
        columns = "INSERT INTO events (seq, event_id, lane, task_id, at_ms, size, crc, body, reply) VALUES "
        _insert(connection, columns, group.events)
    if group.tasks:
        many(
            "INSERT INTO tasks (task_id, body) VALUES (?, ?) ON CONFLICT (task_id) DO UPDATE SET body = excluded.body",
            group.tasks.items(),
        )
    if group.steps:
        _insert(
            connection,
            "INSERT INTO steps (task_id, position, body) VALUES ",
            [(*key, body) for key, body in group.steps.items()],
            "ON CONFLICT (task_id, position) DO UPDATE SET body = excluded.body",
        )
    settled = [(seq,) for seq, state in group.moved.items() if state is EventState.SETTLED]
    for chunk in _chunks(settled):
        marks = ",".join("?" * len(chunk))
        update = f"UPDATE events SET state = 1, body = NULL WHERE seq IN ({marks})"  # noqa: S608 - only "?"
        connection.execute(update, [seq for (seq,) in chunk])
    others = [(state, seq) for seq, state in group.moved.items() if state is not EventState.SETTLED]
    if others:
        many("UPDATE events SET state = ? WHERE seq = ?", others)
        settled += [(seq,) for state, seq in others if state is EventState.PENDING]
    if settled and connection.execute("SELECT EXISTS (SELECT 1 FROM dead_letters)").fetchone()[0]:
        many("DELETE FROM dead_letters WHERE seq = ?", settled)
    if group.dead:
        many(
            "INSERT OR REPLACE INTO dead_letters (seq, status, reply, at_ms) VALUES (?, ?, ?, ?)",
            ((each.seq, each.status, each.reply, each.at_ms) for each in group.dead),
        )
    if group.forgotten:
        gone = [(task_id,) for task_id in group.forgotten]
        many("DELETE FROM tasks WHERE task_id = ?", gone)
        many("DELETE FROM steps WHERE task_id = ?", gone)


def _insert(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[object, ...]], conflict: str = "") -> None:
    """Inserts many rows by few statements.

    Each step of a statement gives the interpreter's lock away and wants it back; beside a busy event loop that takes
    milliseconds each time. A statement of many rows does so once.
    """
    marks = f"({','.join('?' * len(rows[0]))})"
    for chunk in _chunks(rows):
        connection.execute(f"{statement}{','.join([marks] * len(chunk))} {conflict}", list(chain.from_iterable(chunk)))


def _chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cuts rows into chunks of few different sizes, so that the statements are prepared once."""
    start = 0
    for size in _CHUNK_SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


def fsync_folder(path: Path) -> None:
    """Makes a folder's entries durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
