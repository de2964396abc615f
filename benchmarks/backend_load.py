"""What the embedded backend bears, against bare FastAPI routes on SQLite that do nothing else (``bare_backend.py``).

Events taken in batches, pages of a long list with a long past, and a change on its way to a crowd that waits. The bare routes
check, derive and remember nothing, so a ratio says what all of that costs. ``CLAWLOG_BENCH_PART=10`` has a tenth of the past.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import resource
import statistics
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks.figures import PART, Figure, ratio
from benchmarks.full_database import fill
from benchmarks.programs import ROOT, Program, backend, http_program, wait_until
from benchmarks.waiting_clients import Crowd, Latencies, request

RUNS = 3
BATCHES = 20
BATCH = 1_000
TASKS, EVENTS = 10_000, 1_000_000 // PART
READS = 200
PAGE = 50
STREAMS, POLLS = 500, 1_000
CHANGES = 5
_WARM_UP = 1


def run() -> list[Figure]:
    """All three, each in turn with its limit."""
    return [*_taken(), *_read(), *_told()]


@contextlib.contextmanager
def _bare(home: Path) -> Iterator[Program]:
    command = [sys.executable, str(ROOT / "benchmarks" / "bare_backend.py"), str(home / "backend.db"), str(home / "bare-port")]
    with http_program(command, home, home / "bare-port") as running:
        yield running


@contextlib.contextmanager
def _empty(which: Callable[[Path], contextlib.AbstractContextManager[Program]]) -> Iterator[Program]:
    with tempfile.TemporaryDirectory(prefix="clawlog-bench-") as name, which(Path(name)) as running:
        yield running


# ── Events in batches ───────────────────────────────────────────────────────────────────────────────────────────────────


def _taken() -> list[Figure]:
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(RUNS):
        for mine, which in zip(rates, (backend, _bare), strict=True):
            with _empty(which) as server:
                mine.append(asyncio.run(post_batches(server.address, create=which is backend)))
    detail = f"{statistics.median(rates[0]):,.0f}/s against {statistics.median(rates[1]):,.0f}/s"
    return [ratio(f"events taken in batches of {BATCH:,} / bare insert of the same", *rates, 0.2, ">=", detail)]


async def post_batches(address: str, *, create: bool, prefix: str = "t") -> float:
    """Send batches one after the other; returns how many events a second were taken.

    Args:
        address: Where.
        create: Whether the tasks have to be created first.
        prefix: What the tasks' ids begin with.
    """
    at = "2026-01-01T00:00:00.000Z"
    tasks = [
        {"event_id": str(uuid.uuid4()), "task_id": f"{prefix}{n}", "kind": "task_created", "at": at, "title": f"Task {n}",
         "steps": [{"step_id": f"s{n}", "title": "Step"}]} for n in range(100)
    ]  # fmt: skip
    batches = [
        json.dumps({"events": [
            {"event_id": str(uuid.uuid4()), "task_id": f"{prefix}{n % 100}", "kind": "step_status", "at": at,
             "step_id": f"s{n % 100}", "status": "running", "summary": "starting config generation"} for n in range(BATCH)
        ]}).encode() for _ in range(BATCHES)
    ]  # fmt: skip
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:

        async def post(body: bytes) -> None:
            async with session.post(f"{address}/api/events", data=body) as response:
                results = (await response.json())["results"]
                if any(result["status"] != "ok" for result in results):
                    raise RuntimeError(f"an event was refused: {results[:3]}")

        if create:
            await post(json.dumps({"events": tasks}).encode())
        started = time.perf_counter()
        for batch in batches:
            await post(batch)
        return BATCHES * BATCH / (time.perf_counter() - started)


# ── Pages of a long list ────────────────────────────────────────────────────────────────────────────────────────────────


def _read() -> list[Figure]:
    p50: tuple[list[float], list[float]] = ([], [])
    p99: tuple[list[float], list[float]] = ([], [])
    memory = 0
    with tempfile.TemporaryDirectory(prefix="clawlog-bench-") as name:
        home = Path(name)
        fill(home / "backend.db", tasks=TASKS, events=EVENTS)
        for _ in range(RUNS):
            for of_which, which in enumerate((backend, _bare)):
                with which(home) as server:
                    took_s = asyncio.run(_pages(server.address))
                    memory = max(memory, server.memory_bytes()) if which is backend else memory
                cuts = statistics.quantiles(took_s, n=100)
                p50[of_which].append(cuts[49])
                p99[of_which].append(cuts[98])
    what = f"a page of {PAGE} of {TASKS:,} tasks with {EVENTS:,} events"
    detail = f"the backend's memory {memory / 2**20:.0f} MiB"
    return [
        ratio(f"{what}, p50 / bare select of the same", *p50, 4.0, "<=", f"{_times(*p50)}; {detail}"),
        ratio(f"{what}, p99 / bare select of the same", *p99, 4.0, "<=", _times(*p99)),
    ]


async def _pages(address: str) -> list[float]:
    took_s = []
    async with aiohttp.ClientSession() as session:
        for number in range(READS + 20):
            began = time.perf_counter()
            async with session.get(f"{address}/api/tasks?limit={PAGE}") as response:
                if len((await response.json())["tasks"]) != PAGE:
                    raise RuntimeError("the page is not whole")
            if number >= 20:
                took_s.append(time.perf_counter() - began)
    return took_s


# ── A change on its way to a crowd ──────────────────────────────────────────────────────────────────────────────────────


@dataclass
class _Told:
    """What was measured of one server."""

    streams_p50: list[float] = field(default_factory=list)
    streams_p99: list[float] = field(default_factory=list)
    polls_p50: list[float] = field(default_factory=list)
    polls_p99: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    grown: list[float] = field(default_factory=list)

    def add(self, latencies: Latencies, memory: int, grown: int) -> None:
        for kind in ("streams", "polls"):
            cuts = statistics.quantiles(getattr(latencies, kind), n=100)
            getattr(self, f"{kind}_p50").append(cuts[49])
            getattr(self, f"{kind}_p99").append(cuts[98])
        self.memory.append(memory)
        self.grown.append(grown)


def _told() -> list[Figure]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ours, limit = _Told(), _Told()
    for _ in range(RUNS):
        with _empty(backend) as server:
            samples = asyncio.run(_crowd(server, ours, _OurChanges(server)))
        with _empty(_bare) as server:
            asyncio.run(_crowd(server, limit, _BareChanges(server, *samples)))
    crowd = f"{STREAMS} streams and {POLLS:,} long polls wait"
    each = f"{statistics.median(ours.grown) / 1024:.0f} KiB against {statistics.median(limit.grown) / 1024:.0f} KiB a client"
    mib = f"{statistics.median(ours.memory) / 2**20:.0f} MiB against {statistics.median(limit.memory) / 2**20:.0f} MiB; {each}"
    reached = f"{crowd}: a stop reaches the {{}}, {{}} / bare fan-out of the same"
    return [
        *(
            ratio(reached.format(kind, cut), mine, bare, 3.0, "<=", _times(mine, bare))
            for kind, cut, mine, bare in (
                ("streams", "p50", ours.streams_p50, limit.streams_p50),
                ("streams", "p99", ours.streams_p99, limit.streams_p99),
                ("polls", "p50", ours.polls_p50, limit.polls_p50),
                ("polls", "p99", ours.polls_p99, limit.polls_p99),
            )
        ),
        ratio(f"{crowd}: memory / bare", ours.memory, limit.memory, 2.0, "<=", mib),
    ]  # fmt: skip


class _OurChanges:
    """Stops that a person asks for, one task after the other."""

    def __init__(self, server: Program) -> None:
        self._server = server
        self.poll = json.dumps({"task_ids": [_task(n) for n in range(_WARM_UP + CHANGES)], "wait_s": 55, "cursor": ""})

    async def prepare(self, crowd: Crowd) -> None:
        for n in range(_WARM_UP + CHANGES):
            task = {"task_id": _task(n), "title": f"Task {n}", "steps": [{"title": f"Step {k}"} for k in range(3)]}
            await crowd.person.ask(request("POST", "/api/tasks", json.dumps(task).encode()), b'"pending"}]}')

    async def next_poll(self, crowd: Crowd) -> bytes:
        every = json.loads(self.poll) | {"wait_s": 0, "cursor": None}
        cursor = await crowd.cursor(json.dumps(every).encode())
        return request("POST", "/api/control/poll", json.dumps(json.loads(self.poll) | {"cursor": cursor.decode()}).encode())

    def waiting(self) -> bool:
        text = _get(self._server.address + "/metrics")
        found = dict(re.findall(r"^clawlog_backend_(streams|polls_waiting) ([0-9.]+)$", text, re.MULTILINE))
        return (float(found["streams"]), float(found["polls_waiting"])) == (STREAMS, POLLS)

    def change(self, number: int) -> tuple[bytes, bytes]:
        body = b'{"mode":"soft_stop","reason":"enough","requested_by":"Mei"}'
        return request("POST", f"/api/tasks/{_task(number)}/interrupt", body), b'"interrupt_id"'


class _BareChanges:
    """The bytes that the backend sent, sent again; the polls', as a body without its head."""

    def __init__(self, server: Program, stream: bytes, poll: bytes) -> None:
        self._server = server
        self._stream, self._poll = stream.decode(), poll.partition(b"\r\n\r\n")[2].decode()

    async def prepare(self, _crowd: Crowd) -> None:
        """Nothing to prepare."""

    async def next_poll(self, _crowd: Crowd) -> bytes:
        body = {"task_ids": [_task(n) for n in range(_WARM_UP + CHANGES)], "wait_s": 55, "cursor": "0" * 40}
        return request("POST", "/api/control/poll", json.dumps(body).encode())

    def waiting(self) -> bool:
        return bool(json.loads(_get(self._server.address + "/waiting")) == {"streams": STREAMS, "polls": POLLS})

    def change(self, number: int) -> tuple[bytes, bytes]:
        said = {"id": str(number)}
        for name, text in (("stream", self._stream), ("poll", self._poll)):
            said[name] = re.sub(r"crowd-\d+-", _task(number), text)
        return request("POST", "/change", json.dumps(said).encode()), b"204"


async def _crowd(server: Program, told: _Told, changes: _OurChanges | _BareChanges) -> tuple[bytes, bytes]:
    """Measures how a few changes, one after the other, reach everyone. Returns what one stream and one poll was sent."""
    before = server.memory_bytes()
    crowd = await Crowd.gather(server.address, streams=STREAMS, polls=POLLS)
    latencies = Latencies()
    try:
        await changes.prepare(crowd)
        for number in range(_WARM_UP + CHANGES):
            everyone = crowd.learn(_task(number).encode(), await changes.next_poll(crowd))
            await asyncio.to_thread(wait_until, changes.waiting, server)
            memory = server.memory_bytes()
            ask, answer = changes.change(number)
            began = time.perf_counter()
            asked = crowd.person.wait_for(answer, ask)
            async with asyncio.timeout(30):
                times = await everyone
                await asked
            if number >= _WARM_UP:
                latencies.streams.extend(moment - began for moment in times[:STREAMS])
                latencies.polls.extend(moment - began for moment in times[STREAMS:])
        told.add(latencies, memory, (memory - before) // (STREAMS + POLLS))
        return crowd.streams[0].received, crowd.polls[0].received
    finally:
        crowd.leave()


def _task(number: int) -> str:
    return f"crowd-{number}-"


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as response:
        return str(response.read().decode())


def _times(ours: list[float], limit: list[float]) -> str:
    return f"{statistics.median(ours) * 1000:.1f} ms against {statistics.median(limit) * 1000:.1f} ms"
