"""Feeds the service manager's watchdog, but only while work gets done: else a daemon that hangs would be kept running."""

from __future__ import annotations

import anyio

from clawlogd.host.systemd import ServiceManager
from clawlogd.outbox.queue import Outbox

_FEEDS_PER_INTERVAL = 3


async def feed_watchdog(manager: ServiceManager, outbox: Outbox, interval_s: float) -> None:
    """Reports to the service manager that the event loop turns and that the outbox's thread answers, until cancelled.

    Args:
        manager: The service manager.
        outbox: Is asked something each time; one that hangs feeds no watchdog.
        interval_s: After how long without a feed the manager acts.
    """
    while True:
        await outbox.read(lambda _: None)
        manager.alive()
        await anyio.sleep(interval_s / _FEEDS_PER_INTERVAL)
