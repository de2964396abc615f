"""A question on an open connection, against an echo server on the same kind of event loop."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import commands
from benchmarks.figures import Figure, ratio
from benchmarks.programs import Caller, backend, daemon, environment, program, wait_for_socket

RUNS = 5
CALLS = 2000
_ECHO = """
import asyncio, sys
class Echo(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(data)
async def main():
    server = await asyncio.get_running_loop().create_unix_server(Echo, sys.argv[1])
    await server.serve_forever()
asyncio.run(main())
"""


def run() -> list[Figure]:
    """``interrupt.check`` from fresh knowledge."""
    check = b'{"jsonrpc":"2.0","id":1,"method":"interrupt.check","params":{"task_id":"bench","max_age_s":3600}}'
    ours, limit = [], []
    with tempfile.TemporaryDirectory(prefix="clawlog-bench-") as name, _one_processor():
        path = str(Path(name) / "echo")
        with (
            backend() as server,
            daemon(CLAWLOG_BASE_URL=server.address) as sidecar,
            program([sys.executable, "-c", _ECHO, path], environment(), Path(name), path) as echo,
        ):
            wait_for_socket(path, echo)
            with Caller(sidecar.address) as caller, Caller(path) as echoed:
                caller.call(commands.create("bench"))
                caller.call(check)  # asks the backend; from then on memory answers
                for _ in range(RUNS):
                    ours.append(_time(caller, check))
                    limit.append(_time(echoed, check))
    detail = f"{statistics.median(ours) * 1e6:.0f} µs against {statistics.median(limit) * 1e6:.0f} µs"
    return [ratio("interrupt.check round trip / echo server", ours, limit, 1.5, "<=", detail)]


@contextlib.contextmanager
def _one_processor() -> Iterator[None]:
    """Keeps this process and those that it starts on one processor: to wake another can take longer than the rest."""
    if not hasattr(os, "sched_setaffinity"):  # Linux alone
        yield
        return
    all_of_them = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(all_of_them)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_of_them)


def _time(caller: Caller, line: bytes) -> float:
    started = time.perf_counter()
    for _ in range(CALLS):
        caller.call(line)
    return (time.perf_counter() - started) / CALLS
