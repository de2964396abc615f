"""Reports a command's task to the daemon, and watches for stops.

No failure here affects the command: it is a warning at most, and the event waits in the spool.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from clawlog import origin, spool, trace_context
from clawlog.async_client import AsyncClient
from clawlog.cli.commands.run import trace
from clawlog.connection import calls
from clawlog.connection.call import Call
from clawlog.connection.results import CreatedTask, StopState
from clawlog.errors import ClawlogError, Refused
from clawlog.protocol.errors import NOT_NOW
from clawlog.tasks.failures import LOGGER, Failures

T = TypeVar("T")

_WATCH_RETRY_S = 1.0


class Reporter:
    """Reports one task.

    Args:
        client: A client for this alone.
        task_id: The task, which need not exist yet.

    Attributes:
        unwatched: Whether the daemon cannot see the front process, so that beats have to say that it runs.
    """

    def __init__(self, client: AsyncClient, task_id: str) -> None:
        self._client = client
        self._task_id = task_id
        self._failures = Failures(os.environ, strict=False)
        self._failures.where = str(client.address)
        self._refused = False
        self.unwatched = False
        self._unsent: list[Call[Any]] = []

    async def begin(self, title: str, base_url: str | None, front: int, command: Sequence[str]) -> CreatedTask | None:
        """Creates the task; returns it, if the daemon has taken it.

        The daemon watches the front process, and not the command's: that one ends after it is reported how the command ended,
        so that the daemon never takes an ended command for a lost one. It may be in a container, where it cannot be seen.
        """
        parent = origin.parent(self._task_id, os.environ)
        pairs = {"command": origin.command(command)}
        if (caller := trace.caller_of(self._task_id, os.environ)) is not None:
            pairs[trace_context.KEY] = caller
        create = calls.create_task(
            title,
            task_id=self._task_id,
            watch_pid=front,
            base_url=base_url,
            metadata=origin.metadata(pairs, os.environ),
            cwd=origin.folder(),
            parent_task_id=parent,
            parent_implied=True if parent is not None else None,
            implied=frozenset({"watch_pid"}),
        )
        update = calls.update_task(self._task_id, "running")
        self._unsent = [create, update]
        created = await self._send(create)
        await self._send(update)
        return created

    async def conclude(self, begun: asyncio.Task[CreatedTask | None], last: Sequence[Call[Any]], patience_s: float) -> None:
        """Reports how the command ended, after what was to be reported before.

        Args:
            begun: The report of its beginning.
            last: What remains to be reported.
            patience_s: How long the daemon may take over all that; what it has not taken then goes to the spool.
        """
        self._unsent += last
        try:
            async with asyncio.timeout(patience_s):
                await begun
                for call in last:
                    await self._send(call)
        except TimeoutError:
            await asyncio.to_thread(self._spool)

    async def heartbeat(self, summary: str | None = None, *, lease_s: float | None = None) -> None:
        """Sends a heartbeat, with one line about the current work, or one that counts for a while."""
        with contextlib.suppress(ClawlogError):  # the next heartbeat replaces it
            await self._client.heartbeat(self._task_id, summary=summary, lease_s=lease_s)

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

    async def _send(self, call: Call[T]) -> T | None:
        """Sends a call, and sees to it that it is not lost; returns its result, if the daemon has taken it."""
        if self._refused:
            return None  # the task itself was refused, with a warning: the daemon does not know it
        result = None
        if not self._failures.should_try_daemon():
            await asyncio.to_thread(self._failures.handle, call, None)
        else:
            try:
                result = await self._client.perform(call)
            except ClawlogError as error:
                if (without := call.without_implied(error)) is not None:
                    self.unwatched = True
                    self._unsent[self._unsent.index(call)] = without
                    return await self._send(without)
                declined = isinstance(error, Refused) and error.code not in NOT_NOW
                self._refused = declined and call.method == "task.create"
                await asyncio.to_thread(self._failures.handle, call, error)
        self._unsent.remove(call)
        return result

    def _spool(self) -> None:
        """Each call carries its event's id: one that the daemon takes late, and finds in the spool again, counts once."""
        try:
            spool.keep([(call.method, call.params) for call in self._unsent], os.environ)
        except ClawlogError as error:
            LOGGER.warning("what was to be reported of the command is lost: %s", error)
        else:
            LOGGER.warning("the daemon does not answer: what was to be reported of the command waits in the spool")
