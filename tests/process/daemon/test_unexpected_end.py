"""A daemon whose loop ends by itself says which one, and ends, so that a service manager starts it anew."""

from __future__ import annotations

import sys
from collections.abc import Callable

from support.daemon_process import DaemonProcess

_WITHOUT_HEARTBEATS = """
from clawlogd.liveness.schedule import HeartbeatSchedule
from clawlogd.main import main

async def returns(self):
    pass

HeartbeatSchedule.run = returns
main()
"""


async def test_a_loop_that_returns_ends_the_daemon_with_a_failure(new_process: Callable[..., DaemonProcess]) -> None:
    process = new_process()
    await process.launch(command=[sys.executable, "-c", _WITHOUT_HEARTBEATS])
    assert await process.ended() == 1
    assert "task_failed task=heartbeats" in process.log
    assert not process.socket_path.exists()
