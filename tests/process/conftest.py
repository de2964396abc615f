from __future__ import annotations

from collections.abc import Callable

import pytest

from support.daemon_process import DaemonProcess


@pytest.fixture
async def process(new_process: Callable[..., DaemonProcess]) -> DaemonProcess:
    """A daemon's process, ready. Its default backend is where nobody is: a test reaches no server but its own."""
    return await new_process(CLAWLOG_BASE_URL="http://127.0.0.1:9").start()
