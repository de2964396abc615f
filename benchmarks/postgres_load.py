"""What PostgreSQL costs beside SQLite, what a second replica costs, and how soon one replica hears what another was told.

`python -m benchmarks.postgres_load` prints what docs/scaling.md computes from: what a heartbeat and an event cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from benchmarks.backend_load import BATCH, BATCHES, post_batches
from benchmarks.figures import Figure, ratio
from benchmarks.programs import ROOT, Program, backend, http_program
from clawlog.protocol.ids import new_uuid

sys.path.insert(0, str(ROOT / "tests"))  # whose PostgreSQL server this is

from support.postgres_cluster import PostgresCluster

RUNS = 3
AGENTS, STEPS = 10_000, 5
TOGETHER, ROUNDS = 20, 3  # how many agents one sidecar speaks for, and how often each reports
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
    with replicas(url, number) as started:
        yield started
    cluster.give_back(url)


@contextlib.contextmanager
def replicas(url: str, number: int) -> Iterator[list[Program]]:
    """So many backends over one database."""
    with contextlib.ExitStack() as stack:
        started = []
        for _ in range(number):
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clawlog-bench-")))
            command = [sys.executable, "-m", "clawlog_backend", "--port", "0", "--port-file", str(home / "port")]
            started.append(stack.enter_context(http_program([*command, "--database", url], home, home / "port")))
        yield started


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


# ── What many agents need ───────────────────────────────────────────────────────────────────────────────────────────────


def needs() -> Iterator[str]:
    """Processor time and disk for each heartbeat and each event, with many agents behind sidecars that report for 20 each."""
    cluster = PostgresCluster()
    cluster.start()
    try:
        with _replicas(cluster, 1) as (replica,):
            for name, kind in (("task created", _created), ("heartbeat", _beaten), ("step reported", _stepped)):
                rounds = 1 if kind is _created else ROUNDS
                cpu, own, before = _cpu_s(cluster, [replica]), replica.cpu_s(), _size(cluster)
                asyncio.run(_post_small(replica.address, kind, rounds))
                number = AGENTS * rounds
                cpu_us = (_cpu_s(cluster, [replica]) - cpu) / number * 1e6
                own_us = (replica.cpu_s() - own) / number * 1e6
                size = (_size(cluster) - before) / number
                yield f"{name}: {cpu_us:.0f} µs of processor ({own_us:.0f} the replica's), {size:,.0f} bytes"
    finally:
        cluster.remove()


def _size(cluster: PostgresCluster) -> int:
    (name,) = next(iter(cluster.execute("SELECT datname FROM pg_database WHERE datname LIKE 'test%'")))
    return int(cluster.execute("SELECT pg_database_size(current_database())", name)[0][0])


async def _post_small(address: str, kind: Callable[[int], dict[str, object]], rounds: int) -> None:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def event(n: int) -> dict[str, object]:
        return kind(n) | {"event_id": new_uuid(), "task_id": f"task-{n}", "at": at}

    firsts = range(0, AGENTS, TOGETHER)
    bodies = [json.dumps({"events": list(map(event, range(n, n + TOGETHER)))}) for _ in range(rounds) for n in firsts]
    waiting = iter(bodies)
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:

        async def send() -> None:
            for body in waiting:
                async with session.post(f"{address}/api/events", data=body) as response:
                    results = (await response.json())["results"]
                    if any(result["status"] != "ok" for result in results):
                        raise RuntimeError(f"an event was refused: {results[:3]}")

        await asyncio.gather(*(send() for _ in range(16)))


def _created(n: int) -> dict[str, object]:
    steps = [{"step_id": f"{n}-{place}", "title": f"Step {place} of the work"} for place in range(STEPS)]
    return {"kind": "task_created", "title": f"Task {n}", "steps": steps, "metadata": {"host": f"host-{n // 20}", "agent": "x"}}


def _beaten(n: int) -> dict[str, object]:
    del n
    seen = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"kind": "heartbeat", "agent_seen_at": seen, "evidence": "process", "pid": 4242, "stalled": False}


def _stepped(n: int) -> dict[str, object]:
    return {"kind": "step_status", "step_id": f"{n}-0", "status": "running", "summary": "starting config generation"}


if __name__ == "__main__":
    for line in needs():
        print(line, flush=True)
