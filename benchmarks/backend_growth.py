"""What the embedded backend bears as a fleet grows: events over many tasks against few, and the disk of an agent's day.

``CLAWLOG_BENCH_PART=10`` measures with a tenth of the tasks and of the day, for a quick look.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import Connection

from benchmarks.figures import PART, Figure, ratio
from benchmarks.programs import backend
from clawlog.protocol.ids import new_uuid
from clawlog_backend.backend import Backend
from clawlog_backend.domain.events import batch_event
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.settings import Settings

FEW, MANY = 100, 100_000 // PART
BATCH, BATCHES = 1_000, 60
RUNS = 3
AGENTS, DAY_S, BEAT_S = 50, 86_400 // PART, 15
_AT = "2026-01-01T00:00:00.000Z"


def run() -> list[Figure]:
    """Events over many tasks, and the disk of a day."""
    return [*_over_many(), _disk()]


# ── Events over many tasks ──────────────────────────────────────────────────────────────────────────────────────────────


def _over_many() -> list[Figure]:
    rates: dict[str, tuple[list[float], list[float]]] = {"heartbeats": ([], []), "reports of steps": ([], [])}
    for _ in range(RUNS):
        for place, tasks in enumerate((MANY, FEW)):
            with backend() as server:
                measured = asyncio.run(_rates(server.address, tasks))
            for kind, rate in measured.items():
                rates[kind][place].append(rate)
    return [
        ratio(f"{kind} a second in batches of {BATCH:,}, over {MANY:,} tasks in turn / over {FEW}", many, few, 0.6, ">=",
              f"{statistics.median(many):,.0f}/s against {statistics.median(few):,.0f}/s")
        for kind, (many, few) in rates.items()
    ]  # fmt: skip


async def _rates(address: str, tasks: int) -> dict[str, float]:
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:

        async def post(bodies: list[bytes]) -> float:
            began = time.perf_counter()
            for body in bodies:
                async with session.post(f"{address}/api/events", data=body) as response:
                    if (await response.read()).count(b'"ok"') != BATCH and tasks >= BATCH:
                        raise RuntimeError("an event was refused")
            return len(bodies) * BATCH / (time.perf_counter() - began)

        numbers = list(range(tasks))
        await post([_body("task_created", numbers[first : first + BATCH]) for first in range(0, tasks, BATCH)])
        found = {}
        for name, kind in (("heartbeats", "heartbeat"), ("reports of steps", "step_status")):
            turns = _in_turn(tasks)
            # The first of each task is told apart from those that only say that all goes on.
            await post([_body(kind, [next(turns) for _ in range(BATCH)]) for _ in range(max(1, tasks // BATCH))])
            found[name] = await post([_body(kind, [next(turns) for _ in range(BATCH)]) for _ in range(BATCHES)])
        return found


def _in_turn(tasks: int) -> Iterator[int]:
    while True:
        yield from range(tasks)


def _body(kind: str, numbers: list[int]) -> bytes:
    own = {
        "task_created": {"title": "Task", "steps": [{"step_id": f"s{k}", "title": "Step"} for k in range(3)]},
        "heartbeat": {"agent_seen_at": _AT, "evidence": "process", "stalled": False, "pid": 4242},
        "step_status": {"step_id": "s0", "status": "running", "summary": "starting config generation"},
    }[kind]
    common = ({"event_id": new_uuid(), "task_id": f"t{n}", "kind": kind, "at": _AT} for n in numbers)
    return json.dumps({"events": [each | own for each in common]}).encode()


# ── The disk of a day ───────────────────────────────────────────────────────────────────────────────────────────────────


def _disk() -> Figure:
    with tempfile.TemporaryDirectory(prefix="clawlog-bench-") as name:
        before, after = asyncio.run(_day(Path(name) / "backend.db"))
    taken = (after - before) / AGENTS / DAY_S * 86_400 / 1_000_000
    what = f"MB on disk for an agent and day, a heartbeat every {BEAT_S} s ({AGENTS} agents, after pruning)"
    return Figure(what, taken, 0.15, "<=", "MB", detail=f"{after / 1_000_000:.1f} MB in all")


async def _day(path: Path) -> tuple[int, int]:
    """Lives through a day by a clock of its own; the file's size at its begin and its end, the write-ahead log emptied."""
    now = UtcMs.now()
    settings = Settings(database=str(path), port=0)
    async with Backend(settings, clock=lambda: now) as lived:
        for task in lived._running:  # noqa: SLF001 - what it does as time passes is done below, by that clock
            task.cancel()
        created = [
            {"event_id": new_uuid(), "task_id": f"agent-{n}", "kind": "task_created", "at": now.rfc3339(), "title": f"{n}",
             "steps": [{"title": f"Step {k}"} for k in range(5)]} for n in range(AGENTS)
        ]  # fmt: skip
        await lived.writer.submit([batch_event.validate_python(event) for event in created])
        before = await _size(lived, path)
        for tick in range(DAY_S // BEAT_S):
            now = now.plus(ms=BEAT_S * 1_000)
            at = now.rfc3339()
            beats = [
                {"event_id": new_uuid(), "task_id": f"agent-{n}", "kind": "heartbeat", "at": at, "agent_seen_at": at,
                 "evidence": "process", "stalled": False, "pid": 4_000 + n} for n in range(AGENTS)
            ]  # fmt: skip
            await lived.writer.submit([batch_event.validate_python(beat) for beat in beats])
            await lived.maintenance.sweep()
            if tick % 4 == 0:
                await lived.maintenance.prune_changes()
        await lived.maintenance.remove_old_heartbeats()
        return before, await _size(lived, path)


async def _size(lived: Backend, path: Path) -> int:
    def empty_log(connection: Connection) -> int:
        driver: Any = connection.connection.driver_connection  # at which no transaction was begun
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.stat().st_size

    return await lived.database.read(empty_log)
