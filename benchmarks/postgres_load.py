"""What PostgreSQL costs beside SQLite, what a second replica costs, and how soon one replica hears what another was told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import aiohttp

from benchmarks.backend_load import BATCH, BATCHES, post_batches
from benchmarks.figures import Figure, ratio
from benchmarks.programs import ROOT, Program, backend, http_program

sys.path.insert(0, str(ROOT / "tests"))  # whose PostgreSQL server this is

from support.postgres_cluster import PostgresCluster

RUNS = 3
STOPS = 100


def run() -> list[Figure]:
    """All three, on one server."""
    cluster = PostgresCluster()
    cluster.start()
    try:
        return [_beside_sqlite(cluster), _second_replica(cluster), _stop_elsewhere(cluster)]
    finally:
        cluster.remove()


@contextlib.contextmanager
def _replicas(cluster: PostgresCluster, number: int) -> Iterator[list[Program]]:
    url = cluster.database()
    with contextlib.ExitStack() as stack:
        started = []
        for _ in range(number):
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clawlog-bench-")))
            command = [sys.executable, "-m", "clawlog_backend", "--port", "0", "--port-file", str(home / "port")]
            started.append(stack.enter_context(http_program([*command, "--database", url], home, home / "port")))
        yield started
    cluster.give_back(url)


def _beside_sqlite(cluster: PostgresCluster) -> Figure:
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(RUNS):
        with _replicas(cluster, 1) as (replica,):
            rates[0].append(asyncio.run(post_batches(replica.address, create=True)))
        with tempfile.TemporaryDirectory(prefix="clawlog-bench-") as name, backend(Path(name)) as server:
            rates[1].append(asyncio.run(post_batches(server.address, create=True)))
    detail = f"{statistics.median(rates[0]):,.0f}/s against {statistics.median(rates[1]):,.0f}/s"
    return ratio(f"PostgreSQL, one replica, batches of {BATCH:,} / SQLite", *rates, 0.9, ">=", detail)


def _second_replica(cluster: PostgresCluster) -> Figure:
    costs: tuple[list[float], list[float]] = ([], [])
    for _ in range(RUNS):
        for mine, number in zip(costs, (2, 1), strict=True):
            with _replicas(cluster, number) as replicas:
                mine.append(asyncio.run(_cpu_per_event(cluster, replicas)))
    detail = f"{statistics.median(costs[0]) * 1e6:.0f} µs against {statistics.median(costs[1]) * 1e6:.0f} µs, with the server's"
    return ratio("processor time per event, two replicas / one", *costs, 1.15, "<=", detail)


async def _cpu_per_event(cluster: PostgresCluster, replicas: Sequence[Program]) -> float:
    """Two clients with tasks of their own: each at a replica of its own where there are two."""
    addresses = [replicas[place % len(replicas)].address for place in range(2)]
    began = _cpu_s(cluster, replicas)
    await asyncio.gather(
        *(post_batches(address, create=True, prefix=f"client{place}-") for place, address in enumerate(addresses))
    )
    return (_cpu_s(cluster, replicas) - began) / (2 * BATCH * BATCHES)


def _cpu_s(cluster: PostgresCluster, replicas: Sequence[Program]) -> float:
    """The processor time that the replicas and the server's processes have used, those that ended included."""
    server = cluster.process_id
    used = sum(replica.cpu_s() for replica in replicas)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == server or stat.parent.name == str(server):
                ticks = fields[11:15] if stat.parent.name == str(server) else fields[11:13]
                used += sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return used


def _stop_elsewhere(cluster: PostgresCluster) -> Figure:
    with _replicas(cluster, 2) as (asked, polled):
        took_s = asyncio.run(_hear_stops(asked.address, polled.address))
    cuts = statistics.quantiles(took_s, n=100)
    detail = f"p99 {cuts[98] * 1000:.0f} ms, {STOPS} stops"
    name = "a stop asked for at one replica, until a poll at another is answered, p50"
    return Figure(name, cuts[49] * 1000, 100, "<=", " ms", min(took_s) * 1000, max(took_s) * 1000, detail)


async def _hear_stops(asked: str, polled: str) -> list[float]:
    took_s = []
    async with aiohttp.ClientSession() as session:

        async def post(address: str, path: str, body: object) -> dict[str, object]:
            headers = {"Idempotency-Key": str(uuid.uuid4())}
            async with session.post(f"{address}/api/{path}", json=body, headers=headers) as response:
                response.raise_for_status()
                answer: dict[str, object] = await response.json()
                return answer

        for number in range(STOPS):
            task = (await post(asked, "tasks", {"title": "T", "steps": [{"title": "S"}]}))["task_id"]
            first = await post(polled, "control/poll", {"task_ids": [task]})
            waiting = {"task_ids": [task], "cursor": first["cursor"], "wait_s": 20}
            poll = asyncio.create_task(post(polled, "control/poll", waiting))
            await asyncio.sleep(0.05 + number % 10 / 200)  # it waits, and the looks' rhythm is not ours
            began = time.perf_counter()
            await post(asked, f"tasks/{task}/interrupt", {"reason": "bench"})
            if not (await poll)["controls"]:
                raise RuntimeError("the stop was not heard")
            took_s.append(time.perf_counter() - began)
    return took_s
