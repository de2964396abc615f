"""Ten thousand live tasks: what their beats and their watch for stops cost the daemon and the backend.

The processor time is held against a bare aiohttp loop that posts as many beats in as many requests meanwhile, from prepared
records, and reads the answers. It knows no tasks, judges nobody alive, and watches for no stops. What a daemon needs with one
task, to look about itself, is not counted: see ``idle``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from benchmarks.figures import Figure
from benchmarks.idle import bare_memory_bytes
from benchmarks.programs import Caller, backend, daemon, environment

TASKS = 10_000
WATCHED_S = 30.0  # two rounds of beats
_INTERVAL_S = 15.0
_BARE = """
import asyncio, aiohttp, sys, time
address, tasks, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
at, part = "2026-01-01T00:00:00.000Z", -(-tasks // 15)
beat = lambda n: {"event_id": f"00000000-0000-7000-8000-{n:012d}", "task_id": f"fleet{n}", "kind": "heartbeat", "at": at,
                  "agent_seen_at": at, "evidence": "command", "stalled": False}
batches = [{"events": [beat(n) for n in range(start, min(start + part, tasks))]} for start in range(0, tasks, part)]
async def main():
    async with aiohttp.ClientSession() as session:
        before, due = time.process_time(), time.monotonic()
        for second in range(round(seconds)):
            batch = batches[second % 15]
            async with session.post(f"{address}/api/events", json=batch) as response:
                assert len((await response.json())["results"]) == len(batch["events"])
            due += 1
            await asyncio.sleep(due - time.monotonic())
        print(time.process_time() - before)
asyncio.run(main())
"""


def run() -> list[Figure]:
    """Watches the fleet for two rounds of its beats."""
    with backend() as server, backend() as other:
        command = [sys.executable, "-c", _BARE, other.address, str(TASKS), str(WATCHED_S)]
        with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) as bare, ThreadPoolExecutor(1) as beside:
            alone = beside.submit(measure, 1, WATCHED_S, other.address)
            used_s, memory, requests = measure(TASKS, WATCHED_S, server.address)
            alone_s, bare_s = alone.result()[0], float(bare.communicate()[0])
    above = (memory - bare_memory_bytes()) / 2**20
    name = f"{TASKS:,} live tasks over {WATCHED_S:.0f} s"
    return [
        Figure(
            f"{name}: processor time beyond that of one task / bare loop",
            (used_s - alone_s) / bare_s,
            3.0,
            "<=",
            detail=f"{used_s:.2f} s, {alone_s:.2f} s with one task, {bare_s:.2f} s",
        ),
        Figure(f"{name}: memory above bare imports", above, 100.0, "<=", "MiB"),
        Figure(f"{name}: requests to the backend", requests, 1.5, "<=", "/s"),
    ]


def measure(tasks: int, watched_s: float, address: str) -> tuple[float, int, float]:
    """Processor seconds, memory in bytes and requests per second of a daemon with that many live tasks."""
    with daemon(CLAWLOG_BASE_URL=address, CLAWLOG_HEARTBEAT_LEASE_S="3600") as sidecar, Caller(sidecar.address) as caller:
        caller.pipeline(
            [
                json.dumps(
                    {
                        "jsonrpc": "2.0",
                        "id": n,
                        "method": "task.create",
                        "params": {"title": f"Fleet {n}", "task_id": f"fleet{n}"},
                    }
                ).encode()
                for n in range(tasks)
            ]
        )
        caller.call(b'{"jsonrpc":"2.0","id":1,"method":"daemon.flush","params":{"timeout_s":120}}')
        time.sleep(_INTERVAL_S)  # the first round of beats, and the first looks for stops
        before_s, before_requests = sidecar.cpu_s(), _requests(address)
        time.sleep(watched_s)
        return sidecar.cpu_s() - before_s, sidecar.memory_bytes(), (_requests(address) - before_requests) / watched_s


def _requests(address: str) -> float:
    with urllib.request.urlopen(f"{address}/metrics", timeout=30) as response:
        text = response.read().decode()
    return sum(
        float(value) for value in re.findall(r"^clawlog\w*_requests_total(?:\{[^}]*\})? ([0-9.e+]+)$", text, re.MULTILINE)
    )
