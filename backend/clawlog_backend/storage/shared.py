"""What replicas have to agree on beside the tasks: who does what one alone must do, failed log-ins, and log-outs.

The database's clock counts, so that it does not matter what the replicas' say.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Connection, Index, MetaData, String, Table, delete, func, insert, select, text

metadata = MetaData()

_LEASE_MS = 15_000
_NOW = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"

leases = Table(
    "leases",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("holder", String(32), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)

failed_logins = Table(
    "failed_logins",
    metadata,
    Column("client", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("failed_logins_by_client", "client", "at_ms"),
)

ended_sessions_table = Table(
    "ended_sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("until_s", BigInteger, nullable=False),
)

_TAKE_LEASE = text(
    f"""INSERT INTO leases AS l (name, holder, until_ms) VALUES (:name, :holder, {_NOW} + {_LEASE_MS})
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_ms = excluded.until_ms
    WHERE l.holder = excluded.holder OR l.until_ms < {_NOW} RETURNING 1"""  # noqa: S608 - constants of this module
)


def take_lease(connection: Connection, name: str, holder: str) -> bool:
    """Take a lease that nobody has, or go on with one's own; whether that was so. It lasts 15 s."""
    return connection.execute(_TAKE_LEASE, {"name": name, "holder": holder}).first() is not None


def failed_login_times(connection: Connection, client: str, *, since_ms: int) -> list[int]:
    """When the log-ins of a client failed lately, the earliest first."""
    columns = failed_logins.c
    query = select(columns.at_ms).where(columns.client == client, columns.at_ms > since_ms).order_by(columns.at_ms)
    return list(connection.execute(query).scalars())


def add_failed_login(connection: Connection, client: str, *, at_ms: int, forget_before_ms: int) -> None:
    """Note a log-in that failed, and forget those of long ago."""
    connection.execute(delete(failed_logins).where(failed_logins.c.at_ms < forget_before_ms))
    connection.execute(insert(failed_logins), {"client": client, "at_ms": at_ms})


def end_session(connection: Connection, digest: str, *, until_s: int) -> None:
    """Note that a session ended before its time, by its digest: what is stored opens nothing."""
    ended = ended_sessions_table
    connection.execute(delete(ended).where(ended.c.until_s < func.extract("epoch", func.now())))
    if connection.execute(select(ended.c.digest).where(ended.c.digest == digest)).first() is None:
        connection.execute(insert(ended), {"digest": digest, "until_s": until_s})


def ended_sessions(connection: Connection) -> dict[str, int]:
    """The digests of the sessions that ended before their time, and when that would have been."""
    return {row.digest: row.until_s for row in connection.execute(select(ended_sessions_table))}
