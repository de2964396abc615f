"""Those that follow the log of changes: where they are is stored, and the log keeps what they have yet to read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine

from clawlog_backend.domain.times import UtcMs
from clawlog_backend.storage import changes, followers, migrations
from clawlog_backend.storage.changes import Change

OLD, NOW = UtcMs(1_000), UtcMs(1_000_000)


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        migrations.migrate(connection)
        for _ in range(10):
            changes.append(connection, OLD, Change(0, (1,)))
        yield connection
    engine.dispose()


def left(connection: Connection) -> list[int]:
    return [change.seq for change in changes.following(connection, 0, limit=100)]


def test_a_position_is_stored_moved_and_forgotten(connection: Connection) -> None:
    assert followers.position(connection, "one") is None
    followers.set_position(connection, "one", 4)
    followers.set_position(connection, "two", 7)
    followers.set_position(connection, "one", 5)
    assert (followers.position(connection, "one"), followers.position(connection, "two")) == (5, 7)
    followers.forget(connection, "one")
    assert (followers.position(connection, "one"), followers.position(connection, "two")) == (None, 7)


def test_the_log_keeps_what_a_follower_has_yet_to_read(connection: Connection) -> None:
    followers.set_position(connection, "one", 4)
    followers.set_position(connection, "two", 7)
    assert changes.prune(connection, before=NOW, keep=1_000, at_once=100) == (4, 4)
    assert left(connection) == [5, 6, 7, 8, 9, 10]
    assert changes.prune(connection, before=NOW, keep=1_000, at_once=100) == (0, 4)
    followers.set_position(connection, "one", 10)
    changes.prune(connection, before=NOW, keep=1_000, at_once=100)
    assert left(connection) == [8, 9, 10]


def test_a_follower_that_never_reads_keeps_no_more_than_the_bound(connection: Connection) -> None:
    followers.set_position(connection, "one", 0)
    changes.prune(connection, before=NOW, keep=3, at_once=100)
    assert left(connection) == [8, 9, 10]
