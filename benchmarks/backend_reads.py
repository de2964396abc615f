"""What the embedded backend's reads cost as a fleet grows: lists, searches; a stop to many held polls; a beat to a page.

``CLAWLOG_BENCH_PART=10`` measures with a tenth of the tasks, events and polls, for a quick look.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

import aiohttp

from benchmarks.figures import PART, Figure, ratio
from benchmarks.full_database import fill
from benchmarks.programs import Program, backend
from benchmarks.waiting_clients import Client, Crowd, request

FEW, MANY = (10_000 // PART, 200_000 // PART), (100_000 // PART, 2_000_000 // PART)  # tasks, events
POLLS = 4_900 // PART
_AT_ONCE = 500  # connections, so that the backend keeps up with taking them
READS = 60
SILENT_MS = 25_000
"""How long ago all that live were heard of last: silent, and not yet stale, which costs the counts of each page the most."""
_AT = "2026-01-01T00:00:00.000Z"
BEATS = 40
PAGES = {
    "the list": "limit=50",
    "the failed ones": "limit=50&status=failed",
    "those under way": "limit=50&status=active",
    "by their last change": "limit=50&sort=updated",
    "by attention": "limit=50&sort=attention",
    "a search for one": "limit=50&q=task-777-2",
    "a search for a word of all": "limit=50&q=went",
    "a search for a beginning": "limit=50&q=77",
    "a search within a filter": "limit=50&status=failed&q=summary",
}


def run() -> list[Figure]:
    """Each in turn with its bound."""
    return [*_pages(), _polls(), _beats()]


# ── Pages of a small and of a large database ────────────────────────────────────────────────────────────────────────────


def _pages() -> list[Figure]:
    with (
        tempfile.TemporaryDirectory(prefix="clawlog-bench-") as small,
        tempfile.TemporaryDirectory(prefix="clawlog-bench-") as large,
    ):
        for home, (tasks, events) in ((large, MANY), (small, FEW)):
            fill(Path(home) / "backend.db", tasks=tasks, events=events, age_ms=SILENT_MS)
        with backend(Path(small)) as few, backend(Path(large)) as many:
            return compare_pages(few.address, many.address)


def compare_pages(few: str, many: str, where: str = "") -> list[Figure]:
    """Each page of a backend with many tasks, against the same of one with few, read in turn.

    Args:
        few: The one's address.
        many: The other's.
        where: What to say of both.
    """
    took = asyncio.run(_read_in_turn(few, many))
    what = f"p50 of {MANY[0]:,} tasks with {MANY[1]:,} events / of {FEW[0]:,}{where}"
    return [
        ratio(f"{name}: {what}", [statistics.median(large_s)], [statistics.median(small_s)], 2.0, "<=",
              f"{statistics.median(large_s) * 1000:.1f} ms against {statistics.median(small_s) * 1000:.1f} ms")
        for name, (small_s, large_s) in took.items()
    ]  # fmt: skip


async def _read_in_turn(few: str, many: str) -> dict[str, tuple[list[float], list[float]]]:
    took: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in PAGES}
    async with aiohttp.ClientSession() as session:
        for number in range(READS + 5):
            for name, query in PAGES.items():
                for address, times in zip((few, many), took[name], strict=True):
                    began = time.perf_counter()
                    async with session.get(f"{address}/api/tasks?{query}") as response:
                        found = (await response.json())["tasks"]
                    if not found:
                        raise RuntimeError(f"nothing was found: {name}")
                    if number >= 5:
                        times.append(time.perf_counter() - began)
    return took


# ── A stop to many held polls ───────────────────────────────────────────────────────────────────────────────────────────


def _polls() -> Figure:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    used_s = []
    for _ in range(3):
        with backend() as server:
            used_s.append(asyncio.run(_stop(server)))
    name = f"a stop told to {POLLS:,} held polls: processor time"
    return Figure(name, statistics.median(used_s), 0.25 / PART, "<=", "s", min(used_s), max(used_s))


async def _stop(server: Program) -> float:
    crowd = await Crowd.gather(server.address, streams=0, polls=0)
    ask = crowd.person.ask
    try:
        await ask(request("POST", "/api/tasks", b'{"task_id":"t1","title":"T"}'), b'"pending"')
        cursor = (await crowd.cursor(b'{"task_ids":["t1"]}')).decode()
        poll = request("POST", "/api/control/poll", json.dumps({"task_ids": ["t1"], "wait_s": 55, "cursor": cursor}).encode())
        told = []
        while len(crowd.polls) < POLLS:
            more = (await Crowd.gather(server.address, streams=0, polls=min(_AT_ONCE, POLLS - len(crowd.polls)))).polls
            told += [client.wait_for(b"interrupt_requested", poll) for client in more]
            crowd.polls.extend(more)
            await _waiting(server, len(crowd.polls))
        before_s = server.cpu_s()
        await ask(request("POST", "/api/tasks/t1/interrupt", b'{"mode":"soft_stop"}'), b'"interrupt_id"')
        await asyncio.gather(*told)
        return server.cpu_s() - before_s
    finally:
        crowd.leave()


async def _waiting(server: Program, number: int) -> None:
    async with asyncio.timeout(30):
        while True:
            metrics = await asyncio.to_thread(lambda: urllib.request.urlopen(f"{server.address}/metrics", timeout=30).read())
            found = re.search(rb"^clawlog_backend_polls_waiting ([0-9.]+)$", metrics, re.MULTILINE)
            if found is not None and float(found.group(1)) == number:
                return
            await asyncio.sleep(0.02)


# ── A beat to an open page ──────────────────────────────────────────────────────────────────────────────────────────────


def _beats() -> Figure:
    with backend() as server:
        sizes = asyncio.run(_beat(server))
    name = "a beat told to an open page: bytes with framing, on average"
    return Figure(name, statistics.mean(sizes), 150, "<=", "B", min(sizes), max(sizes))


async def _beat(server: Program) -> list[int]:
    task_id = "0190f4a2-1b7c-7c11-8f00-000000000001"
    crowd = await Crowd.gather(server.address, streams=1, polls=0)
    page: Client = crowd.streams[0]
    try:
        facts = json.dumps({"task_id": task_id, "title": "Task", "steps": [{"title": f"Step {n}"} for n in range(5)]})
        await crowd.person.ask(request("POST", "/api/tasks", facts.encode()), b'"pending"}]}')
        page = (await Crowd.gather(server.address, streams=0, polls=1)).polls[0]
        crowd.polls.append(page)
        await page.ask(request("GET", f"/api/stream?task_ids={task_id}"), b"event: liveness")
        sizes = []
        for number in range(BEATS + 2):
            beat = {"event_id": f"b{number}", "task_id": task_id, "kind": "heartbeat", "at": _AT, "agent_seen_at": _AT,
                    "stalled": False, "evidence": "process", "pid": 4242}  # fmt: skip
            told = page.wait_for(b"\n\nid: ")
            body = json.dumps({"events": [beat]}).encode()
            await crowd.person.ask(request("POST", "/api/events", body), b'"results"')
            await told
            await asyncio.sleep(0.12)  # a flush of its own for each
            if number >= 2:  # the first says that it lives, and on what evidence
                sizes.append(len(page.received))
        return sizes
    finally:
        crowd.leave()
