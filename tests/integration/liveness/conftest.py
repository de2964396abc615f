"""Servers that answer polls as a test wants, beside the real embedded backend."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from integration.daemon.conftest import api, embedded, session, start_backend
from integration.liveness.polled_server import PolledServer

__all__ = ["api", "embedded", "session", "start_backend"]


@pytest.fixture
async def polled() -> AsyncIterator[PolledServer]:
    """A server that holds polls and minds its cursor, until the test makes it otherwise."""
    server = await PolledServer().start()
    yield server
    await server.stop()
