"""The measurements: each takes peers as they are installed, and says what it found of one of them."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from benchmarks import commands, programs
from benchmarks.peers import environments
from benchmarks.peers.catalogue import MARK, OURS, Peer
from benchmarks.peers.results import Memory, Outage, Rate, Step
from benchmarks.programs import Caller, Program

ENDED_WITHIN_S = 60.0
"""How long a process that has a server may take at most."""
_RECEIVER = Path(__file__).parent / "receiver.py"
_PAUSE_S = 0.01


@dataclass(frozen=True)
class Installed:
    """A peer that can be run.

    Attributes:
        peer: It.
        python: The Python that has its library.
    """

    peer: Peer
    python: Path


@dataclass(frozen=True)
class Place:
    """Where a peer's processes run, and what they speak to.

    Attributes:
        installed: The peer.
        home: Their folder, and their home.
        port: The server's port on this machine.
        sidecar: The daemon; None where it is not ours.
    """

    installed: Installed
    home: Path
    port: int
    sidecar: Program | None

    @property
    def address(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """The variables of the peer's processes."""
        if self.sidecar is None:
            return environments.variables(self.home)
        return {**environments.variables(self.home), "CLAWLOG_STATE_DIR": str(self.sidecar.home), "CLAWLOG_AUTOSTART": "0"}

    def start(self, mode: str, count: int = 1, **options: Any) -> subprocess.Popen[bytes]:
        """Starts the peer's client."""
        command = self.installed.peer.command(self.installed.python, mode, self.address, count)
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
        return subprocess.Popen(command, env=self.environment(), cwd=self.home, **given)

    def arrived(self) -> int:
        """How many updates have reached the server."""
        if self.sidecar is None:
            log = self.home / "arrived"
            return log.stat().st_size if log.exists() else 0
        try:
            with urllib.request.urlopen(f"{self.address}/api/tasks/bench", timeout=5) as answer:
                return sum(step["summary"] == MARK for step in msgspec.json.decode(answer.read())["steps"])
        except OSError:  # it does not know the task yet, or has just begun
            return 0


@contextlib.contextmanager
def place(installed: Installed) -> Iterator[Place]:
    """A folder for a peer, and for ours a daemon with a task; the server is somebody else's matter."""
    with TemporaryDirectory(prefix="clawlog-peers-") as name, contextlib.ExitStack() as stack:
        home, port, sidecar = Path(name), programs.free_port(), None
        if installed.peer is OURS:
            (home / "state").mkdir(mode=0o700)
            sidecar = stack.enter_context(programs.daemon(home / "state", CLAWLOG_BASE_URL=f"http://127.0.0.1:{port}"))
            with Caller(sidecar.address) as caller:
                caller.call(commands.create("bench"))
        yield Place(installed, home, port, sidecar)


@contextlib.contextmanager
def server(where: Place, *, hangs: bool = False) -> Iterator[None]:
    """The server at a place's port: for ours the embedded backend, else the receiver; or one that never answers."""
    with contextlib.ExitStack() as stack:
        if where.sidecar is not None and not hangs:
            (where.home / "backend").mkdir(exist_ok=True)
            stack.enter_context(programs.backend(where.home / "backend", where.port))
        else:
            port_file = where.home / "port"
            command = [sys.executable, str(_RECEIVER), str(port_file), str(where.home / "arrived"), "--port", str(where.port)]
            command += ["--hang"] if hangs else []
            stack.enter_context(programs.http_program(command, where.home, port_file))
        yield


def step(ours: Place, theirs: Place, runs: int) -> tuple[Step, Step]:
    """One short process each, in turn: what ours and theirs cost."""
    for each in (ours, theirs):
        _once(each)  # compiled and cached
    beside_s = ours.sidecar.cpu_s() if ours.sidecar is not None else 0.0
    pairs = [(_once(ours), _once(theirs)) for _ in range(runs)]
    beside_s = (ours.sidecar.cpu_s() - beside_s) / runs if ours.sidecar is not None else 0.0
    ratios = [their.wall_s / our.wall_s for our, their in pairs]
    return _step([our for our, _ in pairs], [1.0], beside_s), _step([their for _, their in pairs], ratios)


@dataclass(frozen=True)
class _Cost:
    wall_s: float
    processor_s: float


def _step(costs: Sequence[_Cost], ratios: Sequence[float], beside_s: float = 0.0) -> Step:
    wall_s = statistics.median(each.wall_s for each in costs)
    processor_s = statistics.median(each.processor_s for each in costs) + beside_s
    return Step(wall_s, processor_s, statistics.median(ratios), min(ratios), max(ratios), len(costs))


def _once(where: Place) -> _Cost:
    """Runs one short process.

    Raises:
        RuntimeError: It failed.
    """
    started = time.perf_counter()
    process = where.start("once")
    _, status, used = os.wait4(process.pid, 0)
    took_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{where.installed.peer.name}: exit status {process.returncode}")
    return _Cost(took_s, used.ru_utime + used.ru_stime)


def rate(where: Place, count: int) -> Rate:
    """So many updates from one process.

    Raises:
        RuntimeError: It failed.
    """
    before = where.arrived()
    process = where.start("many", count, stdout=subprocess.PIPE)
    said, _ = process.communicate(timeout=ENDED_WITHIN_S)
    if process.returncode:
        raise RuntimeError(f"{where.installed.peer.name}: exit status {process.returncode}")
    on_disk = where.sidecar is not None or not where.installed.peer.server  # what a call returned from is counted
    return Rate(count, count if on_disk else where.arrived() - before, float(said.split()[-1]))


def outage(installed: Installed, *, hangs: bool, bound_s: float, watched_s: float) -> Outage:
    """One short process while nobody listens at its server's port, or somebody who never answers; then the server returns."""
    with place(installed) as where:
        with server(where, hangs=True) if hangs else contextlib.nullcontext():
            started = time.perf_counter()
            process = where.start("once", start_new_session=True)
            try:
                status: int | None = process.wait(bound_s)
            except subprocess.TimeoutExpired:
                status = None
            blocked_s = time.perf_counter() - started
            _end(process)
        with server(where):
            began = time.perf_counter()
            while not where.arrived():
                if time.perf_counter() - began > watched_s:
                    return Outage(blocked_s, status, None)
                time.sleep(_PAUSE_S)
            return Outage(blocked_s, status, time.perf_counter() - began)


def memory(where: Place) -> Memory:
    """What a client that reports holds in memory, and what its helpers do.

    Raises:
        RuntimeError: It failed.
    """
    process = where.start("hold", stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if b"ready" not in process.stdout.read(6):
            raise RuntimeError(f"{where.installed.peer.name} did not report")
        helpers = _descendants(process.pid) if where.sidecar is None else [where.sidecar.process.pid]
        return Memory(_resident_bytes(process.pid), sum(map(_resident_bytes, helpers)))
    finally:
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(ENDED_WITHIN_S)
        _end(process)
        process.stdout.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that was started in a session of its own, and with it what it left there."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()


def _descendants(pid: int) -> list[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
    found, ahead = [], [pid]
    while ahead:
        of = ahead.pop()
        below = [each for each, parent in parents.items() if parent == of]
        found += below
        ahead += below
    return found


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
