"""Where those are that follow the log of changes and go on from there after a restart: their positions, by their names.

A follower reads its position, handles what comes after it, and stores the new one, all in one transaction with what it made of
it: so a kill at any instant loses nothing and does nothing twice. The log keeps what a follower has yet to read.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from clawlog_backend.storage.schema import followers


def position(connection: Connection, name: str) -> int | None:
    """Up to which change a follower has read; ``None`` where it has not begun. No other replica goes on from there meanwhile.

    Args:
        connection: In the transaction that will store the next position.
        name: The follower's; at most 32 characters.
    """
    found = connection.execute(select(followers.c.seq).where(followers.c.name == name).with_for_update()).scalar()
    return None if found is None else int(found)


def set_position(connection: Connection, name: str, seq: int) -> None:
    """Note that a follower has read up to a change, in the transaction that stores what it made of it."""
    moved = connection.execute(update(followers).where(followers.c.name == name).values(seq=seq))
    if not moved.rowcount:
        connection.execute(insert(followers).values(name=name, seq=seq))


def forget(connection: Connection, name: str) -> None:
    """Forget a follower, which no longer follows: if it comes back, it begins at the present."""
    connection.execute(delete(followers).where(followers.c.name == name))
