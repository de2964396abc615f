"""Clients that each send one command at a time: threads of one program, or programs of one thread; bare, or by the library.

Run as ``python -m benchmarks.sixteen_threads SOCKET bare|library PROGRAMS THREADS CALLS``; tells commands a second and the p99.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import statistics
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier

from benchmarks import commands
from benchmarks.programs import Caller
from clawlog.client import Client


def main(address: str, kind: str, programs: int, threads: int, calls: int) -> None:
    """Runs them, all from the same moment on."""
    forked = multiprocessing.get_context("fork")
    barrier, told = forked.Barrier(programs * threads), forked.SimpleQueue()
    workers = [forked.Process(target=_program, args=(address, kind, threads, calls, barrier, told)) for _ in range(programs)]
    for worker in workers:
        worker.start()
    found = [told.get() for _ in workers]
    for worker in workers:
        worker.join()
    lasted_s = max(ended for _, ended, _ in found) - min(began for began, _, _ in found)
    took_s = [each for _, _, took_s in found for each in took_s]
    print(programs * threads * calls / lasted_s, statistics.quantiles(took_s, n=100)[98])


def _program(
    address: str, kind: str, threads: int, calls: int, barrier: Barrier, told: SimpleQueue[tuple[float, float, list[float]]]
) -> None:
    """One program: tells when its first call began, when its last one ended, and how long each took."""
    took_s: list[float] = []
    times: list[float] = []

    def client() -> None:
        mine = []
        with contextlib.ExitStack() as stack:
            call = _connect(stack, address, kind)
            call(0)
            barrier.wait()
            times.append(time.perf_counter())
            for number in range(calls):
                began = time.perf_counter()
                call(number)
                mine.append(time.perf_counter() - began)
        times.append(time.perf_counter())
        took_s.extend(mine)

    workers = [threading.Thread(target=client) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    told.put((min(times), max(times), took_s))


def _connect(stack: contextlib.ExitStack, address: str, kind: str) -> Callable[[int], object]:
    if kind == "library":
        client = stack.enter_context(Client(address))
        return lambda number: client.update_step("bench", number % 3 + 1, "running", summary="starting config generation")
    caller = stack.enter_context(Caller(address))
    return lambda number: caller.call(commands.update("bench", number))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
