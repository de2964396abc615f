"""A real embedded backend as a process of its own, shared by the tests of one run; each test has tasks of its own there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from support.backend_process import BackendProcess
from support.polled_server import PolledServer
from support.running_backend import Api

StartBackend = Callable[..., BackendProcess]


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    """A backend that no test stops."""
    process = BackendProcess(tmp_path_factory.mktemp("embedded"))
    process.start()
    yield process
    process.stop()


@pytest.fixture
def start_backend(tmp_path: Path) -> Iterator[StartBackend]:
    """Starts backends of the test's own, which it may stop; ``start_backend(token=…)`` guards one."""
    started: list[BackendProcess] = []

    def start(**options: Any) -> BackendProcess:
        folder = tmp_path / f"backend-{len(started)}"
        folder.mkdir()
        process = BackendProcess(folder, **options)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.stop()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


@pytest.fixture
def api(session: aiohttp.ClientSession, embedded: BackendProcess) -> Api:
    """Calls to the shared backend, as a person's dashboard makes them."""
    return Api(session, embedded.url)


@pytest.fixture
async def polled() -> AsyncIterator[PolledServer]:
    """A server that holds polls and minds its cursor, until the test makes it otherwise."""
    server = await PolledServer().start()
    yield server
    await server.stop()
