"""The history of events on PostgreSQL: a partition for each day of the time in the events' ids, so that old days go as a whole.

A UUID of version 7 begins with its time, so that ids sort by it and a day is a range of ids. The ids decide, and nothing else:
one event has one place, and its id is unique over all of them. What is outside the days that there are (other ids, which may be
of any form; a day that is gone; a time that is made up) lies in partitions of its own, from which rows are deleted a few at a
time, as from any table.

An engine that only speaks PostgreSQL's protocol may have no partitions: the history is one table there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from clawlog_backend.domain.times import UtcMs
from clawlog_backend.storage import schema

_DAY_MS: Final = 86_400_000
_BEHIND, _AHEAD = 1, 3  # days before and after today for which there are partitions
_MOST_OLDER_DAYS = 60  # that a migration makes partitions for
_LAST_DAY = UtcMs.parse("2100-01-01T00:00:00Z") // _DAY_MS
_LOCK_NOT_AVAILABLE, _DEADLOCK = "55P03", "40P01"
# To add or to drop a partition needs, for an instant, the history alone; meanwhile nobody else is to wait for longer than this.
_PATIENCE = "SET LOCAL lock_timeout = '50ms'"

# No more indexes than readers need: that a task's numbers are unique is held by the lock with which they are given.
# No reference to `tasks` either, which would look there for each event that is written.
_CREATE = """
CREATE TABLE events (task_n INTEGER NOT NULL, seq INTEGER NOT NULL, event_id VARCHAR(64) COLLATE "C" PRIMARY KEY,
  kind VARCHAR(32) NOT NULL, at_ms BIGINT NOT NULL, received_ms BIGINT NOT NULL, task_status VARCHAR(16) NOT NULL,
  detail TEXT NOT NULL) PARTITION BY RANGE (event_id);
CREATE INDEX events_of_task ON events (task_n, seq);
CREATE INDEX events_old_beats ON events (received_ms) WHERE kind = 'heartbeat';
CREATE TABLE events_default PARTITION OF events DEFAULT
"""
_COLUMNS = ", ".join(column.name for column in schema.events.columns)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class Day:
    """The partition of a day.

    Attributes:
        number: The day, counted from 1970.
    """

    number: int

    @property
    def table(self) -> str:
        """The partition's name."""
        return f"events_{datetime.fromtimestamp(self.number * _DAY_MS // 1000, UTC):%Y%m%d}"

    @property
    def first_id(self) -> str:
        """What no id of the day, or of a later one, sorts before."""
        digits = f"{self.number * _DAY_MS:012x}"
        return f"{digits[:8]}-{digits[8:]}"

    @property
    def end(self) -> UtcMs:
        """When it ended."""
        return UtcMs((self.number + 1) * _DAY_MS)

    @property
    def next(self) -> Day:
        """The day after it."""
        return Day(self.number + 1)


def create(connection: Connection, now: UtcMs, *, oldest: UtcMs | None = None) -> None:
    """Make the history's table, with the partitions for the days around now.

    Args:
        connection: In a transaction.
        now: This instant.
        oldest: Of when the oldest event is that it will be given, where that is not now.
    """
    try:
        with connection.begin_nested():
            for statement in _CREATE.strip().split(";\n"):
                connection.execute(text(statement))
            today = now // _DAY_MS
            first = (
                today - _BEHIND if oldest is None else max(min(oldest // _DAY_MS, today - _BEHIND), today - _MOST_OLDER_DAYS)
            )
            # What is outside all days for sure: the default partition, at which each new day's looks, stays small.
            _attach(connection, f"events_before_{Day(first).table[7:]}", "MINVALUE", f"'{Day(first).first_id}'")
            _attach(connection, "events_after", f"'{Day(_LAST_DAY).first_id}'", "MAXVALUE")
            for number in range(first, today - _BEHIND):
                _add(connection, Day(number))
    except DBAPIError as error:
        log.warning("the database has no partitions, so that old events are removed one by one: %s", error.orig)
        schema.events.create(connection)
    add_days(connection, now)


def add_days(connection: Connection, now: UtcMs) -> bool:
    """Make the partitions that lack for the days around now; nothing where there are none at all.

    Returns:
        Whether they are there: not so where others use the history all the time, and it is to be tried again.
    """
    tables = _tables(connection)
    if not tables:
        return True
    begin = next((name.removeprefix("events_before_") for name in tables if name.startswith("events_before_")), "0")
    today = now // _DAY_MS
    wanted = [day for day in map(Day, range(today - _BEHIND, today + _AHEAD + 1)) if day.table not in tables]
    try:
        for day in wanted:
            if day.table[7:] >= begin and day.number < _LAST_DAY:
                with connection.begin_nested():
                    connection.execute(text(_PATIENCE))
                    connection.execute(text("LOCK TABLE events_default IN ACCESS EXCLUSIVE MODE"))
                    _add(connection, day)
    except DBAPIError as error:
        return _is_busy(error)
    return True


def past_days(connection: Connection, *, before: UtcMs) -> list[Day]:
    """The days that have a partition and ended before an instant, the earliest first."""
    days = [_day_of(name) for name in _tables(connection)]
    return sorted(day for day in days if day is not None and day.end <= before)


@dataclass(frozen=True, slots=True)
class Old:
    """A day, and what of it may go.

    Attributes:
        day: Which.
        beats_before: A heartbeat that was received before this may go.
        tasks_before: All of a task without a sign of life since this may go; ``None``: of no task.
    """

    day: Day
    beats_before: UtcMs
    tasks_before: UtcMs | None


def may_go(connection: Connection, old: Old) -> bool:
    """Whether nothing in a day's partition is to stay."""
    stays = f"""SELECT 1 FROM {old.day.table} e JOIN tasks t ON t.n = e.task_n JOIN liveness l ON l.task_n = t.n
        WHERE NOT (e.kind = 'heartbeat' AND e.received_ms < :beats) AND (l.sign_ms >= :tasks OR t.received_ms >= :tasks)
        LIMIT 1"""  # noqa: S608 - a name that is made here
    given = {"beats": int(old.beats_before), "tasks": -1 if old.tasks_before is None else int(old.tasks_before)}
    return connection.execute(text(stays), given).first() is None


def drop(connection: Connection, old: Old) -> bool:
    """Remove a day's partition, unless something in it is to stay, or others do not let go of the history.

    Returns:
        Whether it was removed.
    """
    try:
        with connection.begin_nested():
            connection.execute(text(_PATIENCE))
            # Nobody writes to that day from now on; to look at all of it once more keeps nobody from the other days.
            connection.execute(text(f"LOCK TABLE {old.day.table} IN SHARE MODE"))
            if not may_go(connection, old):
                return False
            connection.execute(text(f"DROP TABLE {old.day.table}"))
    except DBAPIError as error:
        return _is_busy(error)
    return True


def move_history(connection: Connection, now: UtcMs) -> None:
    """To schema version 4: the one table that there was becomes one with partitions."""
    for name in ("events_pkey", "events_event_id_key"):
        connection.execute(text(f"ALTER TABLE events DROP CONSTRAINT IF EXISTS {name}"))
    connection.execute(text("DROP INDEX IF EXISTS events_old_beats"))
    connection.execute(text("ALTER TABLE events RENAME TO events_3"))
    oldest = connection.execute(text("SELECT min(received_ms) FROM events_3")).scalar()
    create(connection, now, oldest=None if oldest is None else UtcMs(oldest))
    connection.execute(text(f"INSERT INTO events ({_COLUMNS}) SELECT {_COLUMNS} FROM events_3"))  # noqa: S608 - names of the schema
    connection.execute(text("DROP TABLE events_3"))


def _add(connection: Connection, day: Day) -> None:
    """Make a day's partition, and give it what lay elsewhere for want of it."""
    # Made apart and then attached: so the history is read and written meanwhile.
    connection.execute(text(f"CREATE TABLE {day.table} (LIKE events)"))
    within = {"first": day.first_id, "end": day.next.first_id}
    moved = "DELETE FROM events_default WHERE event_id >= :first AND event_id < :end RETURNING *"
    connection.execute(text(f"WITH moved AS ({moved}) INSERT INTO {day.table} SELECT * FROM moved"), within)  # noqa: S608 - as above
    bounds = f"FROM ('{day.first_id}') TO ('{day.next.first_id}')"
    connection.execute(text(f"ALTER TABLE events ATTACH PARTITION {day.table} FOR VALUES {bounds}"))


def _attach(connection: Connection, table: str, begin: str, end: str) -> None:
    connection.execute(text(f"CREATE TABLE {table} PARTITION OF events FOR VALUES FROM ({begin}) TO ({end})"))


def _tables(connection: Connection) -> Sequence[str]:
    if connection.dialect.name != "postgresql":
        return ()
    found = (
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass('events')"
    )
    return connection.execute(text(found)).scalars().all()


def _day_of(table: str) -> Day | None:
    date = table.removeprefix("events_")
    if len(date) != 8 or not date.isdecimal():
        return None
    began = datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC)
    return Day((began - datetime.fromtimestamp(0, UTC)) // timedelta(days=1))


def _is_busy(error: DBAPIError) -> bool:
    """False for an error that says that others use a table; any other is raised."""
    if getattr(error.orig, "sqlstate", None) not in {_LOCK_NOT_AVAILABLE, _DEADLOCK}:
        raise error
    return False
