"""Whether a database still is the one that its cursors were given out for.

A cursor names the database by its ``store_id``. After a restore the numbers of changes begin again from an earlier one, so that
cursors of before must not be believed: the database gets a new ``store_id``, and who resumes reads anew.

On PostgreSQL, the second half of ``store_id`` says where the database lived when it was made: the cluster's identifier, its
timeline (new after each recovery to a point in time and each promotion), the database's number there. How far an SQLite file
had come is in the file beside it (:mod:`clawlog_backend.storage.engines.owner`).
"""

from __future__ import annotations

import hashlib
from uuid import uuid4

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import DBAPIError

from clawlog_backend.domain.times import UtcMs
from clawlog_backend.storage import changes, schema
from clawlog_backend.storage.changes import SEQ, Change

_WHERE = (
    "SELECT system_identifier FROM pg_control_system()",
    "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)",
    "SELECT oid FROM pg_database WHERE datname = current_database()",
)


def mark_identity(connection: Connection) -> None:
    """Give the database a new ``store_id`` where it is not the one that the old one was made for."""
    here = hashlib.sha256("/".join(_answers(connection)).encode()).hexdigest()[:16]
    known = connection.execute(select(schema.database.c.store_id).with_for_update()).scalar_one()
    if not known.endswith(here) or len(known) != 32:
        connection.execute(update(schema.database).values(store_id=uuid4().hex[:16] + here))


def renew_identity(connection: Connection, at: UtcMs, *, newest: int) -> None:
    """Give a database that was brought back from a copy a new ``store_id``, and let its changes go on behind all of before.

    Args:
        connection: In a transaction.
        at: This instant.
        newest: The number of the last change that any reader may know.
    """
    connection.execute(update(schema.database).values(store_id=uuid4().hex))
    counter = schema.counters.c
    connection.execute(update(schema.counters).where(counter.name == SEQ, counter.value < newest).values(value=newest))
    changes.append(connection, at, Change(0, removed=True))  # who resumes from before this one reads anew


def _answers(connection: Connection) -> list[str]:
    found = []
    for question in _WHERE:
        try:
            with connection.begin_nested():
                found.append(str(connection.exec_driver_sql(question).scalar()))
        except DBAPIError:
            found.append("")  # an engine that only speaks PostgreSQL's protocol, or a service that forbids to ask
    return found
