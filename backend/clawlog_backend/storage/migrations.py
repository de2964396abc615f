"""How an older database becomes one of this version, and an empty one gets its tables.

``tests/unit/backend/storage/database-v1.sql`` is a database of the first version; a test migrates it.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from sqlalchemy import Connection, inspect, select, update

from clawlog_backend.storage import schema

MIGRATIONS: tuple[Callable[[Connection], None], ...] = ()
"""``MIGRATIONS[v - 1]`` makes a database of schema version ``v`` one of ``v + 1``."""

SCHEMA_VERSION = 1 + len(MIGRATIONS)


class SchemaTooNewError(Exception):
    """The database was written by a later version of this program, which alone knows what is in it."""


def migrate(connection: Connection) -> None:
    """Create the database, or bring an older one to this version, in the caller's transaction.

    Raises:
        SchemaTooNewError: It is of a later version; nothing was changed.
    """
    if not inspect(connection).has_table(schema.database.name):
        schema.metadata.create_all(connection)
        connection.execute(
            schema.database.insert().values(
                only=1, schema_version=SCHEMA_VERSION, store_id=uuid4().hex, floor_seq=0, beats_seq=0
            )
        )
        return
    found = connection.execute(select(schema.database.c.schema_version)).scalar_one()
    if found > SCHEMA_VERSION:
        raise SchemaTooNewError(
            f"the database has schema version {found}, this program knows versions up to {SCHEMA_VERSION}: "
            "upgrade clawlog-status-sync, or name another database with --database"
        )
    for step in MIGRATIONS[found - 1 :]:
        step(connection)
    connection.execute(update(schema.database).values(schema_version=SCHEMA_VERSION))
