"""Tasks that a person has ended at their backend, because the agent seemed gone: they end here, too, until the agent goes on.

That a control state says so is not enough: it may be older than what the agent has reported since. So the task itself is read
while nothing of it waits to be delivered, and ends as it stands there.
"""

from __future__ import annotations

import asyncio

import anyio
import msgspec

from clawlogd.clock import Clock
from clawlogd.interrupts.state import Interrupts
from clawlogd.logs import Log
from clawlogd.model import TaskStatus
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.answers import Outcome
from clawlogd.upstream.client import Upstream
from clawlogd.upstream.controls import read_closed

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_TRIES = 12  # some four minutes; then the next control state tells of it again, or the next start


class Closings:
    """One backend's closed tasks.

    Args:
        upstream: The backend, over connections of the watcher's own.
        registry: The tasks.
        interrupts: Knows whether anything of a task waits to be delivered.
        clock: Where the time is read.
    """

    def __init__(self, *, upstream: Upstream, registry: Registry, interrupts: Interrupts, clock: Clock) -> None:
        self._upstream = upstream
        self._registry = registry
        self._interrupts = interrupts
        self._clock = clock
        self._log = Log("watcher", backend=upstream.base_url)
        self._looking: dict[str, asyncio.Task[None]] = {}

    def look_into(self, task_id: str) -> None:
        """Looks whether a task is closed, as a control state says."""
        if task_id not in self._looking:
            looking = asyncio.create_task(self._look_into(task_id), name=f"closed {task_id}")
            self._looking[task_id] = looking
            looking.add_done_callback(lambda _: self._looking.pop(task_id, None))

    def cancel(self) -> None:
        """Looks no further."""
        for looking in tuple(self._looking.values()):
            looking.cancel()

    async def _look_into(self, task_id: str) -> None:
        try:
            pause_s = _FIRST_PAUSE_S
            for _ in range(_TRIES):
                if await self._is_settled(task_id):
                    return
                await anyio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        except Exception as error:  # noqa: BLE001 - it concerns this task alone
            self._log.error("closing_failed", task_id=task_id, error=repr(error))

    async def _is_settled(self, task_id: str) -> bool:
        """Reads the task once, and ends it where it is closed there. Returns whether that is known."""
        task = self._registry.find(task_id)
        if task is None or task.status.ended:
            return True
        if self._interrupts.has_undelivered(task_id):
            return False
        answer = await self._upstream.get_task(task.remote_id or task_id)
        task = self._registry.find(task_id)
        if task is None or task.status.ended:
            return True
        if answer.outcome is Outcome.TRANSIENT or self._interrupts.has_undelivered(task_id):
            return False
        closed = read_closed(answer)
        if closed is not None:
            status, summary = closed
            self._log.info("closed", task_id=task_id, status=status, summary=summary)
            ended_ms = self._clock.wall_ms()
            self._registry.put(
                msgspec.structs.replace(
                    task,
                    status=TaskStatus(status),
                    summary=summary or task.summary,
                    finished=False,
                    closed=True,
                    ended_ms=ended_ms,
                    waiting_ms=None,
                )
            )
        return True
