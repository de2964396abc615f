"""The database: one connection, used by one thread, off the event loop.

One connection, because SQLite before 3.51.3 can lose commits when two write and checkpoint one file at the same time, and
because the change feed relies on seeing every write. The file is locked for this process for the same reason.
``synchronous=FULL``: clients delete what was acknowledged here, so an acknowledgement has to survive a power cut.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from clawlog_backend import __version__
from clawlog_backend.domain.fields import AttentionReason, Evidence, StepStatus, TaskStatus
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.storage.changes import find_position
from clawlog_backend.storage.engines.address import shown
from clawlog_backend.storage.engines.engine import DatabaseError, SchemaVersions
from clawlog_backend.storage.engines.identity import renew_identity
from clawlog_backend.storage.engines.owner import DatabaseInUseError, Ownership, find_holder
from clawlog_backend.storage.migrations import SCHEMA_VERSION, SchemaTooNewError, migrate, schema_version

T = TypeVar("T")

_LOGGED_PAGES = 1_000  # in the write-ahead log; the commit that reaches it moves them into the file


class SqliteDatabase:
    """Runs functions on the one connection, in the order in which they were submitted.

    Args:
        url: The file's SQLAlchemy URL.
    """

    shared = False

    def __init__(self, url: URL) -> None:
        self._url = url
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")
        self._ownership: Ownership | None = None
        self._engine: Engine | None = None
        self._connection: Connection | None = None

    async def open(self) -> None:
        """Connect, and migrate the schema to this version.

        Raises:
            DatabaseError: It cannot be opened, is in use by another process, or is of a later version.
        """
        await self._in_thread(lambda: self._explained(self._open))

    async def migrate(self, *, check: bool) -> SchemaVersions:
        """Bring the schema to this version, or make it. ``check`` changes nothing, not even where there is no file.

        Raises:
            DatabaseError: It cannot be opened, is in use by another process, or is of a later version.
        """

        def look() -> SchemaVersions:
            if check and not (self._path and self._path.exists()):
                return SchemaVersions(None, SCHEMA_VERSION)
            connection = self._connect()
            with connection.begin():
                found = schema_version(connection)
                if not check:
                    migrate(connection)
            return SchemaVersions(found, SCHEMA_VERSION)

        return await self._in_thread(lambda: self._explained(look))

    def announce(self, address: str) -> None:
        """Let whoever else would open this file know where its backend is."""
        if self._ownership is not None:
            self._ownership.announce(address)

    def note(self, store_id: str, seq: int) -> None:
        """Note how far the log of changes has come, in the file beside this one."""
        if self._ownership is not None:
            self._ownership.note(store_id, seq)

    @property
    def _path(self) -> Path | None:
        """The file; ``None`` for a database in memory."""
        name = self._url.database
        return None if name in {None, "", ":memory:"} or self._url.query else Path(str(name))

    def _open(self) -> None:
        connection = self._connect()
        with connection.begin():
            migrate(connection)
            position = find_position(connection)
            owner = self._ownership
            if owner is not None and owner.before is not None and owner.was_brought_back(position.store_id, position.seq):
                renew_identity(connection, UtcMs.now(), newest=max(position.seq, owner.before.seq))
                position = find_position(connection)
        self.note(position.store_id, position.seq)

    def _connect(self) -> Connection:
        if self._path is not None:
            create_private(self._path)
            self._ownership = Ownership(self._path, version=__version__)
        self._engine = make_engine(self._url)
        self._connection = self._engine.connect()
        return self._connection

    def _explained(self, work: Callable[[], T]) -> T:
        """Run ``work``; what goes wrong says with which database."""
        try:
            return work()
        except SchemaTooNewError as error:
            raise DatabaseError(str(error)) from error
        except (DatabaseInUseError, SQLAlchemyError, OSError) as error:
            reason = str(error.orig if isinstance(error, DBAPIError) else error)
            if isinstance(error, DBAPIError) and "locked" in reason and self._path is not None:
                self._close()
                reason = find_holder(self._path) or reason
            raise DatabaseError(f"cannot use the database {shown(self._url)}: {reason}") from error

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a query. It sees every write that was acknowledged before.

        Raises:
            DatabaseError: It could not be read.
        """

        def run() -> T:
            connection = self._connected()
            try:
                return work(connection)
            except DBAPIError as error:
                raise DatabaseError(f"cannot read the database: {error.orig}") from error
            finally:
                connection.rollback()

        return await self._in_thread(run)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction, and return once it is on disk.

        Raises:
            DatabaseError: It could not be written; nothing of it was.
        """

        def run() -> T:
            connection = self._connected()
            try:
                with connection.begin():
                    return work(connection)
            except DBAPIError as error:
                raise DatabaseError(f"cannot write to the database: {error.orig}") from error

        return await self._in_thread(run)

    async def discard(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction without waiting for the disk; a checkpoint, or what is written next, waits for both.

        Raises:
            DatabaseError: It could not be written; nothing of it was.
        """

        def run() -> T:
            connection = self._connected()
            try:
                with _unsynced(connection), connection.begin():
                    return work(connection)
            except DBAPIError as error:
                raise DatabaseError(f"cannot write to the database: {error.orig}") from error

        return await self._in_thread(run)

    async def checkpoint(self) -> float:
        """Move what the write-ahead log has into the file: a job of its own, so that whoever waits to write goes before it.

        The log is brought to the disk before that, while others go on writing.

        Returns:
            How long nobody else could use the database, in seconds.

        Raises:
            DatabaseError: It could not be done.
        """

        def run() -> float:
            began = monotonic()
            driver: Any = self._connected().connection.driver_connection  # at which no transaction was begun
            try:
                driver.execute("PRAGMA wal_checkpoint(PASSIVE)")
            except sqlite3.Error as error:
                raise DatabaseError(f"cannot write to the database: {error}") from error
            return monotonic() - began

        if self._path is not None:
            await asyncio.to_thread(_sync_log, self._path)
        return await self._in_thread(run)

    async def hint(self, sender: str) -> None:
        """Nothing to do: there is no other replica."""

    async def hear_hints(self, on_hint: Callable[[str], None]) -> None:
        """None comes."""

    async def close(self) -> None:
        """Finish what was submitted, and disconnect."""
        await self._in_thread(self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._engine is not None:
            self._engine.dispose()
        if self._ownership is not None:
            self._ownership.release()
        self._connection = self._engine = self._ownership = None

    def _connected(self) -> Connection:
        if self._connection is None:
            raise DatabaseError("the database is not open")
        return self._connection

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _register_kinds() -> None:
    """Tell the driver what it would else find out for each value: how what is not plainly an int or a str is stored."""
    for number in (UtcMs, bool):
        sqlite3.register_adapter(number, int)
    for word in (TaskStatus, StepStatus, Evidence, AttentionReason):
        sqlite3.register_adapter(word, str.__str__)
    sqlite3.register_adapter(type(None), lambda nothing: nothing)


_register_kinds()


def make_engine(url: URL | str) -> Engine:
    """An engine with real transactions (see ``_set_up_sqlite``)."""
    # Another process holds its lock for as long as it runs: waiting longer is of little use.
    engine = create_engine(make_url(url), connect_args={"timeout": 1})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin)
    return engine


def create_private(path: Path) -> None:
    """Make the file, where there is none, for its owner alone: SQLite makes it 0644. The -wal file gets the main file's mode.

    Raises:
        OSError: It cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _sync_log(database: Path) -> None:
    # By a descriptor of its own: SQLite's locks are on the other file. Where it fails, SQLite does it itself, and tells.
    with suppress(OSError):
        log = os.open(f"{os.path.realpath(database)}-wal", os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(log)
        finally:
            os.close(log)


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # Python's driver begins a transaction before some statements and not before others; here, SQLAlchemy decides when.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "locking_mode = EXCLUSIVE",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"wal_autocheckpoint = {_LOGGED_PAGES}",
        "cache_size = -65536",  # KiB
        "temp_store = MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@contextmanager
def _unsynced(connection: Connection) -> Iterator[None]:
    # Straight at the driver: SQLAlchemy would begin a transaction, in which the setting would not take effect.
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA synchronous = NORMAL")
    driver.execute("PRAGMA wal_autocheckpoint = 0")
    try:
        yield
    finally:
        driver.execute(f"PRAGMA wal_autocheckpoint = {_LOGGED_PAGES}")
        driver.execute("PRAGMA synchronous = FULL")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
