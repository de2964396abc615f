"""Threads of one program that each send one command at a time, by bare sockets or by the client library.

Run as ``python -m benchmarks.sixteen_threads SOCKET bare|library THREADS CALLS``; tells commands a second and the p99.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import threading
import time
from collections.abc import Callable

from benchmarks import commands
from benchmarks.programs import Caller
from clawlog.client import Client


def main(address: str, kind: str, threads: int, calls: int) -> None:
    """Runs them, all from the same moment on."""
    took_s: list[float] = []
    barrier = threading.Barrier(threads + 1)

    def client() -> None:
        mine = []
        with contextlib.ExitStack() as stack:
            call = _connect(stack, address, kind)
            call(0)
            barrier.wait()
            for number in range(calls):
                began = time.perf_counter()
                call(number)
                mine.append(time.perf_counter() - began)
        took_s.extend(mine)

    workers = [threading.Thread(target=client) for _ in range(threads)]
    for worker in workers:
        worker.start()
    barrier.wait()
    started = time.perf_counter()
    for worker in workers:
        worker.join()
    print(threads * calls / (time.perf_counter() - started), statistics.quantiles(took_s, n=100)[98])


def _connect(stack: contextlib.ExitStack, address: str, kind: str) -> Callable[[int], object]:
    if kind == "library":
        client = stack.enter_context(Client(address))
        return lambda number: client.update_step("bench", number % 3 + 1, "running", summary="starting config generation")
    caller = stack.enter_context(Caller(address))
    return lambda number: caller.call(commands.update("bench", number))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
