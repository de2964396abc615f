"""What has to be done from time to time: pruning, forgetting, checking records, draining the spool, ending when idle."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import anyio.lowlevel

from clawlogd.errors import OutboxError
from clawlogd.host.status import report_status
from clawlogd.host.systemd import ServiceManager
from clawlogd.logs import Log
from clawlogd.outbox.store import Store
from clawlogd.services import Services

_ROUND_S = 2.0
_ROUNDS_PER_TIDYING = 30  # so once a minute
_CHECKED_AT_ONCE = 2000
_BREATH_S = 0.05
_FORGOTTEN_AT_ONCE = 500


class Housekeeping:
    """The daemon's chores.

    Args:
        services: What they are done on.
        drain_spool: Makes the calls that were spooled since the last round.
        manager: Is told the daemon's status.
        request_shutdown: Ends the daemon, when it is idle.
        connections: How many callers are connected.
        last_command: When the last command came, monotonic.
        check_places: Looks whether sockets and state are where they were; None where that is not to be done.
    """

    def __init__(
        self,
        *,
        services: Services,
        drain_spool: Callable[[], Awaitable[object]],
        manager: ServiceManager,
        request_shutdown: Callable[[], None],
        connections: Callable[[], int],
        last_command: Callable[[], float],
        check_places: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._services = services
        self._check_places = check_places
        self._drain_spool = drain_spool
        self._manager = manager
        self._request_shutdown = request_shutdown
        self._connections = connections
        self._last_command = last_command
        self._log = Log("housekeeping")

    async def run(self) -> None:
        """Does the chores until cancelled."""
        try:
            await self._check_records()
        except OutboxError as error:
            self._log.warning("records_not_checked", error=str(error))
        rounds = 0
        while True:
            await anyio.sleep(_ROUND_S)
            rounds += 1
            if self._check_places is not None:
                await self._check_places()
                self._services.interrupts.restore_files()
                self._services.sessions.holds.restore_files()
            await self._drain_spool()
            self._services.liveness.save_last_seen()
            report_status(self._services, self._manager)
            await self._services.backends.end_idle()
            self._end_when_idle()
            if rounds % _ROUNDS_PER_TIDYING == 0:
                await self.tidy()

    async def tidy(self) -> None:
        """Forgets the tasks that are long over, and prunes the events that were delivered long ago."""
        await self._forget()
        await self._prune()

    async def _check_records(self) -> None:
        """Compares every waiting record with its checksum. One that does not fit becomes a dead letter when its turn comes."""
        after: int | None = 0
        while after is not None:
            bad, after = await self._services.outbox.read(partial(Store.damaged, after=after, limit=_CHECKED_AT_ONCE))
            if bad:
                self._services.runtime.damaged.extend(bad)
                self._log.error("records_damaged", seqs=bad[:20], count=len(bad))

    async def _prune(self) -> None:
        outbox, settings = self._services.outbox, self._services.settings.outbox
        before_ms = self._services.clock.wall_ms() - int(settings.keep_delivered_s * 1000)
        try:
            while await outbox.prune(before_ms):  # noqa: ASYNC110 - nothing is waited for
                await anyio.sleep(_BREATH_S)  # commands come first
        except OutboxError as error:
            self._log.warning("prune_failed", error=str(error))

    async def _forget(self) -> None:
        registry, settings = self._services.registry, self._services.settings.tasks
        for over, keep_s in (
            (registry.census.ended, settings.forget_ended_after_s),
            (registry.census.lost, settings.forget_lost_after_s),
        ):
            before_ms = self._services.clock.wall_ms() - keep_s * 1000
            for number, task_id in enumerate(tuple(over), start=1):
                if number % _FORGOTTEN_AT_ONCE == 0:
                    await anyio.lowlevel.checkpoint()
                task = registry.find(task_id)
                if task is None or task_id not in over:
                    continue  # since a moment ago
                since_ms = task.ended_ms if task.status.ended else task.lost_ms
                if since_ms is not None and since_ms >= before_ms:
                    break  # those that follow are younger
                if since_ms is not None and not self._services.outbox.counts.by_task[task_id]:
                    registry.forget(task_id)

    def _end_when_idle(self) -> None:
        idle_exit_s = self._services.settings.idle_exit_s
        if not idle_exit_s or self._connections() or self._services.outbox.counts.waiting:
            return
        idle_s = self._services.clock.monotonic() - self._last_command()
        if idle_s > idle_exit_s and not self._services.registry.census.live:
            self._log.info("idle_exit", idle_s=round(idle_s))
            self._request_shutdown()
