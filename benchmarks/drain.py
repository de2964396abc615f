"""How fast a backlog reaches the backend, against a bare aiohttp loop that posts the same batches, prepared beforehand."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from benchmarks import commands
from benchmarks.figures import Figure, ratio
from benchmarks.programs import Caller, backend, daemon, free_port

TASKS = 100
EVENTS = 50_000
RUNS = 2
_BATCH = 1000


def run() -> list[Figure]:
    """Fills an outbox while the backend is away, then lets it drain; the same events are posted bare to a fresh backend."""
    ours, limit = [], []
    for _ in range(RUNS):
        with TemporaryDirectory(prefix="clawlog-bench-") as name:
            home, port = Path(name), free_port()
            address = f"http://127.0.0.1:{port}"
            batches = _fill(home, address)
            with backend() as server:
                limit.append(EVENTS / asyncio.run(_post(server.address, batches)))
            with backend(port=port):
                ours.append(EVENTS / _drain(home, address))
    detail = f"{statistics.median(ours):,.0f}/s against {statistics.median(limit):,.0f}/s"
    return [ratio(f"drain of {EVENTS:,} events over {TASKS} tasks / bare aiohttp loop", ours, limit, 0.7, ">=", detail)]


def _fill(home: Path, address: str) -> list[bytes]:
    with daemon(home, CLAWLOG_BASE_URL=address) as sidecar, Caller(sidecar.address) as caller:
        for number in range(TASKS):
            caller.call(commands.create(f"bench{number}"))
        each = (EVENTS - TASKS) // TASKS
        for number in range(TASKS):
            caller.pipeline(commands.updates(f"bench{number}", each))
    with sqlite3.connect(home / "outbox.db") as outbox:
        bodies = [body for (body,) in outbox.execute("SELECT body FROM events WHERE state = 0 ORDER BY seq")]
    outbox.close()
    return [b'{"events":[' + b",".join(bodies[start : start + _BATCH]) + b"]}" for start in range(0, len(bodies), _BATCH)]


async def _post(address: str, batches: list[bytes]) -> float:
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
        started = time.perf_counter()
        for batch in batches:
            async with session.post(f"{address}/api/events", data=batch) as response:
                results = (await response.json())["results"]
                if any(result["status"] != "ok" for result in results):
                    raise RuntimeError(f"the backend refused an event: {results[:3]}")
        return time.perf_counter() - started


def _drain(home: Path, address: str) -> float:
    with daemon(home, CLAWLOG_BASE_URL=address) as sidecar, Caller(sidecar.address) as caller:
        started = time.perf_counter()
        flushed = caller.call(b'{"jsonrpc":"2.0","id":1,"method":"daemon.flush","params":{"timeout_s":120}}')
        if b'"flushed":true' not in flushed:
            raise RuntimeError(f"the backlog did not drain: {flushed.decode()}")
        return time.perf_counter() - started
