"""How many commands a second the daemon takes durably, against the least code that could (``ingest_probe.py``)."""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import zmq

from benchmarks import commands
from benchmarks.figures import Figure, ratio
from benchmarks.programs import ROOT, Caller, Program, daemon, environment, program, wait_for_socket

RUNS = 5
PIPELINED = 30_000
CLIENTS = 16
CALLS_EACH = 300


def run() -> list[Figure]:
    """Pipelined over one Unix connection, by 16 synchronous clients, and over ZeroMQ."""
    ours, limit, ours_sync, limit_sync, ours_p99, limit_p99, over_zmq = [], [], [], [], [], [], []
    for _ in range(RUNS):
        with _daemon() as sidecar:
            ours.append(_pipelined(sidecar))
            over_zmq.append(_pipelined_zmq(f"ipc://{sidecar.home}/run/bench.zmq"))
        with _daemon() as sidecar:
            rate, p99 = _synchronous(sidecar)
            ours_sync.append(rate)
            ours_p99.append(p99)
        with _probe() as probe:
            limit.append(_pipelined(probe))
        with _probe() as probe:
            rate, p99 = _synchronous(probe)
            limit_sync.append(rate)
            limit_p99.append(p99)
    return [
        ratio("durable commands/s, pipelined / limit probe", ours, limit, 0.5, ">=", _rates(ours, limit)),
        ratio(
            "durable commands/s, 16 synchronous clients / limit probe",
            ours_sync,
            limit_sync,
            0.6,
            ">=",
            _rates(ours_sync, limit_sync),
        ),
        ratio(
            "p99 of an acknowledgement, 16 clients / limit probe", ours_p99, limit_p99, 2.0, "<=", _times(ours_p99, limit_p99)
        ),
        ratio("ZeroMQ DEALER, pipelined / Unix socket", over_zmq, ours, 0.7, ">=", _rates(over_zmq, ours)),
    ]


@contextlib.contextmanager
def _daemon() -> Iterator[Program]:
    with tempfile.TemporaryDirectory(prefix="clawlog-bench-") as name:
        home = Path(name)
        with daemon(home, CLAWLOG_ZMQ=f"ipc://{home}/run/bench.zmq") as running, Caller(running.address) as caller:
            caller.call(commands.create("bench"))
            yield running


@contextlib.contextmanager
def _probe() -> Iterator[Program]:
    with tempfile.TemporaryDirectory(prefix="clawlog-bench-") as name:
        home = Path(name)
        command = [sys.executable, str(ROOT / "benchmarks" / "ingest_probe.py"), str(home / "socket"), str(home / "db")]
        with program(command, environment(), home, str(home / "socket")) as running:
            wait_for_socket(running.address, running)
            yield running


def _pipelined(running: Program) -> float:
    lines = commands.updates("bench", PIPELINED)
    with Caller(running.address) as caller:
        started = time.perf_counter()
        caller.pipeline(lines)
        return PIPELINED / (time.perf_counter() - started)


def _synchronous(running: Program) -> tuple[float, float]:
    took_s: list[float] = []
    barrier = threading.Barrier(CLIENTS + 1)

    def client() -> None:
        mine = []
        with Caller(running.address) as caller:
            barrier.wait()
            for number in range(CALLS_EACH):
                line = commands.update("bench", number)
                began = time.perf_counter()
                caller.call(line)
                mine.append(time.perf_counter() - began)
        took_s.extend(mine)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    barrier.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    elapsed_s = time.perf_counter() - started
    return CLIENTS * CALLS_EACH / elapsed_s, statistics.quantiles(took_s, n=100)[98]


def _pipelined_zmq(endpoint: str) -> float:
    lines = commands.updates("bench", PIPELINED)
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.LINGER, 0)
    dealer.connect(endpoint)
    try:
        started = time.perf_counter()
        sent = answered = 0
        while answered < PIPELINED:
            while sent < PIPELINED and sent - answered < 2000:
                dealer.send(lines[sent])
                sent += 1
            dealer.recv()
            answered += 1
        return PIPELINED / (time.perf_counter() - started)
    finally:
        dealer.close()
        context.term()


def _rates(ours: list[float], limit: list[float]) -> str:
    return f"{statistics.median(ours):,.0f}/s against {statistics.median(limit):,.0f}/s"


def _times(ours: list[float], limit: list[float]) -> str:
    return f"{statistics.median(ours) * 1000:.1f} ms against {statistics.median(limit) * 1000:.1f} ms"
