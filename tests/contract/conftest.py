"""A daemon that listens in every way, and callers of every kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from support.callers import Caller, DealerCaller, DelimitingDealerCaller, ReqCaller, UnixCaller
from support.running_daemon import QUICK, RunningDaemon

Connect = Callable[[str], Awaitable[Caller]]


@pytest.fixture
async def daemon(new_daemon: Callable[..., RunningDaemon], folder: Path) -> RunningDaemon:
    """A daemon that serves a Unix socket and ZeroMQ."""
    started = new_daemon(msgspec.structs.replace(QUICK, zmq=f"ipc://{folder}/d.zmq"))
    await started.start()
    return started


@pytest.fixture
async def connect(daemon: RunningDaemon) -> AsyncIterator[Connect]:
    """Connects a caller of a kind: unix, req, dealer, or dealer with delimiter."""
    opened: list[Caller] = []

    async def connect(kind: str) -> Caller:
        endpoint = daemon.settings.zmq or ""
        match kind:
            case "unix":
                opened.append(await UnixCaller.connect(daemon.socket_path))
            case "req":
                opened.append(ReqCaller(endpoint))
            case "dealer":
                opened.append(DealerCaller(endpoint))
            case "dealer with delimiter":
                opened.append(DelimitingDealerCaller(endpoint))
        return opened[-1]

    yield connect
    for caller in opened:
        await caller.close()


@pytest.fixture(params=["unix", "req", "dealer", "dealer with delimiter"])
async def any_caller(request: pytest.FixtureRequest, connect: Connect) -> Caller:
    """One caller of each kind in turn."""
    return await connect(request.param)


@pytest.fixture(params=["unix", "dealer"])
async def caller(request: pytest.FixtureRequest, connect: Connect) -> Caller:
    """A caller that may send without waiting for a reply, over each listener in turn."""
    return await connect(request.param)
