from __future__ import annotations

from collections.abc import Callable

import pytest

from support.daemon_process import DaemonProcess


@pytest.fixture
async def process(new_process: Callable[..., DaemonProcess]) -> DaemonProcess:
    """A daemon's process, ready."""
    return await new_process().start()
