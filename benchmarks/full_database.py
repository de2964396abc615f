"""A backend's database with a long past, written straight into the file under the backend's own schema."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from sqlalchemy import create_engine

from clawlog_backend.storage import migrations
from clawlog_backend.storage.search.documents import refresh

_DOCUMENTS = 1_000  # made at once

_SERIES = "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {last}) "

# Nine tasks of ten are over; of the last ones most go on.
_TASKS = """
INSERT INTO tasks (n, task_id, title, status, summary, metadata, created_ms, received_ms, updated_ms, ended_ms,
    steps_total, steps_done, steps_failed, steps_started, lost, stop_open)
SELECT n, 'task-' || n, 'Task ' || n, iif(n <= :ended, iif(n % 20, 'done', 'failed'), 'running'), 'summary of ' || n,
    '{"repository":"shop"}', :now - 1000 * (:last - n), :now, :now, iif(n <= :ended, :now, NULL), 3, iif(n <= :ended, 3, 1),
    0, iif(n <= :ended, 3, 2), 0, 0
FROM series
"""
_LIVENESS = """
INSERT INTO liveness (task_n, version, agent_seen_ms, vouched_ms, sign_ms, evidence, pid, stalled, beats, last_seq)
SELECT n, 1, :now, :now, :now, 'process', 4242, 0, 0, :events / :last FROM series
"""
_STEPS = """
INSERT INTO steps (task_n, position, step_id, title, status, summary, started_ms, ended_ms)
SELECT n, position, 'task-' || n || '-' || position, 'Step ' || position,
    iif(n <= :ended OR position = 1, 'done', iif(position = 2, 'running', 'pending')), 'as it went', :now, :now
FROM series, (SELECT 1 AS position UNION SELECT 2 UNION SELECT 3)
"""
# As many of each task. They arrive in turns, as those of agents that work at the same time do.
_EVENTS = """
INSERT INTO events (task_n, seq, event_id, kind, at_ms, received_ms, task_status, detail)
SELECT n % :last + 1, n / :last + 1, printf('00000000-0000-7000-8000-%012x', n), 'step_status', :now, :now, 'running',
    '{"step_id":"s","status":"running","summary":"as it went"}'
FROM (SELECT n - 1 AS n FROM series)
"""


def fill(path: Path, *, tasks: int, events: int, age_ms: int = 0) -> None:
    """Makes the file, as a backend that took all of this ``age_ms`` ago would have left it."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrations.migrate(connection)
    engine.dispose()
    given = {"last": tasks, "ended": tasks * 9 // 10, "events": events, "now": int(time.time() * 1000) - age_ms}
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA cache_size = -400000")
    with database:
        for statement, last in ((_TASKS, tasks), (_LIVENESS, tasks), (_STEPS, tasks), (_EVENTS, events)):
            database.execute(_SERIES.format(last=last) + statement, given)
        database.execute("UPDATE counters SET value = ? WHERE name = 'task_n'", (tasks,))
    database.close()
    with engine.begin() as connection:
        for begin in range(0, tasks, _DOCUMENTS):
            refresh(connection, range(begin + 1, begin + _DOCUMENTS + 1))
    engine.dispose()
