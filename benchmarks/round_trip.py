"""A question on an open connection, against a server on the same event loop that reads the same line, and answers the same."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from benchmarks import commands
from benchmarks.figures import Figure, ratio
from benchmarks.programs import Caller, backend, daemon, environment, program, wait_for_socket

RUNS = 5
CALLS = 2000
LOOPS = ("asyncio", "uvloop")
_ECHO = """
import asyncio, importlib, sys, msgspec
class Request(msgspec.Struct):
    jsonrpc: str
    id: int
    method: str
    params: dict[str, str | int]
class Result(msgspec.Struct):
    state: str
    interrupt_requested: bool
    interrupt_id: str | None = None
    mode: str | None = None
    reason: str | None = None
    requested_at: str | None = None
    age_s: float | None = None
decode, encode = msgspec.json.Decoder(Request).decode, msgspec.json.Encoder().encode
class Echo(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data):
        request = decode(data)
        result = encode(Result("none", False, age_s=0.123))
        self.transport.write(b'{"jsonrpc":"2.0","id":%d,"result":%s}\\n' % (request.id, result))
async def main():
    server = await asyncio.get_running_loop().create_unix_server(Echo, sys.argv[1])
    await server.serve_forever()
factory = None if sys.argv[2] == "asyncio" else importlib.import_module(sys.argv[2]).new_event_loop
with asyncio.Runner(loop_factory=factory) as runner: runner.run(main())
"""


def run() -> list[Figure]:
    """``interrupt.check`` from fresh knowledge, on each event loop."""
    return [_measure(loop) for loop in LOOPS if find_spec(loop)]


def _measure(loop: str) -> Figure:
    check = b'{"jsonrpc":"2.0","id":1,"method":"interrupt.check","params":{"task_id":"bench","max_age_s":3600}}'
    ours, limit = [], []
    with tempfile.TemporaryDirectory(prefix="clawlog-bench-") as name, _one_processor():
        path = str(Path(name) / "echo")
        with (
            backend() as server,
            daemon(CLAWLOG_BASE_URL=server.address, CLAWLOG_LOOP=loop) as sidecar,
            program([sys.executable, "-c", _ECHO, path, loop], environment(), Path(name), path) as echo,
        ):
            wait_for_socket(path, echo)
            with Caller(sidecar.address) as caller, Caller(path) as echoed:
                caller.call(commands.create("bench"))
                caller.call(check)  # asks the backend; from then on memory answers
                for _ in range(RUNS):
                    ours.append(_time(caller, check))
                    limit.append(_time(echoed, check))
    detail = f"{statistics.median(ours) * 1e6:.0f} µs against {statistics.median(limit) * 1e6:.0f} µs"
    return ratio(f"interrupt.check round trip / echo that reads and answers, {loop}", ours, limit, 1.5, "<=", detail)


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
