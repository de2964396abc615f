"""What a backend's lists, filters and searches cost on PostgreSQL as a fleet grows; as `backend_reads` asks of SQLite.

``CLAWLOG_BENCH_PART=10`` measures with a tenth of the tasks and events, for a quick look. The server's folder, in memory where
there is room, grows to 1.1 GB.
"""

from __future__ import annotations

from benchmarks.backend_reads import FEW, MANY, SILENT_MS, compare_pages
from benchmarks.figures import Figure
from benchmarks.full_database import fill
from benchmarks.postgres_load import PostgresCluster, replicas


def run() -> list[Figure]:
    """Each page with its bound."""
    cluster = PostgresCluster()
    cluster.start()
    try:
        urls = [cluster.database() for _ in range(2)]
        for url, (tasks, events) in zip(urls, (MANY, FEW), strict=True):
            fill(url, tasks=tasks, events=events, age_ms=SILENT_MS)
        with replicas(urls[0], 1) as (many,), replicas(urls[1], 1) as (few,):
            return compare_pages(few.address, many.address, ", on PostgreSQL")
    finally:
        cluster.remove()
