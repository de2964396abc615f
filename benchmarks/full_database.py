"""A backend's database with a long past, written straight into it under the backend's own schema, on either engine."""

from __future__ import annotations

import time
from pathlib import Path

from sqlalchemy import create_engine, text

from clawlog_backend.storage import migrations
from clawlog_backend.storage.engines.address import database_url
from clawlog_backend.storage.search.documents import refresh

_DOCUMENTS = 1_000  # made at once

_SERIES = "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {last}) "

# Nine tasks of ten are over; of the last ones most go on.
_TASKS = """
INSERT INTO tasks (n, task_id, title, status, summary, metadata, created_ms, received_ms, updated_ms, ended_ms,
    steps_total, steps_done, steps_failed, steps_started, lost, stop_open)
{series}
SELECT n, 'task-' || n, 'Task ' || n, CASE WHEN n > {ended} THEN 'running' WHEN n % 20 = 0 THEN 'failed' ELSE 'done' END,
    'summary of ' || n, '{{"repository":"shop"}}', {now} - 1000 * ({last} - n), {now}, {now},
    CASE WHEN n <= {ended} THEN {now} END, 3, CASE WHEN n <= {ended} THEN 3 ELSE 1 END,
    0, CASE WHEN n <= {ended} THEN 3 ELSE 2 END, FALSE, FALSE
FROM series
"""
_LIVENESS = """
INSERT INTO liveness (task_n, version, agent_seen_ms, vouched_ms, sign_ms, evidence, pid, stalled, beats, last_seq)
{series}
SELECT n, 1, {now}, {now}, {now}, 'process', 4242, FALSE, 0, {events} / {last} FROM series
"""
_STEPS = """
INSERT INTO steps (task_n, position, step_id, title, status, summary, started_ms, ended_ms)
{series}
SELECT n, place.position, 'task-' || n || '-' || place.position, 'Step ' || place.position,
    CASE WHEN n <= {ended} OR place.position = 1 THEN 'done' WHEN place.position = 2 THEN 'running' ELSE 'pending' END,
    'as it went', {now}, {now}
FROM series, (SELECT 1 AS position UNION SELECT 2 UNION SELECT 3) AS place
"""
# As many of each task. They arrive in turns, as those of agents that work at the same time do; their ids bear the time.
_EVENTS = """
INSERT INTO events (task_n, seq, event_id, kind, at_ms, received_ms, task_status, detail)
{series}
SELECT (n - 1) % {last} + 1, (n - 1) / {last} + 1, '{prefix}-7000-8000-' || substr(CAST(1000000000000 + n AS TEXT), 2),
    'step_status', {now}, {now}, 'running', '{{"step_id":"s","status":"running","summary":"as it went"}}'
FROM series
"""


def fill(database: Path | str, *, tasks: int, events: int, age_ms: int = 0) -> None:
    """Fills it, as a backend that took all of this ``age_ms`` ago would have left it.

    Args:
        database: The path of an SQLite file, or a URL, as the backend takes either.
        tasks: How many.
        events: How many, in all.
        age_ms: How long ago; the last signs of life, once it is filled.
    """
    now = int(time.time() * 1000) - age_ms
    prefix = f"{now:012x}"
    given = {"last": tasks, "ended": tasks * 9 // 10, "events": events, "now": now, "prefix": f"{prefix[:8]}-{prefix[8:]}"}
    engine = create_engine(database_url(str(database)))
    is_file = engine.dialect.name == "sqlite"
    with engine.begin() as connection:
        migrations.migrate(connection)
    with engine.connect() as connection:
        if is_file:
            for setting in ("journal_mode = WAL", "synchronous = OFF", "cache_size = -400000"):
                connection.exec_driver_sql(f"PRAGMA {setting}")
            connection.rollback()
        with connection.begin():
            for statement, last in ((_TASKS, tasks), (_LIVENESS, tasks), (_STEPS, tasks), (_EVENTS, events)):
                whole = statement.format(series=_SERIES.format(last=last), **given)
                connection.execute(text(whole.replace(":", "\\:")))
            connection.execute(text("UPDATE counters SET value = :last WHERE name = 'task_n'"), {"last": tasks})
            heard = {"heard": int(time.time() * 1000) - age_ms}  # to fill may have taken a while
            connection.execute(text("UPDATE liveness SET agent_seen_ms = :heard, vouched_ms = :heard, sign_ms = :heard"), heard)
    with engine.begin() as connection:
        for begin in range(0, tasks, _DOCUMENTS):
            refresh(connection, range(begin + 1, begin + _DOCUMENTS + 1))
    if not is_file:  # as the server does by itself within a minute
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()
