"""What a daemon with one quiet task costs: processor time over a quarter of a minute, and memory against its bare libraries."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from benchmarks import commands
from benchmarks.figures import Figure
from benchmarks.programs import Caller, backend, daemon, environment

WATCHED_S = 15.0
_BARE = """
import aiohttp, anyio, msgspec, sqlite3, zmq
print(open("/proc/self/statm").read().split()[1], flush=True)
input()
"""


def run() -> list[Figure]:
    """One live task, its beats and its watch for stops, left alone."""
    with backend() as server, daemon(CLAWLOG_BASE_URL=server.address) as sidecar, Caller(sidecar.address) as caller:
        caller.call(commands.create("bench"))
        caller.call(b'{"jsonrpc":"2.0","id":1,"method":"daemon.flush","params":{}}')
        before_s = sidecar.cpu_s()
        time.sleep(WATCHED_S)
        used_s = sidecar.cpu_s() - before_s
        memory = sidecar.memory_bytes()
    bare = bare_memory_bytes()
    detail = f"{memory / 2**20:.1f} MiB against {bare / 2**20:.1f} MiB"
    return [
        Figure(f"one idle task over {WATCHED_S:.0f} s: processor time", used_s, 0.06, "<=", "s"),
        Figure("one idle task: memory / bare imports", memory / bare, 1.3, "<=", detail=detail),
    ]


def bare_memory_bytes() -> int:
    """The memory of a process that only imports the daemon's libraries."""
    process = subprocess.Popen([sys.executable, "-c", _BARE], env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * 4096
    finally:
        process.communicate(b"\n")
