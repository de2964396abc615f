"""Reports a command's task to the daemon, and watches for stops.

No failure here affects the command: it is a warning at most, and the event waits in the spool.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import TypeVar

from clawlog.async_client import AsyncClient
from clawlog.connection import calls
from clawlog.connection.calls import Call
from clawlog.connection.results import StopState
from clawlog.errors import ClawlogError, Refused
from clawlog.protocol.errors import NOT_NOW
from clawlog.protocol.types import ReportedTaskStatus
from clawlog.tasks.failures import Failures

T = TypeVar("T")

_WATCH_RETRY_S = 1.0


class Reporter:
    """Reports one task.

    Args:
        client: A client for this alone.
        task_id: The task, which need not exist yet.
    """

    def __init__(self, client: AsyncClient, task_id: str) -> None:
        self._client = client
        self._task_id = task_id
        self._failures = Failures(os.environ, strict=False)
        self._refused = False

    async def begin(self, title: str, base_url: str | None) -> None:
        """Creates the task.

        The daemon watches this process, and not the command's: this one ends after it has reported how the command ended, so
        that the daemon never takes an ended command for a lost one.
        """
        await self._send(calls.create_task(title, task_id=self._task_id, watch_pid=os.getpid(), base_url=base_url))
        await self._send(calls.update_task(self._task_id, "running"))

    async def heartbeat(self, summary: str) -> None:
        """Sends a heartbeat with one line about the current work."""
        with contextlib.suppress(ClawlogError):  # the next heartbeat replaces it
            await self._client.heartbeat(self._task_id, summary=summary)

    async def end(self, status: ReportedTaskStatus, summary: str | None) -> None:
        """Reports how the command ended."""
        await self._send(calls.update_task(self._task_id, status, summary=summary))

    async def acknowledge(self, stop: StopState, summary: str) -> None:
        """Acknowledges that the command stopped on request."""
        await self._send(calls.ack_interrupt(self._task_id, interrupt_id=stop.interrupt_id, summary=summary))

    async def watch(self, on_stop: Callable[[StopState], None]) -> None:
        """Waits for requests to stop, until it is cancelled.

        Args:
            on_stop: Called once per request.
        """
        seen: set[str | None] = set()
        while True:
            try:
                async with self._client.watch_interrupt(self._task_id) as watch:
                    async for stop in watch:
                        if stop.interrupt_requested and stop.interrupt_id not in seen:
                            seen.add(stop.interrupt_id)
                            on_stop(stop)
            except ClawlogError:
                await asyncio.sleep(_WATCH_RETRY_S)

    async def _send(self, call: Call[T]) -> None:
        if self._refused:
            return  # the task itself was refused, with a warning: the daemon does not know it
        if not self._failures.should_try_daemon():
            await asyncio.to_thread(self._failures.handle, call, None)
            return
        try:
            await self._client.perform(call)
        except ClawlogError as error:
            declined = isinstance(error, Refused) and error.code not in NOT_NOW
            self._refused = declined and call.method == "task.create"
            await asyncio.to_thread(self._failures.handle, call, error)
