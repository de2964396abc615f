"""PostgreSQL's index of three characters each (pg_trgm), where the server has that extension and lets this user make it.

The server itself decides when to use the index for a plain search of one text within another: so nothing else differs where
there is none, but the time that a search takes. What counts as a character there is up to the database's locale: in one that
knows ASCII only (``C``), a word of another script is looked for in every document.
"""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Connection, Select, select
from sqlalchemy.exc import DBAPIError

from clawlog_backend.storage.schema import documents

NAME = "documents_trigrams"
_STATEMENTS = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    f"CREATE INDEX IF NOT EXISTS {NAME} ON documents USING gin (text gin_trgm_ops)",
)

HOW_TO_INDEX = (
    "`CREATE EXTENSION pg_trgm` in the database (the package postgresql-contrib brings it), then `clawlog backend migrate`"
)

log = logging.getLogger(__name__)


def has_index(connection: Connection) -> bool:
    """Whether the index is there."""
    return connection.exec_driver_sql(f"SELECT to_regclass('{NAME}')").scalar() is not None


class Trigrams:
    """See :class:`clawlog_backend.storage.search.engine.TextIndex`."""

    newest_first = False

    def create(self, connection: Connection) -> None:
        """Make the index; a database without it does, too."""
        try:
            with connection.begin_nested():
                for statement in _STATEMENTS:
                    connection.exec_driver_sql(statement)
        except DBAPIError as error:
            reason = str(error.orig).partition("\n")[0]
            log.warning("no index for the search, which looks at every task without it: %s. %s", reason, HOW_TO_INDEX)

    def candidates(self, needle: str) -> Select[Any]:
        """The tasks that have a document; which of them hold the needle, the server finds by the index."""
        del needle
        return select(documents.c.task_n)
