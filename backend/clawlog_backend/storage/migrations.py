"""How an older database becomes one of this version, and an empty one gets its tables.

MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_plans_and_attention, _one_log, _followers)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from uuid import uuid4

from sqlalchemy import Connection, inspect, select, text, update

from clawlog_backend.domain.times import UtcMs
from clawlog_backend.storage import partitions, schema
from clawlog_backend.storage.changes import COUNTERS
from clawlog_backend.storage.search import documents
from clawlog_backend.storage.search.engine import text_index

_AT_ONCE = 1_000

_PLANS_AND_ATTENTION = """
ALTER TABLE tasks ADD COLUMN host TEXT;
ALTER TABLE tasks ADD COLUMN project TEXT;
ALTER TABLE tasks ADD COLUMN agent TEXT;
ALTER TABLE tasks ADD COLUMN parent_id VARCHAR(64);
ALTER TABLE tasks ADD COLUMN reversed_id VARCHAR(64) DEFAULT '' NOT NULL;
ALTER TABLE tasks ADD COLUMN links TEXT DEFAULT '[]' NOT NULL;
ALTER TABLE tasks ADD COLUMN measure TEXT;
ALTER TABLE tasks ADD COLUMN waiting_ms BIGINT;
ALTER TABLE tasks ADD COLUMN attention VARCHAR(16);
ALTER TABLE tasks ADD COLUMN attention_ms BIGINT;
ALTER TABLE tasks ADD COLUMN attention_ack_ms BIGINT;
ALTER TABLE tasks ADD COLUMN attention_by TEXT;
ALTER TABLE tasks ADD COLUMN attention_rank INTEGER DEFAULT '0' NOT NULL;
ALTER TABLE tasks ADD COLUMN closed TEXT;
ALTER TABLE tasks ADD COLUMN search_facts TEXT DEFAULT '' NOT NULL;
ALTER TABLE steps ADD COLUMN measure TEXT;
ALTER TABLE steps ADD COLUMN search TEXT;
UPDATE tasks SET attention = 'failed', attention_ms = COALESCE(ended_ms, updated_ms) WHERE status = 'failed';
UPDATE tasks SET attention = 'lost', attention_ms = updated_ms WHERE lost AND status IN ('pending', 'running');
UPDATE tasks SET attention_ack_ms = attention_ms, attention_rank = -1 WHERE attention IS NOT NULL;
CREATE INDEX tasks_by_update ON tasks (updated_ms, n);
CREATE INDEX tasks_by_attention ON tasks (attention_rank, n);
CREATE INDEX tasks_by_reversed_id ON tasks (reversed_id);
CREATE INDEX tasks_by_host ON tasks (host, n) WHERE host IS NOT NULL;
CREATE INDEX tasks_by_project ON tasks (project, n) WHERE project IS NOT NULL;
CREATE INDEX tasks_by_agent ON tasks (agent, n) WHERE agent IS NOT NULL;
CREATE INDEX tasks_by_parent_id ON tasks (parent_id, n) WHERE parent_id IS NOT NULL
"""


def _plans_and_attention(connection: Connection) -> None:
    """To version 2: plans, waiting, progress, links and parents. What had failed or was lost counts as acknowledged."""
    statements = _PLANS_AND_ATTENTION.strip().split(";\n")
    structure = [each for each in statements if each.startswith("ALTER")]
    for statement in structure:
        connection.execute(text(statement))
    _fill_named(connection)
    for statement in statements[len(structure) :]:
        connection.execute(text(statement))


def _fill_named(connection: Connection) -> None:
    # In slices, so that a large database is never in memory as a whole.
    after = 0
    found = text("SELECT n, task_id, metadata FROM tasks WHERE n > :after ORDER BY n LIMIT :most")
    fill = text("UPDATE tasks SET host = :host, project = :project, agent = :agent, reversed_id = :reversed_id WHERE n = :n")
    while tasks := connection.execute(found, {"after": after, "most": _AT_ONCE}).all():
        values = []
        for task in tasks:
            pairs = json.loads(task.metadata)
            named = {key: pairs.get(key) for key in ("host", "project", "agent")}
            values.append(named | {"n": task.n, "reversed_id": task.task_id[::-1]})
        connection.execute(fill, values)
        after = tasks[-1].n


_ONE_LOG = """
INSERT INTO liveness SELECT n, 1, agent_seen_ms, vouched_ms, sign_ms, evidence, pid, stalled, measure, NULL, NULL, NULL, 0, 0
  FROM tasks;
DROP INDEX tasks_by_change;
DROP INDEX tasks_by_control;
DROP INDEX tasks_by_standing;
ALTER TABLE tasks DROP COLUMN change_seq;
ALTER TABLE tasks DROP COLUMN control_seq;
ALTER TABLE tasks DROP COLUMN agent_seen_ms;
ALTER TABLE tasks DROP COLUMN vouched_ms;
ALTER TABLE tasks DROP COLUMN sign_ms;
ALTER TABLE tasks DROP COLUMN evidence;
ALTER TABLE tasks DROP COLUMN pid;
ALTER TABLE tasks DROP COLUMN stalled;
ALTER TABLE tasks DROP COLUMN measure;
ALTER TABLE tasks ADD COLUMN no_signal_since BIGINT;
ALTER TABLE tasks ADD COLUMN doubtful BOOLEAN DEFAULT 0 NOT NULL;
CREATE INDEX tasks_by_standing ON tasks (status, lost, stop_open);
CREATE INDEX tasks_by_no_signal_since ON tasks (no_signal_since, n) WHERE no_signal_since IS NOT NULL;
INSERT INTO events SELECT task_n, row_number() OVER (PARTITION BY task_n ORDER BY seq), event_id, kind, at_ms, received_ms,
  task_status, detail FROM events_2 ORDER BY events_2.seq;
DROP TABLE events_2;
UPDATE liveness SET last_seq = COALESCE((SELECT max(seq) FROM events WHERE events.task_n = liveness.task_n), 0);
ALTER TABLE database_info DROP COLUMN beats_seq;
ALTER TABLE tasks DROP COLUMN search;
ALTER TABLE tasks DROP COLUMN search_facts;
ALTER TABLE steps DROP COLUMN search
"""


def _one_log(connection: Connection) -> None:
    """To version 3: one log of changes, events numbered within their task, signs of life apart, a search with an index.

    The log begins one higher than the last event, with the floor there: whoever resumes from a number of before reloads.
    """
    newest = "SELECT max((SELECT max(floor_seq) FROM database_info), coalesce((SELECT max(seq) FROM events), 0), "
    newest += "coalesce((SELECT max(change_seq) FROM tasks), 0)) + 1, coalesce((SELECT max(n) FROM tasks), 0)"
    seq, task_n = connection.execute(text(newest)).one()
    connection.execute(text("ALTER TABLE events RENAME TO events_2"))
    connection.execute(text("DROP INDEX events_of_task"))
    for table in (schema.liveness, schema.events, schema.counters, schema.changes):
        table.create(connection)
    for statement in _ONE_LOG.strip().split(";\n"):
        connection.execute(text(statement))
    _start_counters(connection, seq, task_n)
    connection.execute(update(schema.database).values(floor_seq=seq))
    schema.documents.create(connection)
    text_index(connection.dialect).create(connection)
    for begin in range(0, task_n, _AT_ONCE):
        documents.refresh(connection, range(begin + 1, begin + _AT_ONCE + 1))


def _followers(connection: Connection) -> None:
    """To version 4: followers of the log store where they are, notifications and traces wait, and it says who may use it.

    A list of one status is read from an index in its order. On PostgreSQL, the history is in partitions from here on, and
    the search has an index.
    """
    for table in (schema.followers, schema.notifications, schema.waiting_traces):
        table.create(connection)
    connection.execute(text("DROP INDEX tasks_by_standing"))
    next(index for index in schema.tasks.indexes if index.name == "tasks_by_status").create(connection)
    _create_narrow_indexes(connection)
    connection.execute(text("ALTER TABLE database_info ADD COLUMN serves_from INTEGER DEFAULT '0' NOT NULL"))
    if connection.dialect.name == "postgresql":
        connection.execute(text('ALTER TABLE tasks ALTER COLUMN reversed_id TYPE VARCHAR(64) COLLATE "C"'))
        partitions.move_history(connection, UtcMs.now())
        text_index(connection.dialect).create(connection)


def _create_narrow_indexes(connection: Connection) -> None:
    """Make the indexes of few tasks the last ones: of two that serve a statement alike, SQLite takes the one made last."""
    for index in schema.tasks.indexes:
        if index.name in {"tasks_by_stop", "tasks_by_loss"}:
            index.drop(connection, checkfirst=True)
            index.create(connection)


def _start_counters(connection: Connection, seq: int, task_n: int) -> None:
    values = [{"name": name, "value": value} for name, value in zip(COUNTERS, (seq, task_n, seq), strict=True)]
    connection.execute(schema.counters.insert(), values)


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_plans_and_attention, _one_log, _followers)
"""``MIGRATIONS[v - 1]`` makes a database of schema version ``v`` one of ``v + 1``."""

SCHEMA_VERSION = 1 + len(MIGRATIONS)

SERVES_FROM = 4
"""The oldest version whose programs may use a database of this one."""


class SchemaTooNewError(Exception):
    """The database was written by a later version of this program, which alone knows what is in it."""


def schema_version(connection: Connection) -> int | None:
    """The version of the database's schema; ``None`` where it has no tables yet."""
    if not inspect(connection).has_table(schema.database.name):
        return None
    version: int = connection.execute(select(schema.database.c.schema_version)).scalar_one()
    return version


def migrate(connection: Connection) -> None:
    """Create the database, or bring an older one to this version, in the caller's transaction. A later one is left as it is.

    Raises:
        SchemaTooNewError: It is of a later version, which this program may not use; nothing was changed.
    """
    found = schema_version(connection)
    if found is None:
        _create(connection)
        return
    if found > SCHEMA_VERSION:
        serves_from = connection.execute(select(schema.database.c.serves_from)).scalar_one()
        if serves_from > SCHEMA_VERSION:
            raise SchemaTooNewError(
                f"the database has schema version {found}, for programs from version {serves_from} on, this one knows version "
                f"{SCHEMA_VERSION}: upgrade clawlog-status-sync, or name another database with --database"
            )
        return
    if found < SCHEMA_VERSION:
        # Whoever else migrates it waits here, and then sees that it is done.
        found = connection.execute(select(schema.database.c.schema_version).with_for_update()).scalar_one()
    for step in MIGRATIONS[found - 1 :]:
        step(connection)
    connection.execute(update(schema.database).values(schema_version=SCHEMA_VERSION, serves_from=SERVES_FROM))


def _create(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        others = [table for table in schema.metadata.sorted_tables if table is not schema.events]
        schema.metadata.create_all(connection, tables=others)
        partitions.create(connection, UtcMs.now())
    else:
        schema.metadata.create_all(connection)
    _create_narrow_indexes(connection)
    text_index(connection.dialect).create(connection)
    values = {"only": 1, "schema_version": SCHEMA_VERSION, "serves_from": SERVES_FROM, "floor_seq": 0}
    connection.execute(schema.database.insert().values(**values, store_id=uuid4().hex))
    _start_counters(connection, 0, 0)
