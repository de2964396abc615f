"""Statements on which PostgreSQL works while the next are still being made, and their rows, where its driver can do that.

In a pipeline, a statement is sent without waiting for what came of those before: the server works on one group of rows while
this process encodes another, and there is one wait for all of them, at the end of the block. Where libpq knows no pipelines
(before 14), each statement is waited for; nothing else differs.

Each statement is followed by a Sync of its own. Without it, the server would take the next for a part of the same request, and
not end the session of a replica that is stopped before it sends that (``idle_in_transaction_session_timeout``): the tasks that
it locked would be kept from the others. What follows a statement that failed is run, then, and fails as well: the transaction
has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    import psycopg

_PIPELINE = "clawlog_pipeline"  # where a connection has the one that it is in


class Sent:
    """A statement that was sent."""

    def __init__(self, connection: Connection, cursor: psycopg.Cursor[Any]) -> None:
        self._connection = connection
        self._cursor = cursor

    def rows(self) -> Sequence[tuple[Any, ...]]:
        """Its rows. In a pipeline, they are there once it has ended.

        Raises:
            DBAPIError: The statement failed.
        """
        with _as_sqlalchemy(self._connection):
            return self._cursor.fetchall()


def send(connection: Connection, text: str, values: Sequence[Any]) -> Sent:
    """Send a statement to PostgreSQL. It is prepared, since its text is one of few.

    Args:
        connection: In a transaction.
        text: The statement, with ``%s`` for each value.
        values: What goes with it.

    Raises:
        DBAPIError: It failed; or, in a pipeline, one before it did.
    """
    driver: psycopg.Connection[Any] = _driver(connection)
    with _as_sqlalchemy(connection):
        cursor = driver.execute(text.encode(), values, prepare=True)
        pipeline: psycopg.Pipeline | None = connection.info.get(_PIPELINE)
        if pipeline is not None:
            # What psycopg's own sync() does, but for the waiting.
            pipeline.pgconn.pipeline_sync()
            pipeline.result_queue.append(None)
    return Sent(connection, cursor)


@contextmanager
def pipelined(connection: Connection) -> Iterator[None]:
    """Send the statements of the block without waiting for them; wait for all at its end.

    In the block, only :func:`send` may be used on PostgreSQL. On SQLite, this does nothing.

    Args:
        connection: In a transaction.

    Raises:
        DBAPIError: A statement failed: the first that did.
    """
    if connection.dialect.name != "postgresql" or not _dbapi(connection).Pipeline.is_supported():
        yield
        return
    failed: BaseException | None = None
    info = connection.info
    try:
        with _driver(connection).pipeline() as pipeline:
            info[_PIPELINE] = pipeline
            try:
                yield
            except BaseException as error:  # noqa: BLE001 - raised below, once the pipeline has ended
                failed = error
            finally:
                del info[_PIPELINE]
    except _dbapi(connection).Error as error:
        if failed is None:
            failed = _wrapped(connection, _first(connection, error))
    if failed is not None:
        raise failed


@contextmanager
def _as_sqlalchemy(connection: Connection) -> Iterator[None]:
    """What the driver raises, as SQLAlchemy does for the statements that it runs itself."""
    try:
        yield
    except _dbapi(connection).Error as error:
        raise _wrapped(connection, error) from error


def _wrapped(connection: Connection, error: BaseException) -> DBAPIError:
    driver = _driver(connection)
    is_lost = bool(driver.closed or driver.broken)
    if is_lost:
        connection.invalidate(error)
    return DBAPIError(None, None, error, connection_invalidated=is_lost)


def _first(connection: Connection, error: BaseException) -> BaseException:
    """The error that came first: those of the statements after it are raised over it."""
    while isinstance(error.__context__, _dbapi(connection).Error):
        error = error.__context__
    return error


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _dbapi(connection: Connection) -> Any:
    return connection.dialect.loaded_dbapi
