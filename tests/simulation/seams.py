"""Where the simulation takes the world's place: everything that is replaced in the daemon, in one list.

Nothing of the daemon's own decisions is: what stands here is time, chance, descriptors, processes and one HTTP exchange, and
how often the loops look that find nothing while nothing goes on.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import anyio
import anyio.to_thread

from clawlog.protocol import ids
from clawlogd.agents import chain, watching
from clawlogd.host import housekeeping
from clawlogd.liveness import evidence, processes
from clawlogd.model import WatchedProcess
from clawlogd.outbox import reserve
from clawlogd.rpc import conversation, drops, spool
from clawlogd.settings import LiveSettings
from clawlogd.upstream.client import Upstream
from clawlogd.verbs import agents, changes, tasks
from simulation import network
from simulation.disk import Connection, DiskCalls, SimSpoolFolder

if TYPE_CHECKING:
    from simulation.world import World

_BOOT = "simulated"


class _Response:
    """What the daemon reads of an answer besides its body."""

    def __init__(self, status: int, headers: dict[str, str], url: str) -> None:
        self.status, self.headers, self.url = status, headers, url


@contextmanager
def simulated(world: World) -> Iterator[None]:
    """Puts a world in the real one's place."""
    connection = type("WorldConnection", (Connection,), {"world": world})
    folder = type("WorldSpoolFolder", (SimSpoolFolder,), {"files": world.spool, "dropped": world.drop})
    connect = sqlite3.connect
    chance = world.daemon_draw

    def identify(pid: int) -> WatchedProcess | None:
        return WatchedProcess(pid, 1, _BOOT, None) if pid in world.processes else None

    def process_runs(process: WatchedProcess) -> bool:
        return process.started_ticks != -1 and process.pid in world.processes

    def identify_at(pid: int, at_ms: int) -> WatchedProcess:
        return identify(pid) or WatchedProcess(pid, -1)

    def pidfd_open(pid: int) -> int:
        if pid not in world.processes:
            raise ProcessLookupError(pid)
        return world.processes[pid]

    async def run_inline(func: Any, *args: Any, **_: Any) -> Any:
        return func(*args)

    async def exchange(self: Upstream, request: Any, address: str, headers: Any, limits: Any, max_bytes: int) -> Any:
        reply, sent_headers = await world.exchange(self.base_url, request, limits)
        return _Response(reply[0], sent_headers, address), reply[1]

    descriptors = SimpleNamespace(pidfd_open=pidfd_open, close=lambda _: None, kill=os.kill, sysconf=os.sysconf)
    replaced: list[tuple[Any, str, Any]] = [
        # Time and chance.
        (time, "time", lambda: world.wall_ms() / 1000),
        (time, "time_ns", lambda: world.wall_ms() * 1_000_000),
        (time, "monotonic", world.monotonic),
        (conversation, "perf_counter", world.monotonic),
        (random, "uniform", chance.uniform),
        (random, "SystemRandom", lambda: chance),
        (agents, "_machine_id", lambda: "simulated"),
        (ids, "os", SimpleNamespace(urandom=chance.randbytes)),
        # Threads.
        (anyio.to_thread, "run_sync", run_inline),
        # The disk.
        (sqlite3, "connect", lambda *args, **kwargs: connect(*args, factory=connection, **kwargs)),
        (spool, "SpoolFolder", folder),
        (drops, "SpoolFolder", folder),
        (drops, "_places", lambda *_: ["/simulated/drop"]),
        (drops, "mark_of", lambda _: "-"),
        (reserve, "os", DiskCalls(world)),
        # Processes.
        (processes, "os", descriptors),
        (processes, "identify", identify),
        (changes, "identify", identify),
        (changes, "identify_at", identify_at),
        (changes, "process_here", lambda pid, _: pid),
        (evidence, "stopped", lambda _: False),
        *[(module, "runs", process_runs) for module in (processes, evidence, chain, watching, tasks)],
        # The network.
        (Upstream, "_exchange", exchange),
        # How often is looked while nothing goes on.
        (housekeeping, "_ROUNDS_PER_TIDYING", 10),
        *world.rhythm.constants(),
        (drops, "_RENEW_S", 600.0),
    ]
    with ExitStack() as stack:
        for target, name, value in replaced:
            stack.enter_context(patch.object(target, name, value))
        yield


def total_s(limits: Any, settings: LiveSettings) -> tuple[float, float]:
    """How long a request may take, and connecting."""
    return limits.total or settings.now.http.total_timeout_s, settings.now.http.connect_timeout_s


__all__ = ["network", "simulated", "total_s"]
