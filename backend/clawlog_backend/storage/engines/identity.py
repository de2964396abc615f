"""Whether a PostgreSQL database still is the one that its cursors were given out for.

A cursor names the database by its ``store_id``. After a restore the numbers of changes begin again from an earlier one, so that
cursors of before must not be believed. The second half of ``store_id`` says where the database lived when it was made: the
cluster's identifier, its timeline (new after each recovery to a point in time and each promotion), the database's number there.
Where that is another now, the database gets a new ``store_id``, and who resumes reads anew.
"""

from __future__ import annotations

import hashlib
from uuid import uuid4

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import DBAPIError

from clawlog_backend.storage import schema

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


def _answers(connection: Connection) -> list[str]:
    found = []
    for question in _WHERE:
        try:
            with connection.begin_nested():
                found.append(str(connection.exec_driver_sql(question).scalar()))
        except DBAPIError:
            found.append("")  # an engine that only speaks PostgreSQL's protocol, or a service that forbids to ask
    return found
