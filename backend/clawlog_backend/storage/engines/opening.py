"""The engine behind a database's URL: the one place that knows all of them."""

from __future__ import annotations

from clawlog_backend.storage.engines.address import EngineName, database_url, engine_of
from clawlog_backend.storage.engines.engine import Database
from clawlog_backend.storage.engines.postgresql import PostgresqlDatabase
from clawlog_backend.storage.engines.sqlite import SqliteDatabase


def make_database(text: str, *, pool: int, accept_data_loss: bool = False) -> Database:
    """The database that a user named; it is not opened yet.

    Args:
        text: A path or a URL (see :func:`~clawlog_backend.storage.engines.address.database_url`).
        pool: How many connections to hold, where an engine has several.
        accept_data_loss: Use a server that may lose what it has acknowledged.

    Raises:
        DatabaseError: There is no such engine.
    """
    url = database_url(text)
    if engine_of(url) is EngineName.POSTGRESQL:
        return PostgresqlDatabase(url, pool=pool, accept_data_loss=accept_data_loss)
    return SqliteDatabase(url)
