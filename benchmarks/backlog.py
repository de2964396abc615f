"""A quarter of a million pending events: the daemon's memory must not know, and its start hardly."""

from __future__ import annotations

import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import commands
from benchmarks.figures import Figure, ratio
from benchmarks.programs import Caller, daemon
from benchmarks.start_up import time_to_ready

EVENTS = 250_000
TASKS = 100
RUNS = 5


def run() -> list[Figure]:
    """Fills an outbox whose backend is nowhere, and looks at the daemon that has to carry it."""
    with TemporaryDirectory(prefix="clawlog-bench-") as name:
        home = Path(name)
        with daemon(home) as sidecar, Caller(sidecar.address) as caller:
            for number in range(TASKS):
                caller.call(commands.create(f"bench{number}"))
            for number in range(TASKS):
                caller.pipeline(commands.updates(f"bench{number}", EVENTS // TASKS))
        with daemon(home) as full, Caller(full.address) as caller, daemon() as empty, Caller(empty.address) as other:
            for each in (caller, other):
                each.call(commands.create("one-more"))
            above = (full.memory_bytes() - empty.memory_bytes()) / 2**20
            detail = f"{full.memory_bytes() / 2**20:.1f} MiB against {empty.memory_bytes() / 2**20:.1f} MiB"
        with_backlog = [time_to_ready(str(home)) for _ in range(RUNS)]
        without = [time_to_ready() for _ in range(RUNS)]
    times = f"{statistics.median(with_backlog) * 1000:.0f} ms against {statistics.median(without) * 1000:.0f} ms"
    return [
        Figure(f"{EVENTS:,} pending events: memory above an idle daemon", above, 20.0, "<=", "MiB", detail=detail),
        ratio(f"{EVENTS:,} pending events: time to READY / with none", with_backlog, without, 2.0, "<=", times),
    ]
