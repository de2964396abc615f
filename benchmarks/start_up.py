"""From the daemon's start to READY, against the import of the libraries that it cannot do without."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.figures import Figure, ratio
from benchmarks.programs import NOWHERE, environment

RUNS = 15


def run() -> list[Figure]:
    """Measures both in turn."""
    ours, limit = [], []
    time_to_ready()
    for _ in range(RUNS):
        ours.append(time_to_ready())
        limit.append(_imports())
    detail = f"{statistics.median(ours) * 1000:.0f} ms against {statistics.median(limit) * 1000:.0f} ms"
    return [ratio("daemon start to READY / import aiohttp, anyio, msgspec", ours, limit, 1.5, "<=", detail)]


def time_to_ready(state_dir: str | None = None) -> float:
    """Seconds until a daemon says READY to its service manager; it is ended then."""
    with (
        tempfile.TemporaryDirectory(prefix="clawlog-bench-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(f"{folder}/notify")
        manager.settimeout(60)
        env = environment(
            CLAWLOG_STATE_DIR=state_dir or f"{folder}/state",
            CLAWLOG_BASE_URL=NOWHERE,
            CLAWLOG_LOOP="asyncio",  # as the other benchmarks have it: uvloop is one more library, and not among those
            NOTIFY_SOCKET=f"{folder}/notify",
        )
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "clawlogd", "--log-level", "error"], env=env, stderr=subprocess.DEVNULL
        )
        try:
            while b"READY=1" not in manager.recv(4096):
                pass
            return time.perf_counter() - started
        finally:
            process.terminate()
            process.wait(30)


def _imports() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import aiohttp, anyio, msgspec"], env=environment(), check=True)
    return time.perf_counter() - started
