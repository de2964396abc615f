"""The outbox's file: one SQLite connection, used by one thread, never by the event loop.

One connection, because SQLite before 3.51 can lose a WAL reset between two; ``synchronous=FULL``, because ``NORMAL`` loses
confirmed commits at a power cut. Every record bears a checksum: SQLite itself passes over a flipped bit in a payload.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path

from clawlogd.errors import DuplicateEvent
from clawlogd.outbox.integrity import Seal, event_checksum, lane_number, storage_error
from clawlogd.outbox.place import Place
from clawlogd.outbox.records import BlockedEvent, CommitGroup, DeadLetter, FirstCall, StoredEvent, WaitingCount, creates_task
from clawlogd.outbox.schema import (
    CURRENT_VERSION,
    EventState,
    current_schema,
    migrate,
    refuse_newer,
    schema_of,
)
from clawlogd.outbox.task_rows import TaskRows, read_tasks
from clawlogd.outbox.writing import UNWRITABLE, leave_out_the_bad, write

_WAL_BYTES = 16 * 1024**2  # what a WAL that grew in a burst is cut back to
_NEWCOMERS_LOOKED_AT = 10_000
# Task ids as one value: SQLite takes a bounded number of them, and an outage may make suspects of every task.
_CHOSEN = "AND task_id IN (SELECT value FROM json_each(?))"
_PASSED_OVER = "AND task_id NOT IN (SELECT value FROM json_each(?))"
_BLOCKED = "SELECT seq, e.event_id, e.lane, e.task_id, e.size, coalesce(e.body, x'')"


class Store:
    """Reads and writes ``outbox.db``. Each method is one transaction, and blocks.

    Args:
        path: The database's file. Made with mode 0600 (the process's umask is 077).

    Attributes:
        damaged_rows: Keys of task and step rows whose checksum does not fit, as far as they have been read. They are skipped.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: sqlite3.Connection | None = None
        self.damaged_rows: list[str] = []
        self._short_of_space = False

    def open(self) -> None:
        """Opens the file, or makes it, and brings it to the current schema.

        Raises:
            sqlite3.DatabaseError: It is damaged.
            UnknownSchemaError: A newer version wrote it.
        """
        if self._path.exists():
            refuse_newer(self._path)
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, cached_statements=64)
        # Text that is not UTF-8 any more is damage for the checksums to find, not a failure of the read.
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA cache_size = -4096")  # KiB; the queue must not fill memory
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
            connection.execute("PRAGMA trusted_schema = OFF")
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        self._opened = connection
        self.place = Place(self._path)

    def close(self, *, seal: bool = False) -> None:
        """Closes the file; the WAL is folded into it.

        Args:
            seal: Whether the file is known to be sound, so that the next start need not check it.
        """
        if self._opened is not None:
            self._opened.close()
            self._opened = None
            if seal:
                Seal(self._path).put()

    def check(self) -> str | None:
        """SQLite's own check, of every page and every index: None when all is well, else what is wrong first."""
        if schema_of(self.connection) != current_schema():
            return "its tables are not those that were made"
        found: str = self.connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        return None if found == "ok" else found

    def commit(self, group: CommitGroup) -> None:
        """Makes a group durable, all of it or nothing.

        Raises:
            DuplicateEvent: An event id of it is there already.
            StorageDamaged: The file is damaged.
            StorageFailed: The disk is full or failed.
        """
        try:
            try:
                if self._short_of_space:
                    # Space that was freed since is better spent on folding the WAL, which frees more, than on a longer WAL.
                    self._fold_if_it_fits()
                self._commit(group)
            except sqlite3.OperationalError:
                self.make_room()
                self._commit(group)
        except sqlite3.IntegrityError as error:
            raise DuplicateEvent(str(error)) from error
        except sqlite3.Error as error:
            self._short_of_space = True
            with contextlib.suppress(sqlite3.Error):
                self.touch()
            raise storage_error(error) from error
        self._short_of_space = False

    def _commit(self, group: CommitGroup) -> None:
        try:
            with _transaction(self.connection):
                write(self.connection, group)
        except UNWRITABLE:
            if not leave_out_the_bad(group):
                raise
            with _transaction(self.connection):
                write(self.connection, group)

    def make_room(self) -> None:
        """Folds the WAL into the file and cuts it off: on a full disk that may be all the space that is needed.

        Raises:
            sqlite3.Error: The disk does not take writes.
        """
        self._fold_if_it_fits()
        self.touch()
        self._fold()

    def _fold_if_it_fits(self) -> None:
        """Folds the WAL into the file where the disk has the space by which that makes the file grow.

        One that is begun without would take the last of it, for nothing.
        """
        with contextlib.suppress(sqlite3.Error, OSError):
            (pages,) = self.connection.execute("PRAGMA page_count").fetchone()
            (page_bytes,) = self.connection.execute("PRAGMA page_size").fetchone()
            disk = os.statvfs(self._path)
            if pages * page_bytes - self._path.stat().st_size <= disk.f_bavail * disk.f_frsize:
                self._fold()

    def _fold(self) -> None:
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def touch(self) -> None:
        """Writes something that changes nothing: to probe whether the disk takes it, and over what a failed commit left.

        Such a commit may lie whole in the WAL although it could not be synced. After a crash SQLite would take it for good, and
        what was refused would be there after all; this write takes the place of its beginning.
        """
        with _transaction(self.connection):
            # An UPDATE that changes nothing would not be written at all.
            self.connection.execute(f"PRAGMA user_version = {CURRENT_VERSION}")

    @property
    def connection(self) -> sqlite3.Connection:
        """The one connection, for the outbox's thread alone."""
        assert self._opened is not None, "open() comes first"  # noqa: S101 - for the type checker
        return self._opened

    # ── Reading ────────────────────────────────────────────────────────────────────────────────────────────────────

    def last_seq(self) -> int:
        """The highest number given out, as far as the file knows."""
        seq: int = self.connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
        return seq

    def lanes(self) -> list[tuple[int, str]]:
        """Number and address of every backend that ever had an event, where the number is that of the address."""
        rows = self.connection.execute("SELECT lane, base_url FROM lanes").fetchall()
        return [(lane, base_url) for lane, base_url in rows if lane == lane_number(base_url)]

    def waiting(self) -> Iterator[WaitingCount]:
        """How much waits, by lane, state and task."""
        # One lane and state after the other: one GROUP BY of all three would sort all rows by all three.
        for lane, state in self._places():
            rows = self.connection.execute(
                "SELECT task_id, count(*), sum(size) FROM events INDEXED BY events_waiting "
                "WHERE lane = ? AND state = ? AND state <> 1 GROUP BY task_id",
                (lane, state),
            )
            for task_id, count, size_bytes in rows:
                yield WaitingCount(lane, EventState(state), task_id, count, size_bytes)

    def _places(self) -> Iterator[tuple[int, int]]:
        """Each lane and state in which something waits: by leaps over the index, not by a walk."""
        leap = "SELECT lane, state FROM events INDEXED BY events_waiting WHERE state <> 1"
        one = self.connection.execute
        place = one(f"{leap} ORDER BY lane, state LIMIT 1").fetchone()
        while place is not None:
            yield place
            place = (
                one(f"{leap} AND lane = ? AND state > ? ORDER BY state LIMIT 1", place).fetchone()
                or one(f"{leap} AND lane > ? ORDER BY lane, state LIMIT 1", place[:1]).fetchone()
            )

    def tasks(self) -> Iterator[TaskRows]:
        """Every task row with the rows of its steps, where all of them are intact: one task after the other."""
        return read_tasks(self.connection, self.damaged_rows)

    def pending(
        self,
        lane: int,
        limit: int,
        max_bytes: int,
        *,
        without: Iterable[str] = (),
        only: Iterable[str] | None = None,
        after: int = 0,
    ) -> list[StoredEvent]:
        """The oldest events that a lane may send.

        Args:
            lane: The lane's number.
            limit: How many at most.
            max_bytes: How much at most; one event is given in any case.
            without: Tasks whose events are passed over.
            only: The only tasks that are looked at; by default all are.
            after: The number from which on they are looked for.
        """
        which, task_ids = (_PASSED_OVER, without) if only is None else (_CHOSEN, only)
        chosen: list[StoredEvent] = []
        size_bytes = 0
        condition = f"AND seq > ? {which} ORDER BY seq LIMIT ?"
        for stored in self._select_pending(lane, condition, (after, json.dumps(list(task_ids)), limit)):
            size_bytes += len(stored.body) + 1
            if chosen and size_bytes > max_bytes:
                break
            chosen.append(stored)
        return chosen

    def newcomers(self, lane: int, after: int, without: Container[str], sent: Container[int], limit: int) -> list[StoredEvent]:
        """The oldest events of tasks that have none among those up to a number.

        Args:
            lane: The lane's number.
            after: Where the backlog ends.
            without: The tasks that have events up to there, and others to be passed over.
            sent: Events that are passed over.
            limit: How many at most.
        """
        rows = self.connection.execute(
            "SELECT seq, task_id FROM events INDEXED BY events_waiting "
            "WHERE lane = ? AND state = 0 AND state <> 1 AND seq > ? ORDER BY seq LIMIT ?",
            (lane, after, _NEWCOMERS_LOOKED_AT),
        )
        chosen = [seq for seq, task_id in rows if task_id not in without and seq not in sent][:limit]
        if not chosen:
            return []
        return list(self._select_pending(lane, f"AND seq IN ({','.join('?' * len(chosen))}) ORDER BY seq", chosen))

    def backlog(self, lane: int) -> tuple[int, frozenset[str]]:
        """The newest event's number, and every task that has events waiting in a lane."""
        query = "SELECT DISTINCT task_id FROM events INDEXED BY events_waiting WHERE lane = ? AND state <> 1"
        return self.last_seq(), frozenset(task_id for (task_id,) in self.connection.execute(query, (lane,)))

    def oldest_ms(self, lane: int) -> int | None:
        """When the oldest event that waits in a lane happened."""
        row = self.connection.execute(
            "SELECT at_ms FROM events INDEXED BY events_waiting "
            "WHERE lane = ? AND state = 0 AND state <> 1 ORDER BY seq LIMIT 1",
            (lane,),
        ).fetchone()
        return row[0] if row else None

    def _select_pending(self, lane: int, condition: str, values: Sequence[object]) -> Iterator[StoredEvent]:
        # "state <> 1" stands there for the planner: it is the condition of the partial index.
        rows = self.connection.execute(
            "SELECT seq, event_id, task_id, at_ms, size, coalesce(body, x''), crc FROM events "  # noqa: S608 - only "?"
            f"INDEXED BY events_waiting WHERE lane = ? AND state = 0 AND state <> 1 {condition}",
            (lane, *values),
        )
        for seq, event_id, task_id, at_ms, size, body, crc in rows:
            intact = crc == event_checksum(seq, event_id, lane, task_id, at_ms, body)
            yield StoredEvent(seq, event_id, task_id, at_ms, size, body, intact)

    def first_call(self, event_id: bytes) -> FirstCall | None:
        """The first call with this event id; None where there was none."""
        row = self.connection.execute("SELECT reply, identity FROM events WHERE event_id = ?", (event_id,)).fetchone()
        return FirstCall(row[0] or b"null", row[1]) if row else None

    def dead(self, event_ids: Sequence[bytes] | None = None) -> list[DeadLetter]:
        """Dead letters, oldest first: those named, or all (at most 10,000)."""
        only = "" if event_ids is None else f"AND event_id IN ({','.join('?' * len(event_ids))})"
        rows = self.connection.execute(
            f"{_BLOCKED}, d.status, coalesce(d.reply, ''), coalesce(d.at_ms, e.at_ms) "
            "FROM events AS e LEFT JOIN dead_letters AS d USING (seq) "
            f"WHERE state <> 1 AND state = 2 {only} ORDER BY seq LIMIT 10000",
            tuple(event_ids or ()),
        )
        return [DeadLetter(*row) for row in rows]

    def tasks_with_dead_creation(self, lane: int) -> set[str]:
        """Tasks of a lane whose ``task_created`` is a dead letter."""
        rows = self.connection.execute(
            "SELECT task_id, coalesce(body, x'') FROM events INDEXED BY events_waiting "
            "WHERE lane = ? AND state = 2 AND state <> 1",
            (lane,),
        )
        return {task_id for task_id, body in rows if creates_task(body)}

    def held(self, lane: int, task_id: str) -> list[BlockedEvent]:
        """What waits behind a task's dead creation."""
        rows = self.connection.execute(
            f"{_BLOCKED} FROM events AS e INDEXED BY events_waiting "
            "WHERE lane = ? AND state = 3 AND state <> 1 AND task_id = ? ORDER BY seq",
            (lane, task_id),
        )
        return [BlockedEvent(*row) for row in rows]

    # ── Keeping ────────────────────────────────────────────────────────────────────────────────────────────────────

    def prune(self, before_ms: int, limit: int = 5000) -> int:
        """Deletes settled events that happened before a time. Returns how many."""
        connection = self.connection
        with _transaction(connection):
            newest = connection.execute("SELECT max(seq) FROM events").fetchone()[0]  # stays: it says how far the numbers are
            query = "SELECT seq FROM events INDEXED BY events_settled WHERE state = 1 AND at_ms < ? AND seq <> ? LIMIT ?"
            gone = connection.execute(query, (before_ms, newest, limit)).fetchall()
            connection.executemany("DELETE FROM events WHERE seq = ?", gone)
            connection.execute("UPDATE ledger SET pruned_count = pruned_count + ?", (len(gone),))
        return len(gone)

    def note_lost(self, last_seq: int) -> int:
        """Counts the numbers up to ``last_seq`` that are neither in the file nor pruned: accepted events that are gone.

        They are entered into the ledger, so that each is counted once. Returns how many were found now.
        """
        connection = self.connection
        query = "SELECT count(*) + (SELECT pruned_count + lost_count FROM ledger) FROM events"
        lost: int = last_seq - connection.execute(query).fetchone()[0]
        if lost > 0:
            connection.execute("UPDATE ledger SET lost_count = lost_count + ?", (lost,))
        return max(lost, 0)

    def lost(self) -> int:
        """How many accepted events were ever found to be gone."""
        count: int = self.connection.execute("SELECT lost_count FROM ledger").fetchone()[0]
        return count

    def damaged(self, after: int, limit: int) -> tuple[list[int], int | None]:
        """Checks the checksums of a stretch of waiting events.

        Returns:
            The numbers of those that do not fit, and the last number looked at (None at the end).
        """
        rows = self.connection.execute(
            "SELECT seq, event_id, lane, task_id, at_ms, coalesce(body, x''), crc FROM events "
            "WHERE state <> 1 AND seq > ? ORDER BY seq LIMIT ?",
            (after, limit),
        ).fetchall()
        bad = [row[0] for row in rows if row[6] != event_checksum(*row[:6])]
        return bad, rows[-1][0] if rows else None


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def fsync_folder(path: Path) -> None:
    """Makes a folder's entries durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
