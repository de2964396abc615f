"""How long a stop takes, against a bare aiohttp client that long-polls the same backend in the same run.

It counts from a person's request at the backend to exit status 20 of a waiting ``poll_interrupt.py`` (against the bare client's
own exit), and to ``checkpoint()`` raising (against the bare client's having its answer).

``python -m benchmarks.stop_latency [--stops N]`` (500 by default) runs it alone, and keeps the figures in
``results/stop_latency.json``. All times are read from the machine's monotonic clock, which its processes share.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure
from benchmarks.programs import ROOT, Caller, Program, backend, daemon, environment, program, wait_until

STOPS = 500
STOPS_AMONG_ALL = 36  # where it runs with all the others, whose time is bounded
_ENOUGH_FOR_P99 = 300  # with fewer, the highest hundredth is three chance values at most
AT_ONCE = 8  # of each kind: what a plain server's budget allows to ask about in every interval
INTERVAL_S = 2.0
WAYS = (  # its name; whether the backend has the plain profile alone; whether its deliveries' route hangs
    ("long-poll", False, False),
    ("plain polling", True, False),
    ("long-poll, delivery hangs", False, True),
)
RESULTS = Path(__file__).parent / "results" / "stop_latency.json"

_BARE = """
import asyncio, sys, time, aiohttp
async def main(url, task_id):
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        async def poll(**more):
            async with session.post(url + "/api/control/poll", json={"task_ids": [task_id], **more}) as answer:
                return await answer.json()
        cursor = (await poll())["cursor"]
        print("waiting", flush=True)
        while True:
            answer = await poll(cursor=cursor, wait_s=50)
            cursor = answer["cursor"]
            if any(each["interrupt_requested"] for each in answer["controls"]):
                print(time.monotonic_ns(), flush=True)
                sys.exit(20)
asyncio.run(main(*sys.argv[1:]))
"""

_AGENT = """
import sys, time, clawlog
from contextlib import ExitStack
with ExitStack() as stack:
    tasks = [stack.enter_context(clawlog.task("stop", task_id=task_id, base_url=sys.argv[1])) for task_id in sys.argv[2:]]
    for task in tasks:
        task.checkpoint()
    print("waiting", flush=True)
    while tasks:
        for task in list(tasks):
            try:
                task.checkpoint()
            except clawlog.SoftStop:
                print(task.task_id, time.monotonic_ns(), flush=True)
                tasks.remove(task)
        time.sleep(0.0005)
"""


@dataclass
class Latencies:
    """Seconds from request to the agent being told, of one way to learn of stops."""

    script: list[float] = field(default_factory=list)
    checkpoint: list[float] = field(default_factory=list)
    bare_exit: list[float] = field(default_factory=list)
    bare_answer: list[float] = field(default_factory=list)


class Person:
    """Asks the backend for stops, over one connection.

    Args:
        url: The backend.
    """

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)

    def ask(self, path: str, body: object = None, method: str = "POST") -> int:
        """Makes a request and reads its answer to the end; returns the status."""
        data = None if body is None else json.dumps(body)
        self._connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        answer.read()
        return answer.status

    def stop(self, task_id: str) -> int:
        """Asks for a soft stop; returns when it was asked for, in nanoseconds."""
        asked_at = time.monotonic_ns()
        assert self.ask(f"/api/tasks/{task_id}/interrupt", {"mode": "soft_stop"}) == 201
        return asked_at

    def wait_for(self, task_id: str) -> None:
        """Returns once the backend knows a task."""
        while self.ask(f"/api/tasks/{task_id}/control", method="GET") != 200:
            time.sleep(0.01)


@contextlib.contextmanager
def front(server: Program, *, plain: bool) -> Iterator[str]:
    """A front before the backend; gives its address."""
    with tempfile.TemporaryDirectory(prefix="clawlog-bench-") as name:
        port_file = Path(name) / "port"
        command = [sys.executable, "-m", "benchmarks.plain_front", server.address, str(port_file)] + ["--plain"] * plain
        with program(command, {**environment(), "PYTHONPATH": str(ROOT)}, Path(name), "") as running:
            wait_until(lambda: port_file.exists() and port_file.read_text(), running)
            yield f"http://127.0.0.1:{port_file.read_text()}"


class Bench:
    """Agents and bare clients, round after round.

    Args:
        server: The backend.
        sidecar: The daemon.
        url: The backend as the daemon reaches it.
        hangs: Whether deliveries hang while stops are asked for.
    """

    def __init__(self, server: Program, sidecar: Program, url: str, *, hangs: bool) -> None:
        self._server = server.address
        self._caller = Caller(sidecar.address)
        self._url = url
        self._hangs = hangs
        self._person = Person(server.address)
        self._front = Person(url)
        self._env = environment(CLAWLOG_SOCKET=sidecar.address, CLAWLOG_AUTOSTART="0")
        self._made = 0
        self.latencies = Latencies()

    def round(self, count: int, *, together: bool) -> None:
        """One round: so many stops of each kind, one after the other, or all within one polling interval."""
        scripts, bares, checkpoints = (
            [f"{kind}-{self._made}-{number}" for number in range(count)] for kind in ("script", "bare", "checkpoint")
        )
        self._made += 1
        for name in scripts:
            self._call("task.create", title="stop", task_id=name, base_url=self._url)
        for name in bares:
            assert self._person.ask("/api/tasks", {"title": "stop", "task_id": name}) == 201
        agent = self._start([sys.executable, "-c", _AGENT, self._url, *checkpoints])
        assert agent.stdout is not None
        assert agent.stdout.readline() == b"waiting\n"
        for name in (*scripts, *checkpoints):
            self._person.wait_for(name)
        script = [sys.executable, str(ROOT / "scripts" / "poll_interrupt.py"), "--task-id"]
        waiting = {name: self._start([*script, name]) for name in scripts}
        bare = {name: self._start([sys.executable, "-c", _BARE, self._server, name]) for name in bares}
        for process in bare.values():
            assert process.stdout is not None
            assert process.stdout.readline() == b"waiting\n"
        for process in (*waiting.values(), *bare.values()):
            until_it_waits(process.pid)
        if self._hangs:
            self._front.ask("/front/hang")
        if together:
            self._together(waiting, agent, checkpoints)
        else:
            self._in_turn(waiting, agent, checkpoints)
        self._bare(bare)
        if self._hangs:
            self._front.ask("/front/go-on")
        agent.wait(60)
        agent.stdout.close()
        for name in scripts:
            self._call("task.update", task_id=name, status="done")

    def _in_turn(
        self, waiting: dict[str, subprocess.Popen[bytes]], agent: subprocess.Popen[bytes], checkpoints: Sequence[str]
    ) -> None:
        assert agent.stdout is not None
        for (name, process), checkpoint in zip(waiting.items(), checkpoints, strict=True):
            asked_at = self._person.stop(name)
            self.latencies.script.append((ended_at(process) - asked_at) / 1e9)
            asked_at = self._person.stop(checkpoint)
            self.latencies.checkpoint.append((int(agent.stdout.readline().split()[1]) - asked_at) / 1e9)

    def _together(
        self, waiting: dict[str, subprocess.Popen[bytes]], agent: subprocess.Popen[bytes], checkpoints: Sequence[str]
    ) -> None:
        assert agent.stdout is not None
        asked_at: dict[str, int] = {}
        with ThreadPoolExecutor(len(waiting)) as threads:
            ends = {name: threads.submit(ended_at, process) for name, process in waiting.items()}
            for name in random.sample([*waiting, *checkpoints], 2 * len(waiting)):
                time.sleep(random.uniform(0, INTERVAL_S / len(waiting)))
                asked_at[name] = self._person.stop(name)
            self.latencies.script += [(end.result() - asked_at[name]) / 1e9 for name, end in ends.items()]
        for _ in checkpoints:
            name, told_at = agent.stdout.readline().decode().split()
            self.latencies.checkpoint.append((int(told_at) - asked_at[name]) / 1e9)

    def _bare(self, bare: dict[str, subprocess.Popen[bytes]]) -> None:
        for name, process in bare.items():
            asked_at = self._person.stop(name)
            self.latencies.bare_exit.append((ended_at(process) - asked_at) / 1e9)
            assert process.stdout is not None
            self.latencies.bare_answer.append((int(process.stdout.readline()) - asked_at) / 1e9)
            process.stdout.close()

    def _call(self, method: str, **params: str) -> None:
        self._caller.call(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode())

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        keep = subprocess.PIPE if "-c" in command else subprocess.DEVNULL
        return subprocess.Popen(command, env=self._env, stdin=subprocess.DEVNULL, stdout=keep, cwd=ROOT)


def ended_at(process: subprocess.Popen[bytes]) -> int:
    """When a process ended, in nanoseconds, having been waited for."""
    assert process.wait(60) == 20
    return time.monotonic_ns()


def until_it_waits(pid: int) -> None:
    """Returns once a process sleeps and uses no processor time any more: it waits for its answer."""
    used, since = -1, time.monotonic()
    while time.monotonic() - since < 0.05:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        now = int(stat[11]) + int(stat[12]) + int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
        if stat[0] != "S" or now != used:
            used, since = now, time.monotonic()
        time.sleep(0.005)


def measure(stops: int) -> dict[str, Latencies]:
    """Measures every way: held requests, polls task by task, and held requests while deliveries hang."""
    found: dict[str, Latencies] = {}
    for way, plain, hangs in (
        ("long-poll", False, False),
        ("plain polling", True, False),
        ("long-poll, delivery hangs", False, True),
    ):
        with backend() as server, contextlib.ExitStack() as stack:
            url = stack.enter_context(front(server, plain=plain)) if plain or hangs else server.address
            sidecar = stack.enter_context(daemon(CLAWLOG_BASE_URL=url))
            bench = Bench(server, sidecar, url, hangs=hangs)
            left = stops
            while left > 0:
                bench.round(min(AT_ONCE, left), together=plain)
                left -= AT_ONCE
        found[way] = bench.latencies
    return found


def percentile(values: Sequence[float], part: int) -> float:
    """The smallest value that ``part`` per cent do not exceed."""
    return sorted(values)[math.ceil(len(values) * part / 100) - 1]


def figures(found: dict[str, Latencies]) -> list[Figure]:
    """The ratios, and for polling what lies beyond the interval, against the bare client's own latency."""
    made: list[Figure] = []
    for way, ours in found.items():
        for what, values, bare in (
            ("exit 20 of poll_interrupt.py", ours.script, ours.bare_exit),
            ("checkpoint() raising", ours.checkpoint, ours.bare_answer),
        ):
            tail = ("p99", 99) if len(values) >= _ENOUGH_FOR_P99 else ("p90", 90)
            for name, part in (("median", 50), tail):
                value, against = percentile(values, part), percentile(bare, part)
                beyond = value - INTERVAL_S if way == "plain polling" else value
                detail = f"{value * 1000:.1f} ms against {against * 1000:.1f} ms, {len(values)} stops"
                label = f"stop, {way}: {what}, {name}" + (" beyond the interval" if way == "plain polling" else "")
                made.append(
                    Figure(f"{label} / bare long-poll client", max(beyond, 0.0) / against, 1.5, "<=", "x", detail=detail)
                )
    return made


def run() -> list[Figure]:
    """For ``python -m benchmarks``: fewer stops than alone, unless ``CLAWLOG_BENCH_STOPS`` says how many."""
    return figures(measure(int(os.environ.get("CLAWLOG_BENCH_STOPS", STOPS_AMONG_ALL))))


def main() -> int:
    """Prints the table and keeps the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stop_latency", description=__doc__)
    parser.add_argument("--stops", type=int, default=STOPS, help=f"of each kind and way (default {STOPS})")
    stops = parser.parse_args().stops
    found = measure(stops)
    made = figures(found)
    table = Table("what", "target", "figure", "verdict", "behind it")
    for figure in made:
        table.add_row(
            figure.name, f"≤ {figure.target:g}×", f"{figure.value:.2f}×", "met" if figure.met else "NOT MET", figure.detail
        )
    Console(width=None if sys.stdout.isatty() else 180).print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"stops": stops, "figures": [figure.as_json() for figure in made]}, indent=2) + "\n")
    return 0 if all(figure.met for figure in made) else 1


if __name__ == "__main__":
    sys.exit(main())
