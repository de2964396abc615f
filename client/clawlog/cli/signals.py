"""Ends a command in order on a signal: Ctrl-C, a service manager, a closed terminal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(main: Coroutine[Any, Any, int]) -> int:
    """Runs a command's coroutine; a signal cancels it, so that its ``finally`` blocks end what it started.

    A second signal cancels again, which cuts a slow shutdown short.

    Returns:
        The coroutine's result, or 128 and the signal's number.
    """
    received: list[int] = []

    async def guarded() -> int:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio.run made it

        def stop(number: signal.Signals) -> None:
            received.append(number)
            task.cancel()

        for number in ENDING:
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
        return await main

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        return 128 + received[0]
