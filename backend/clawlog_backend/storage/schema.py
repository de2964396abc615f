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
)
from sqlalchemy import column as column_clause

metadata = MetaData()


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
    Column("agent_seen_ms", BigInteger),
    Column("vouched_ms", BigInteger),
    Column("sign_ms", BigInteger, nullable=False),
    Column("evidence", String(16)),
    Column("pid", Integer),
    Column("stalled", Boolean, nullable=False),
    Column("lost", Boolean, nullable=False),
    Column("lost_reason", Text),
    Column("stop_id", String(64)),
    Column("stop_open", Boolean, nullable=False),
    Column("change_seq", BigInteger, nullable=False),
    Column("control_seq", BigInteger, nullable=False),
    Column("search", Text, nullable=False),
    Column("host", Text),
    Column("project", Text),
    Column("agent", Text),
    Column("parent_id", String(64)),
    Column("reversed_id", String(64), nullable=False, server_default=""),
    Column("links", Text, nullable=False, server_default="[]"),
    Column("measure", Text),
    Column("waiting_ms", BigInteger),
    Column("attention", String(16)),
    Column("attention_ms", BigInteger),
    Column("attention_ack_ms", BigInteger),
    Column("attention_by", Text),
    Column("attention_rank", Integer, nullable=False, server_default="0"),
    Column("closed", Text),
    Column("search_facts", Text, nullable=False, server_default=""),
    Index("tasks_by_change", "change_seq"),
    Index("tasks_by_control", "control_seq"),
    # All that counting by status needs, so that a count never reads the tasks themselves.
    Index("tasks_by_standing", "status", "lost", "stop_open", "sign_ms"),
    # One for each way in which a list is narrowed or sorted, in the order in which it is shown.
    Index("tasks_by_update", "updated_ms", "n"),
    Index("tasks_by_attention", "attention_rank", "n"),
    Index("tasks_by_reversed_id", "reversed_id"),
    *(_of_those_that_have("tasks", name) for name in ("host", "project", "agent", "parent_id")),
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
    Column("search", Text),
)

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("event_id", String(64), nullable=False, unique=True),
    Column("task_n", Integer, ForeignKey("tasks.n", ondelete="CASCADE"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("task_status", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Index("events_of_task", "task_n", "seq"),
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

# What a search looks through, and of which state of the task it is (see storage/search/). An index of the engine follows it.
documents = Table(
    "documents",
    metadata,
    Column("task_n", Integer, ForeignKey("tasks.n", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
)

database = Table(
    "database_info",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("store_id", String(64), nullable=False),
    # Changes up to this number can no longer be sent one by one: tasks were removed then.
    Column("floor_seq", BigInteger, nullable=False),
    # Events up to this number were checked for heartbeats to remove.
    Column("beats_seq", BigInteger, nullable=False),
)
