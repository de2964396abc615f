"""The watchdog is fed only while things get done: a feed in vain would keep a daemon that serves nobody."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.running_daemon import RunningDaemon, until

WATCHDOG_US = 150_000


@pytest.fixture
def manager(folder: Path) -> Iterator[socket.socket]:
    """The service manager's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as end:
        end.bind(str(folder / "notify"))
        yield end


def feeds(manager: socket.socket) -> int:
    """How often the watchdog was fed since the last call."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            count += manager.recv(4096) == b"WATCHDOG=1"
    return count


async def test_an_outbox_that_hangs_feeds_no_watchdog(
    new_daemon: Callable[..., RunningDaemon], manager: socket.socket, folder: Path
) -> None:
    daemon = new_daemon(env={"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": str(WATCHDOG_US)})
    await daemon.start()
    await until(lambda: feeds(manager))
    hangs, goes_on = threading.Event(), threading.Event()

    def hang(_: object) -> None:
        hangs.set()
        goes_on.wait()

    hanging = asyncio.create_task(daemon.services.outbox.read(hang))
    try:
        assert await asyncio.to_thread(hangs.wait, 5)
        feeds(manager)
        await asyncio.sleep(4 * WATCHDOG_US / 1e6)  # four times as long as the manager would wait
        assert feeds(manager) == 0
    finally:
        goes_on.set()
        await hanging
    await until(lambda: feeds(manager))
