"""A daemon for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.running_daemon import RunningDaemon


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    daemon = RunningDaemon(tmp_path)
    await daemon.start()
    yield daemon
    await daemon.stop()
