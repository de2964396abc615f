"""A real backend for each test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from clawlog_backend.notify.rules import NO_RULES, Rules
from clawlog_backend.settings import Settings
from support.engines import database_on
from support.running_backend import Api, RunningBackend


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where the test's backends keep their tasks: an SQLite file, or what a module's own parameters say."""
    with database_on(getattr(request, "param", "sqlite"), request, tmp_path) as name:
        yield name


@pytest.fixture
def start_backend(database: str) -> Iterator[Callable[..., RunningBackend]]:
    """Starts backends; ``start_backend(keep_days=1)`` changes settings."""
    running: list[RunningBackend] = []

    def start(rules: Rules = NO_RULES, **changes: Any) -> RunningBackend:
        settings = replace(Settings(database=database, port=0), **changes)
        backend = RunningBackend(settings, rules)
        backend.start()
        running.append(backend)
        return backend

    yield start
    for backend in running:
        backend.stop()


@pytest.fixture
def backend(start_backend: Callable[..., RunningBackend]) -> RunningBackend:
    return start_backend()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


@pytest.fixture
def api(session: aiohttp.ClientSession, backend: RunningBackend) -> Api:
    return Api(session, backend.url)
