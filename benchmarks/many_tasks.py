"""A million known tasks, most of them over: what they cost the daemon in memory, at its start, and while others call.

``CLAWLOG_BENCH_PART=10`` measures with a tenth of them, for a quick look: memory and start are told for each task. The file is
written as the outbox writes it, not by a million calls: those would take minutes. How long a call waits is measured while the
daemon comes to rest behind its start, and while ``daemon.status`` and pages of the list are asked for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from benchmarks import commands
from benchmarks.figures import PART, Figure
from benchmarks.programs import Caller, daemon
from benchmarks.start_up import time_to_ready
from clawlogd.model import Step, Task, TaskStatus
from clawlogd.outbox.integrity import row_checksum
from clawlogd.outbox.store import Store

KNOWN = 1_000_000 // PART
LIVE = KNOWN // 10
CALLS = 300
_STATUS = b'{"jsonrpc":"2.0","id":1,"method":"daemon.status"}'
_PAGE = b'{"jsonrpc":"2.0","id":1,"method":"task.list","params":{"active":true,"limit":100}}'
_GET = b'{"jsonrpc":"2.0","id":1,"method":"task.get","params":{"task_id":"bench-0"}}'


def run() -> list[Figure]:
    """Fills a file, starts a daemon on it and looks."""
    with TemporaryDirectory(prefix="clawlog-bench-") as name:
        home = Path(name)
        with daemon(home):
            pass  # it makes the folder
        _fill(home / "outbox.db")
        start_s = time_to_ready(str(home))
        with (
            daemon(home, start_s=60.0) as full,
            daemon() as empty,
            Caller(full.address) as caller,
            Caller(empty.address) as other,
        ):
            other.call(commands.create("bench-0"))
            per_task = (full.memory_bytes() - empty.memory_bytes()) / KNOWN
            worst_ms = 1000 * max(_took(caller, _GET) for _ in _while(8.0))
            before_s = full.cpu_s()
            used = [_took(caller, line) for _ in range(CALLS) for line in (_STATUS, _PAGE)]
            base = [_took(other, line) for _ in range(CALLS) for line in (_STATUS, _PAGE)]
            per_call_ms = 1000 * (full.cpu_s() - before_s) / len(used)
    ratio = sorted(used)[len(used) // 2] / sorted(base)[len(base) // 2]
    told = f"{KNOWN:,} known tasks, {LIVE:,} live"
    return [
        Figure(f"{told}: memory for each", per_task, 1500.0, "<=", "bytes"),
        Figure(f"{told}: time to READY for each", start_s / KNOWN * 1e6, 30.0, "<=", "µs", detail=f"{start_s:.1f} s"),
        Figure(f"{told}: the longest call behind the start", worst_ms, 50.0, "<=", "ms"),
        Figure(f"{told}: status and a page / with one task", ratio, 20.0, "<=", detail=f"{per_call_ms:.2f} ms each"),
    ]


def _while(seconds: float) -> Iterator[None]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield
        time.sleep(0.002)


def _took(caller: Caller, line: bytes) -> float:
    started = time.perf_counter()
    caller.call(line)
    return time.perf_counter() - started


def _fill(path: Path) -> None:
    store = Store(path)
    store.open()
    encode, now_ms = msgspec.json.Encoder().encode, time.time_ns() // 1_000_000

    def tasks() -> Iterator[tuple[str, bytes, int]]:
        for number in range(KNOWN):
            task = Task(f"bench-{number}", f"Benchmark {number}", "http://127.0.0.1:9", now_ms - KNOWN + number, seen_ms=now_ms)
            task = msgspec.structs.replace(task, upstream=True, status=TaskStatus.RUNNING, lease_s=3600.0)
            if number >= LIVE:
                task = msgspec.structs.replace(task, status=TaskStatus.DONE, finished=True, ended_ms=now_ms)
            body = encode(task)
            yield task.task_id, body, row_checksum(task.task_id, body)

    def steps() -> Iterator[tuple[str, str, bytes, int]]:
        for number in range(KNOWN):
            step = Step("s1", 1, "write the configuration")
            body = encode(step)
            yield f"bench-{number}", "s1", body, row_checksum(f"bench-{number}/s1", body)

    connection = store.connection
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO tasks (task_id, body, crc) VALUES (?, ?, ?)", tasks())
    connection.executemany("INSERT INTO steps (task_id, step_id, body, crc) VALUES (?, ?, ?, ?)", steps())
    connection.execute("COMMIT")
    store.close(seal=True)
