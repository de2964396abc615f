"""An outbox on a real file, a sidecar's parts, a clock that a test moves, and processes to be watched."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from clawlogd.liveness.processes import identify
from clawlogd.model import WatchedProcess
from clawlogd.outbox.integrity import Witness
from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.reserve import Reserve
from clawlogd.outbox.store import Store
from clawlogd.settings import Heartbeat, LiveSettings, OutboxBounds, Settings
from support.sidecar import Sidecar, SteppedClock


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def new_outbox(tmp_path: Path, clock: SteppedClock) -> AsyncIterator[Callable[..., Outbox]]:
    """Opens the outbox of the test's folder; the second time, the first must have been closed."""
    opened: list[Outbox] = []

    def open_(store: Store | None = None, *, reserve: Reserve | None = None, **bounds: int) -> Outbox:
        if store is None:
            store = Store(tmp_path / "outbox.db")
            store.open()
        opened.append(
            Outbox(
                store=store,
                witness=Witness(tmp_path / "outbox.seq"),
                reserve=reserve or Reserve(tmp_path / "ballast", 0),
                settings=LiveSettings(Settings(outbox=OutboxBounds(**bounds))),
                clock=clock,
                storage_probe_s=0.01,
            )
        )
        return opened[-1]

    yield open_
    if opened:
        await opened[-1].close()


@pytest.fixture
async def outbox(new_outbox: Callable[..., Outbox]) -> Outbox:
    """An outbox of its own, in the test's event loop."""
    return new_outbox()


Start = Callable[..., Awaitable[Sidecar]]


@pytest.fixture
async def start(tmp_path: Path, clock: SteppedClock) -> AsyncIterator[Start]:
    """Starts a sidecar, the second time over the state of the first, which must have been closed."""
    started: list[Sidecar] = []

    async def start_(**heartbeat: float) -> Sidecar:
        sidecar = await Sidecar.over(tmp_path / "state", clock, Heartbeat(**heartbeat))
        started.append(sidecar)
        return sidecar

    yield start_
    if started:
        await started[-1].close()


@pytest.fixture
async def sidecar(start: Start) -> Sidecar:
    begun = await start()
    begun.begin()
    return begun


@pytest.fixture
async def child() -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that runs until it is killed."""
    process = await asyncio.create_subprocess_exec("sleep", "600")
    yield process
    if process.returncode is None:
        process.kill()
    await process.wait()


@pytest.fixture
def identity(child: asyncio.subprocess.Process) -> WatchedProcess:
    process = identify(child.pid)
    assert process is not None
    return process


@pytest.fixture
def running() -> WatchedProcess:
    """A process that runs for as long as the test: itself."""
    process = identify(os.getpid())
    assert process is not None
    return process


@pytest.fixture
def dead(running: WatchedProcess) -> WatchedProcess:
    """A process whose number now belongs to another one: this test's own."""
    return msgspec.structs.replace(running, started_ticks=(running.started_ticks or 0) - 1)
