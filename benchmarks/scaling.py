"""How the daemon's cost grows with its tasks and with what waits: in proportion, or less. Draws ``scaling.svg``."""

from __future__ import annotations

import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks import commands, fleet
from benchmarks.figures import Figure
from benchmarks.programs import Caller, backend, daemon
from benchmarks.start_up import time_to_ready

COUNTS = (10, 100, 1_000, 10_000)
WATCHED_S = 15.0
STARTS = 3
PICTURE = Path(__file__).parent / "scaling.svg"
_SLACK = 1.25


@dataclass(frozen=True)
class Cost:
    """What one daemon cost.

    Attributes:
        count: Of tasks, or of waiting events.
        seconds: Processor time, or time to READY.
        memory_bytes: Resident.
    """

    count: int
    seconds: float
    memory_bytes: int


def run() -> list[Figure]:
    """Measures both at every count, and draws them."""
    with backend() as server, ThreadPoolExecutor(len(COUNTS)) as pool:
        tasks = list(pool.map(lambda count: _live(count, server.address), COUNTS))
    events = [_waiting(count) for count in COUNTS]
    _draw(tasks, events)
    return [
        _growth("processor time of live tasks", [cost.seconds for cost in tasks]),
        _growth("memory of live tasks", [cost.memory_bytes for cost in tasks]),
        _growth("time to READY with waiting events", [cost.seconds for cost in events]),
        _growth("memory with waiting events", [cost.memory_bytes for cost in events]),
    ]


def _live(count: int, address: str) -> Cost:
    used_s, memory_bytes, _ = fleet.measure(count, WATCHED_S, address)
    return Cost(count, used_s, memory_bytes)


def _waiting(count: int) -> Cost:
    with TemporaryDirectory(prefix="clawlog-bench-") as name:
        home = Path(name)
        with daemon(home) as sidecar, Caller(sidecar.address) as caller:
            caller.call(commands.create("bench"))
            caller.pipeline(commands.updates("bench", count))
        with daemon(home) as full, Caller(full.address) as caller:
            caller.call(commands.create("one-more"))
            memory_bytes = full.memory_bytes()
        return Cost(count, statistics.median(time_to_ready(str(home)) for _ in range(STARTS)), memory_bytes)


def _growth(name: str, values: list[float]) -> Figure:
    """How much more ten times as many cost at the upper end, as a part of ten times."""
    before, after = values[-2:]
    told = " → ".join(f"{value / 2**20:.1f} MiB" if value > 1000 else f"{value:.2f} s" for value in values)
    return Figure(f"{name}: from {COUNTS[-2]:,} to {COUNTS[-1]:,}, of tenfold", after / before / 10, _SLACK, "<=", detail=told)


def _draw(tasks: list[Cost], events: list[Cost]) -> None:
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "clawlog", "font.size": 9}):
        figure, ((cpu, memory), (start, carried)) = plt.subplots(2, 2, figsize=(9, 6), layout="constrained")
        _panel(cpu, "live tasks", f"processor time in {WATCHED_S:.0f} s (s)", tasks, [cost.seconds for cost in tasks])
        _panel(memory, "live tasks", "memory (MiB)", tasks, [cost.memory_bytes / 2**20 for cost in tasks])
        _panel(start, "waiting events", "time to READY (s)", events, [cost.seconds for cost in events])
        _panel(carried, "waiting events", "memory (MiB)", events, [cost.memory_bytes / 2**20 for cost in events])
        figure.savefig(PICTURE, metadata={"Date": None})
        plt.close(figure)


def _panel(axes: Axes, counted: str, measured: str, costs: list[Cost], values: list[float]) -> None:
    counts = [cost.count for cost in costs]
    curve = [round(10 ** (exponent / 20)) for exponent in range(20, 81)]
    slope = (values[-1] - values[0]) / (counts[-1] - counts[0])
    axes.plot(curve, [values[0] + slope * (count - counts[0]) for count in curve], ":", color="grey", label="a straight line")
    axes.plot(counts, values, "o", label="measured")
    axes.set(xscale="log", xlabel=counted, ylabel=measured, ylim=(0, max(values) * 1.25))
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.grid(visible=True, alpha=0.3)
    axes.legend(frameon=False, loc="upper left")
