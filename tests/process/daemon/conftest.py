from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from daemon_process import DaemonProcess


@pytest.fixture
async def new_process(folder: Path) -> AsyncIterator[Callable[..., DaemonProcess]]:
    """Makes daemons' processes, over one state folder, that are ended with the test; they are not started yet."""
    made: list[DaemonProcess] = []

    def make(**env: str) -> DaemonProcess:
        made.append(DaemonProcess(folder, **env))
        return made[-1]

    yield make
    for process in made:
        await process.clean_up()


@pytest.fixture
async def process(new_process: Callable[..., DaemonProcess]) -> DaemonProcess:
    """A daemon's process, ready. Its default backend is where nobody is: a test reaches no server but its own."""
    return await new_process(CLAWLOG_BASE_URL="http://127.0.0.1:9").start()
