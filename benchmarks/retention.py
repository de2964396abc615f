"""How long writers wait while the backend removes a long past: every event is old, and all of them go.

``CLAWLOG_BENCH_PART=10`` measures with a tenth of it, for a quick look.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path

import aiohttp

from benchmarks.figures import PART, Figure
from benchmarks.full_database import fill
from benchmarks.programs import backend

TASKS, EVENTS = 10_000 // PART, 1_000_000 // PART
AGE_MS = 60 * 86_400_000  # twice as long as tasks are kept
LIMIT_S = 300.0
_PAUSE_S = 0.02


def run() -> list[Figure]:
    """The longest wait of a writer from the start until everything is removed; beside it, as many writes once all is done."""
    with tempfile.TemporaryDirectory(prefix="clawlog-bench-") as name:
        home = Path(name)
        fill(home / "backend.db", tasks=TASKS, events=EVENTS, age_ms=AGE_MS)
        with backend(home) as server:
            began = time.perf_counter()
            took_s = asyncio.run(_write_until_removed(server.address))
            lasted_s = time.perf_counter() - began
            alone_s = asyncio.run(_write_alone(server.address, len(took_s)))
    detail = f"{_waits(took_s)}, {len(took_s)} writes, all within {lasted_s:.0f} s; with nothing to remove {_waits(alone_s)}"
    name = f"the longest wait of a writer while {EVENTS:,} old events are removed"
    return [Figure(name, max(took_s) * 1000, 100, "<=", " ms", min(took_s) * 1000, max(took_s) * 1000, detail)]


def _waits(took_s: list[float]) -> str:
    cuts = statistics.quantiles(took_s, n=100)
    return f"p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms, longest {max(took_s) * 1000:.0f} ms"


async def _write_until_removed(address: str) -> list[float]:
    took_s: list[float] = []
    deadline = time.monotonic() + LIMIT_S
    async with _session() as session:
        while len(took_s) % 50 or await asyncio.to_thread(_kept, address) > len(took_s):
            if time.monotonic() > deadline:
                raise RuntimeError(f"not everything was removed within {LIMIT_S:.0f} s")
            took_s.append(await _write(session, address, f"new-{len(took_s)}"))
            await asyncio.sleep(_PAUSE_S)
    return took_s


async def _write_alone(address: str, number: int) -> list[float]:
    took_s: list[float] = []
    async with _session() as session:
        for n in range(number):
            took_s.append(await _write(session, address, f"alone-{n}"))
            await asyncio.sleep(_PAUSE_S)
    return took_s


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(headers={"Content-Type": "application/json"})


async def _write(session: aiohttp.ClientSession, address: str, task_id: str) -> float:
    """How long one write takes, in seconds."""
    event = {"event_id": str(uuid.uuid4()), "task_id": task_id, "kind": "task_created",
             "at": "2026-01-01T00:00:00.000Z", "title": "New"}  # fmt: skip
    began = time.perf_counter()
    async with session.post(f"{address}/api/events", data=json.dumps({"events": [event]})) as response:
        response.raise_for_status()
        await response.read()
    return time.perf_counter() - began


def _kept(address: str) -> int:
    with urllib.request.urlopen(f"{address}/api/tasks?limit=1", timeout=30) as answer:
        kept: int = json.load(answer)["counts"]["all"]
        return kept
