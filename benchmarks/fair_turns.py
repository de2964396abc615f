"""How long one caller's call waits while another keeps the daemon as busy as it can: the fair turns between callers."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec

from benchmarks import commands
from benchmarks.figures import Figure
from benchmarks.programs import Caller, daemon

RUNS = 5
TASKS = 1000
CALLS = 200
TARGET_MS = 50.0
LOOPS = ("asyncio", "uvloop")
_LISTS = b'{"jsonrpc":"2.0","id":1,"method":"task.list"}\n' * 300
_GET = b'{"jsonrpc":"2.0","id":1,"method":"task.get","params":{"task_id":"bench-0"}}'
_GETS = (_GET + b"\n") * 5000
_ARRAY = b"[" + b",".join([b'{"jsonrpc":"2.0","id":1,"method":"task.list"}'] * 100) + b"]\n"
_UPDATES = b"".join(line + b"\n" for line in commands.updates("bench-0", 5000))
_LOADS = {"lists in one write": _LISTS, "small requests": _GETS, "arrays of lists": _ARRAY, "durable commands": _UPDATES}


def run() -> list[Figure]:
    """The longest of many calls, beside each kind of load, on each event loop that there is."""
    return [figure for loop in LOOPS if find_spec(loop) for figure in _measure(loop)]


def _measure(loop: str) -> list[Figure]:
    with daemon(CLAWLOG_LOOP=loop) as sidecar, Caller(sidecar.address) as caller:
        for number in range(TASKS):
            caller.call(commands.create(f"bench-{number}"))
        figures = []
        for name, data in _LOADS.items():
            worst = []
            for _ in range(RUNS):
                alone = _slowest(caller)
                with _loaded(sidecar.address, data):
                    worst.append((_slowest(caller) - alone) * 1000)
            median = statistics.median(worst)
            figures.append(
                Figure(
                    f"delay of a call beside {name}, {loop}",
                    median,
                    TARGET_MS,
                    "<=",
                    "ms",
                    min(worst),
                    max(worst),
                    f"the longest of {CALLS} calls, {RUNS} times",
                )
            )
        return figures


def _slowest(caller: Caller) -> float:
    worst = 0.0
    for _ in range(CALLS):
        started = time.perf_counter()
        caller.call(_GET)
        worst = max(worst, time.perf_counter() - started)
    return worst


@contextlib.contextmanager
def _loaded(address: str, data: bytes) -> Iterator[None]:
    """A caller that always has a request under way, and takes its answers."""
    ended = threading.Event()

    def send() -> None:
        with Caller(address) as other, contextlib.suppress(OSError):
            other.socket.settimeout(0.05)
            rest = memoryview(data)
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    rest = rest[other.socket.send(rest[:65536]) :] or memoryview(data)
                with contextlib.suppress(TimeoutError):
                    other.socket.recv(1 << 20)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
