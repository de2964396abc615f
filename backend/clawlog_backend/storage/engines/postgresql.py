"""PostgreSQL: for several replicas, or more than one file takes. Many connections; each replica writes one group at a time.

A read is one snapshot (REPEATABLE READ), as on SQLite. A write is READ COMMITTED: it locks the tasks that it changes, in order,
and where it met another all the same (a deadlock, a key that was just taken), its work is run again as a whole.

Nothing here is PostgreSQL's alone where a database that speaks its protocol does otherwise: no advisory lock, no trigger.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError

from clawlog_backend import __version__
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.storage import partitions, shared
from clawlog_backend.storage.engines.address import shown
from clawlog_backend.storage.engines.engine import DatabaseError, SchemaVersions
from clawlog_backend.storage.engines.hints import CHANNEL, listen
from clawlog_backend.storage.engines.identity import mark_identity
from clawlog_backend.storage.migrations import SCHEMA_VERSION, SchemaTooNewError, migrate, schema_version
from clawlog_backend.storage.search.postgresql import HOW_TO_INDEX, Trigrams, has_index

T = TypeVar("T")

OLDEST_SERVER = 13
_ATTEMPTS = 8  # of a write that met another
_FIRST_PAUSE_S = 0.005  # before it is run again; doubled each time, and varied, so that two do not meet again
_READ_ONLY = "25006"
_SERIALIZATION_FAILURE, _DEADLOCK, _UNIQUE_VIOLATION, _DUPLICATE_TABLE = "40001", "40P01", "23505", "42P07"
# The last two: between our look and our write another replica created that task, took that event or made the tables; the next
# run sees it.
_RUN_AGAIN = frozenset({_SERIALIZATION_FAILURE, _DEADLOCK, _UNIQUE_VIOLATION, _DUPLICATE_TABLE})
# A replica that is stopped in a transaction must not hold the tasks that it locked from the others.
_SESSION = "SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '15s'; SET statement_timeout = '60s'"
_CONNECT: dict[str, Any] = {
    "client_encoding": "utf8",
    "application_name": f"clawlog-backend {__version__}",
    "target_session_attrs": "read-write",  # of several hosts in the URL, the one that is no standby
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds until a network that swallows everything is noticed
}


class PostgresqlDatabase:
    """Runs functions on a pool of connections: one for writes, the others for reads.

    Args:
        url: Where it is. A password comes from ``PGPASSFILE`` or ``PGPASSWORD``, as with every program over libpq.
        pool: How many connections to hold; at least 2.
        accept_data_loss: Use a server that may lose what it has acknowledged.
    """

    shared = True

    def __init__(self, url: URL, *, pool: int, accept_data_loss: bool = False) -> None:
        self._url = url
        self._accept_data_loss = accept_data_loss
        self._pool = pool
        self._writing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database-write")
        self._reading = ThreadPoolExecutor(max_workers=pool - 1, thread_name_prefix="database-read")
        self._engine: Engine | None = None
        self._readers: Engine | None = None
        self._snapshots: Engine | None = None

    async def open(self) -> None:
        """Connect, and make the tables where there are none.

        Raises:
            DatabaseError: It cannot be reached, is set up to lose data, or its schema is of another version.
        """

        def work(connection: Connection) -> None:
            self._check_server(connection)
            found = schema_version(connection)
            if found is not None and found < SCHEMA_VERSION:
                raise DatabaseError(
                    f"the database {shown(self._url)} has schema version {found}, this program wants {SCHEMA_VERSION}: "
                    "run `clawlog backend migrate --database URL` first (other replicas may go on meanwhile)"
                )
            self._prepare(connection)

        await self._connect(work)

    def _prepare(self, connection: Connection) -> None:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")  # a large history takes its time
        migrate(connection)
        partitions.add_days(connection, UtcMs.now())
        shared.metadata.create_all(connection)
        mark_identity(connection)

    async def migrate(self, *, check: bool) -> SchemaVersions:
        """Bring the schema to this version, or make it; ``check`` changes nothing.

        Raises:
            DatabaseError: It cannot be used, or is of a later version.
        """

        def work(connection: Connection) -> SchemaVersions:
            self._check_server(connection)
            found = schema_version(connection)
            if not check:
                self._prepare(connection)
                if found == SCHEMA_VERSION and not has_index(connection):
                    Trigrams().create(connection)
            if (check and (found or 0) < SCHEMA_VERSION) or has_index(connection):
                return SchemaVersions(found, SCHEMA_VERSION)
            return SchemaVersions(found, SCHEMA_VERSION, f"the search has no index, and looks at every task: {HOW_TO_INDEX}")

        return await self._connect(work)

    async def _connect(self, work: Callable[[Connection], T]) -> T:
        def run() -> T:
            try:
                self._engine = _make_engine(self._url, 1)
                self._readers = _make_engine(self._url, self._pool - 1)
                self._snapshots = self._readers.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                return self._committed(work)
            except SchemaTooNewError as error:
                raise DatabaseError(str(error)) from error
            except (SQLAlchemyError, ImportError) as error:
                raise DatabaseError(f"cannot use the database {shown(self._url)}: {_reason(error)}") from error

        return await asyncio.get_running_loop().run_in_executor(self._writing, run)

    def _check_server(self, connection: Connection) -> None:
        def setting(name: str) -> str:
            return str(connection.exec_driver_sql(f"SHOW {name}").scalar_one())

        version = int(setting("server_version_num")) // 10_000
        if version < OLDEST_SERVER:
            raise DatabaseError(f"the database's server is PostgreSQL {version}: {OLDEST_SERVER} or later is needed")
        if (encoding := setting("server_encoding")) != "UTF8":
            raise DatabaseError(
                f"the database {shown(self._url)} is in {encoding}: make one with "
                "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
            )
        unsafe = [name for name in ("fsync", "synchronous_commit") if setting(name) == "off"]
        if unsafe and not self._accept_data_loss:
            raise DatabaseError(
                f"the database's server has {' and '.join(unsafe)} off: it can lose what was acknowledged, and agents keep no "
                "copy of that. Turn it on, or accept the loss with --accept-data-loss"
            )

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a query. It sees every write that was acknowledged before.

        Raises:
            DatabaseError: It could not be read.
        """

        def once() -> T:
            if self._snapshots is None:
                raise DatabaseError("the database is not open")
            with self._snapshots.connect() as connection, connection.begin():  # a rollback would forget what is prepared
                return work(connection)

        def run() -> T:
            try:
                try:
                    return once()
                except DBAPIError as error:
                    if not error.connection_invalidated:
                        raise
                    return once()  # that connection was older than the server; this one is new
            except SQLAlchemyError as error:
                raise DatabaseError(f"cannot read the database: {_reason(error)}") from error

        return await asyncio.get_running_loop().run_in_executor(self._reading, run)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one transaction, and return once it is on disk. It is run again where it met another.

        Raises:
            DatabaseError: It could not be written; nothing of it was, or it is not known whether it was.
        """

        def run() -> T:
            try:
                return self._committed(work)
            except SQLAlchemyError as error:
                raise DatabaseError(f"cannot write to the database: {_reason(error)}") from error

        return await asyncio.get_running_loop().run_in_executor(self._writing, run)

    async def discard(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` as :meth:`write` does.

        Raises:
            DatabaseError: It could not be written.
        """
        return await self.write(work)

    async def checkpoint(self) -> float:
        """Nothing to do: the server does it by itself."""
        return 0

    def _committed(self, work: Callable[[Connection], T]) -> T:
        pause_s = _FIRST_PAUSE_S
        for attempt in range(1, _ATTEMPTS + 1):
            committing = False
            try:
                if self._engine is None:
                    raise DatabaseError("the database is not open")
                with self._engine.connect() as connection, connection.begin() as transaction:
                    result = work(connection)
                    committing = True
                    transaction.commit()
                    return result
            except DBAPIError as error:
                if attempt == _ATTEMPTS or not self._may_run_again(error, attempt, committing=committing):
                    raise
            time.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            pause_s *= 2
        raise AssertionError("unreachable")

    def _may_run_again(self, error: DBAPIError, attempt: int, *, committing: bool) -> bool:
        state = getattr(error.orig, "sqlstate", None)
        if state == _READ_ONLY:
            self._disconnect()  # a primary that became a standby: the next connections look for the new one
            return attempt == 1
        if error.connection_invalidated:
            # Often a connection older than the server. Whether a lost commit took place is not known: its sender repeats it.
            return attempt == 1 and not committing
        return state in _RUN_AGAIN

    async def hint(self, sender: str) -> None:
        """Let other replicas know that there is something new. Not with each commit: that would halve how many there can be.

        Raises:
            DatabaseError: It could not be sent.
        """

        def run() -> None:
            try:
                if self._readers is not None:
                    with self._readers.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                        connection.exec_driver_sql("SELECT pg_notify(%s, %s)", (CHANNEL, sender))
            except SQLAlchemyError as error:
                raise DatabaseError(f"cannot reach the database: {_reason(error)}") from error

        await asyncio.get_running_loop().run_in_executor(self._reading, run)

    async def hear_hints(self, on_hint: Callable[[str], None]) -> None:
        """Call a function with the sender of each hint, on a connection of its own, until cancelled."""
        if self._engine is not None:
            _, connect = self._engine.dialect.create_connect_args(self._url)
            await listen({**_connect_options(self._url), **connect}, on_hint)

    def announce(self, address: str) -> None:
        """Nothing to do: others may use it as well."""

    def note(self, store_id: str, seq: int) -> None:
        """Nothing to do: the server itself tells a recovery."""

    async def close(self) -> None:
        """Finish what was submitted, and disconnect."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._reading.shutdown)
        await loop.run_in_executor(None, self._writing.shutdown)
        self._disconnect()
        self._engine = self._readers = self._snapshots = None

    def _disconnect(self) -> None:
        for engine in (self._engine, self._readers):
            if engine is not None:
                engine.dispose()


def _make_engine(url: URL, pool: int) -> Engine:
    # Last in, first out: connections that a quiet time does not need are not kept warm for nothing.
    engine = create_engine(
        url, pool_size=pool, max_overflow=0, pool_timeout=30, pool_use_lifo=True, connect_args=_connect_options(url)
    )
    event.listen(engine, "connect", _set_up)
    return engine


def _connect_options(url: URL) -> dict[str, Any]:
    return {name: value for name, value in _CONNECT.items() if name not in url.query}


def _set_up(connection: Any, _record: Any) -> None:
    connection.autocommit = True
    connection.execute(_SESSION)
    connection.autocommit = False


def _reason(error: Exception) -> str:
    if isinstance(error, (ImportError, NoSuchModuleError)):
        return "psycopg is not installed beside clawlog: python -m pip install 'psycopg>=3.2'"
    reason = str(error.orig if isinstance(error, DBAPIError) else error)
    return "; ".join(line.strip() for line in reason.splitlines() if line.strip())
