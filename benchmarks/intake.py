"""How many commands a second the daemon takes durably, against the least code that could (``ingest_probe.py``)."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import zmq

from benchmarks import commands
from benchmarks.figures import Figure, ratio
from benchmarks.programs import ROOT, Caller, Program, daemon, environment, program, wait_for_socket

RUNS = 3
PIPELINED = 30_000
CLIENTS = 16
CALLS_EACH = 200
LOOPS = ("asyncio", "uvloop")


def run() -> list[Figure]:
    """On each event loop that there is."""
    return [figure for loop in LOOPS if find_spec(loop) for figure in _measure(loop)]


def _measure(loop: str) -> list[Figure]:
    """Pipelined over one Unix connection, by 16 synchronous programs, by 16 threads of one, and over ZeroMQ."""
    ours, limit, ours_sync, limit_sync, ours_p99, limit_p99, over_zmq = [], [], [], [], [], [], []
    ours_used, limit_used, by_threads, limit_threads, by_library = [], [], [], [], []
    for _ in range(RUNS):
        with _daemon(loop) as sidecar:
            ours.append(_pipelined(sidecar))
            over_zmq.append(_pipelined_zmq(f"ipc://{sidecar.home}/run/bench.zmq"))
        with _daemon(loop) as sidecar:
            rate, p99, used = _synchronous(sidecar)
            ours_sync.append(rate)
            ours_p99.append(p99)
            ours_used.append(used)
            by_threads.append(_run_clients(sidecar, "bare", programs=1)[0])
            by_library.append(_run_clients(sidecar, "library", programs=1)[0])
        with _probe(loop) as probe:
            limit.append(_pipelined(probe))
        with _probe(loop) as probe:
            rate, p99, used = _synchronous(probe)
            limit_sync.append(rate)
            limit_p99.append(p99)
            limit_used.append(used)
            limit_threads.append(_run_clients(probe, "bare", programs=1)[0])
    many = f"{CLIENTS} synchronous programs"
    spent = f"{statistics.median(ours_used) * 1e6:.0f} µs against {statistics.median(limit_used) * 1e6:.0f} µs"
    figures = [
        ratio("durable commands/s, pipelined / limit probe", ours, limit, 0.2, ">=", _rates(ours, limit)),
        ratio(f"durable commands/s, {many} / limit probe", ours_sync, limit_sync, 0.65, ">=", _rates(ours_sync, limit_sync)),
        ratio(f"processor time of a command, {many} / limit probe", ours_used, limit_used, 2.5, "<=", spent),
        ratio(f"p99 of an acknowledgement, {many} / limit probe", ours_p99, limit_p99, 2.0, "<=", _times(ours_p99, limit_p99)),
        ratio(
            "the same, 16 threads of one program / limit probe",
            by_threads,
            limit_threads,
            0.65,
            ">=",
            _rates(by_threads, limit_threads),
        ),
        ratio(
            "16 threads with clawlog.Client / bare sockets", by_library, by_threads, 0.4, ">=", _rates(by_library, by_threads)
        ),
        ratio("ZeroMQ DEALER, pipelined / Unix socket", over_zmq, ours, 0.7, ">=", _rates(over_zmq, ours)),
    ]
    return [replace(figure, name=f"{figure.name}, {loop}") for figure in figures]


@contextlib.contextmanager
def _daemon(loop: str) -> Iterator[Program]:
    with tempfile.TemporaryDirectory(prefix="clawlog-bench-") as name:
        home = Path(name)
        endpoint = f"ipc://{home}/run/bench.zmq"
        with daemon(home, CLAWLOG_ZMQ=endpoint, CLAWLOG_LOOP=loop) as running, Caller(running.address) as caller:
            caller.call(commands.create("bench"))
            yield running


@contextlib.contextmanager
def _probe(loop: str) -> Iterator[Program]:
    with tempfile.TemporaryDirectory(prefix="clawlog-bench-") as name:
        home = Path(name)
        command = [sys.executable, str(ROOT / "benchmarks" / "ingest_probe.py"), str(home / "socket"), str(home / "db"), loop]
        with program(command, environment(), home, str(home / "socket")) as running:
            wait_for_socket(running.address, running)
            yield running


def _pipelined(running: Program) -> float:
    lines = commands.updates("bench", PIPELINED)
    with Caller(running.address) as caller:
        started = time.perf_counter()
        caller.pipeline(lines)
        return PIPELINED / (time.perf_counter() - started)


def _synchronous(running: Program) -> tuple[float, float, float]:
    """Commands a second, the p99 of an acknowledgement, and the processor seconds of a command."""
    before_s = running.cpu_s()
    rate, p99_s = _run_clients(running, "bare", programs=CLIENTS)
    return rate, p99_s, (running.cpu_s() - before_s) / (CLIENTS * CALLS_EACH)


def _run_clients(running: Program, kind: str, *, programs: int) -> tuple[float, float]:
    """Their rate and p99: of so many programs, over which 16 threads are divided. This one takes nothing from them."""
    each = [str(programs), str(CLIENTS // programs), str(CALLS_EACH)]
    command = [sys.executable, "-m", "benchmarks.sixteen_threads", running.address, kind, *each]
    told = subprocess.run(command, env=environment(), cwd=ROOT, check=True, capture_output=True, text=True).stdout
    rate, p99_s = map(float, told.split())
    return rate, p99_s


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
