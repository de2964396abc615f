"""The database: one connection, used by one thread, off the event loop.

One connection, because SQLite before 3.51.3 can lose commits when two write and checkpoint one file at the same time, and
because the change feed relies on seeing every write. The file is locked for this process for the same reason.
``synchronous=FULL``: clients delete what was acknowledged here, so an acknowledgement has to survive a power cut.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from clawlog_backend.storage.migrations import SchemaTooNewError, migrate

T = TypeVar("T")


class DatabaseError(Exception):
    """The database cannot be opened or used; the text says which one and why."""


def database_url(text: str) -> str:
    """The SQLAlchemy URL for what a user named: a URL as it is, anything else as the path of an SQLite file."""
    if "://" in text:
        return text
    return f"sqlite:///{Path(text).expanduser().absolute()}"


class Database:
    """Runs functions on the one connection, in the order in which they were submitted.

    Args:
        url: An SQLAlchemy URL (see :func:`database_url`).
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")
        self._engine: Engine | None = None
        self._connection: Connection | None = None

    async def open(self) -> None:
        """Connect, and migrate the schema to this version.

        Raises:
            DatabaseError: It cannot be opened, is in use by another process, or is of a later version.
        """
        try:
            await self._in_thread(self._open)
        except SchemaTooNewError as error:
            raise DatabaseError(str(error)) from error
        except (SQLAlchemyError, OSError) as error:
            reason = error.orig if isinstance(error, DBAPIError) else error
            raise DatabaseError(f"cannot use the database {_without_password(self._url)}: {reason}") from error

    def _open(self) -> None:
        self._engine = make_engine(self._url)
        self._connection = self._engine.connect()
        with self._connection.begin():
            migrate(self._connection)

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

    async def close(self) -> None:
        """Finish what was submitted, and disconnect."""
        await self._in_thread(self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._engine is not None:
            self._engine.dispose()
        self._connection = self._engine = None

    def _connected(self) -> Connection:
        if self._connection is None:
            raise DatabaseError("the database is not open")
        return self._connection

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def make_engine(text: str) -> Engine:
    """An engine with real transactions, for SQLite too (see ``_set_up_sqlite``).

    Raises:
        ArgumentError: This is no database URL.
        OSError: The file cannot be made.
    """
    url = make_url(text)
    if url.get_backend_name() != "sqlite":
        return create_engine(url)
    if url.database:
        _create_private(Path(url.database))
    # Another process holds its lock for as long as it runs: waiting longer is of little use.
    engine = create_engine(url, connect_args={"timeout": 1})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin)
    return engine


def _create_private(path: Path) -> None:
    # SQLite creates its files as 0644; what agents report is for their owner alone. The -wal file gets the main file's mode.
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # Python's driver begins a transaction before some statements and not before others; here, SQLAlchemy decides when.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "locking_mode = EXCLUSIVE",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "cache_size = -65536",  # KiB
        "temp_store = MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "given"
