"""The tables, as SQLAlchemy Core sees them.

Portable SQL types only: SQLite is the default, another database can follow. Times are whole milliseconds (see
:class:`~clawlog_backend.domain.times.UtcMs`). What is only ever read back whole (metadata, an event's details) is JSON.

A change here needs a step in :mod:`clawlog_backend.storage.migrations`, so that older databases get it too.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
    literal_column,
)
from sqlalchemy import column as column_clause

metadata = MetaData()


_HAS_CONTROLS = column_clause("control_ids").is_not(None)
_HAS_STOP = column_clause("stop_open", Boolean()).is_(True)
_IS_LOST = column_clause("lost", Boolean()).is_(True)
_IS_BEAT = column_clause("kind") == literal_column("'heartbeat'")


# A text of which a range is asked for, whatever the order is that the database's locale has for people.
_BY_CODE_POINT = String(64).with_variant(String(64, collation="C"), "postgresql")


def _of_those_that_have(table: str, column: str) -> Index:
    """An index of the rows in which a column has a value: most have none, and cost nothing then."""
    has_one = column_clause(column).is_not(None)
    return Index(f"{table}_by_{column}", column, "n", sqlite_where=has_one, postgresql_where=has_one)


tasks = Table(
    "tasks",
    metadata,
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("task_id", String(64), nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("reported", String(16)),
    Column("summary", Text),
    Column("metadata", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
    Column("steps_total", Integer, nullable=False),
    Column("steps_done", Integer, nullable=False),
    Column("steps_failed", Integer, nullable=False),
    Column("steps_started", Integer, nullable=False),
    Column("lost", Boolean, nullable=False),
    Column("lost_reason", Text),
    Column("stop_id", String(64)),
    Column("stop_open", Boolean, nullable=False),
    Column("host", Text),
    Column("project", Text),
    Column("agent", Text),
    Column("parent_id", String(64)),
    Column("reversed_id", _BY_CODE_POINT, nullable=False, server_default=""),
    Column("links", Text, nullable=False, server_default="[]"),
    Column("waiting_ms", BigInteger),
    Column("attention", String(16)),
    Column("attention_ms", BigInteger),
    Column("attention_ack_ms", BigInteger),
    Column("attention_by", Text),
    Column("attention_rank", Integer, nullable=False, server_default="0"),
    Column("closed", Text),
    # The last sign of life of a task that fell silent, and whether its agent's last sign leaves doubt: written when either
    # changes, by an event or by the sweep, so that filters and counts need not look at what each heartbeat changes.
    Column("no_signal_since", BigInteger),
    Column("doubtful", Boolean, nullable=False, server_default=false()),
    Index("tasks_by_stop", "status", "n", sqlite_where=_HAS_STOP, postgresql_where=_HAS_STOP),
    Index("tasks_by_loss", "status", "n", sqlite_where=_IS_LOST, postgresql_where=_IS_LOST),
    # One for each way in which a list is narrowed or sorted, in the order in which it is shown.
    Index("tasks_by_status", "status", "n"),
    Index("tasks_by_update", "updated_ms", "n"),
    Index("tasks_by_attention", "attention_rank", "n"),
    Index("tasks_by_reversed_id", "reversed_id"),
    *(_of_those_that_have("tasks", name) for name in ("host", "project", "agent", "parent_id", "no_signal_since")),
)

# What a heartbeat changes of its task, and all that it changes: no index names any of it.
liveness = Table(
    "liveness",
    metadata,
    Column("task_n", Integer, ForeignKey("tasks.n", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    # Grows with every write of the task or of this row: a remembered state is believed while it is the same.
    Column("version", BigInteger, nullable=False),
    Column("agent_seen_ms", BigInteger),
    Column("vouched_ms", BigInteger),
    Column("sign_ms", BigInteger, nullable=False),
    Column("evidence", String(16)),
    Column("pid", Integer),
    Column("stalled", Boolean, nullable=False),
    Column("measure", Text),
    # The newest heartbeat, and how many there were since the last one that the history kept.
    Column("beat_event_id", String(64)),
    Column("beat_ms", BigInteger),
    Column("kept_ms", BigInteger),
    Column("beats", Integer, nullable=False),
    # The number of the task's newest event.
    Column("last_seq", Integer, nullable=False),
)

steps = Table(
    "steps",
    metadata,
    Column("task_n", Integer, ForeignKey("tasks.n", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("step_id", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("summary", Text),
    Column("started_ms", BigInteger),
    Column("ended_ms", BigInteger),
    Column("measure", Text),
)

events = Table(
    "events",
    metadata,
    Column("task_n", Integer, ForeignKey("tasks.n", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("event_id", String(64), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("task_status", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Index("events_old_beats", "received_ms", sqlite_where=_IS_BEAT, postgresql_where=_IS_BEAT),
)

interrupts = Table(
    "interrupts",
    metadata,
    Column("interrupt_id", String(64), primary_key=True),
    Column("task_n", Integer, ForeignKey("tasks.n", ondelete="CASCADE"), nullable=False, index=True),
    Column("mode", String(16), nullable=False),
    Column("reason", Text),
    Column("requested_by", Text),
    Column("requested_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger),
    Column("delivered_ms", BigInteger),
    Column("acknowledged_ms", BigInteger),
    Column("ack_summary", Text),
)

# What a search looks through (see storage/search/). An index of the engine follows it.
documents = Table(
    "documents",
    metadata,
    Column("task_n", Integer, ForeignKey("tasks.n", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
)

database = Table(
    "database_info",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("store_id", String(64), nullable=False),
    # Changes up to this number are no longer listed in ``changes``, or removed tasks.
    Column("floor_seq", BigInteger, nullable=False),
    # The oldest schema version whose programs may go on using this database.
    Column("serves_from", Integer, nullable=False, server_default="0"),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

# One row for each commit that changed anything, numbered without gaps in the order of the commits. The lists are JSON.
changes = Table(
    "changes",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("task_ns", Text),
    Column("moved_ns", Text),
    Column("control_ids", Text),
    Column("counts", Text),
    Column("events", Text),
    Index("changes_of_controls", "seq", sqlite_where=_HAS_CONTROLS, postgresql_where=_HAS_CONTROLS),
)

# Up to which change those have read the log that go on from where they were after a restart (see storage/followers.py).
followers = Table(
    "followers",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

# What is still to be told, a row for each that it is to be told to (see storage/notifications.py). Of another task's removal it
# knows nothing: what happened is told all the same.
notifications = Table(
    "notifications",
    metadata,
    Column("notification_id", String(64), primary_key=True),
    Column("rule", String(64), nullable=False),
    Column("target", String(64), nullable=False),
    Column("event", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("held", Boolean, nullable=False, server_default=false()),
    Column("made_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("detail", Text, nullable=False),
    Index("notifications_by_due", "state", "target", "due_ms"),
)

# The runs of tasks that ended and are to be exported as traces (see storage/traces.py), by the numbers of the events with which
# they ended.
waiting_traces = Table(
    "waiting_traces",
    metadata,
    Column("task_n", Integer, ForeignKey("tasks.n", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("ended_ms", BigInteger, nullable=False),
    Index("waiting_traces_by_end", "ended_ms", "task_n", "seq"),
)
