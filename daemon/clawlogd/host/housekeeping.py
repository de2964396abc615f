"""What has to be done from time to time: pruning, forgetting, checking records, the spool, the watchdog, leaving when idle."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio

from clawlogd.errors import OutboxError
from clawlogd.host.systemd import ServiceManager
from clawlogd.logs import Log
from clawlogd.outbox.store import Store
from clawlogd.rpc.dispatcher import Dispatcher
from clawlogd.rpc.spool import Spool
from clawlogd.services import Call, Services
from clawlogd.verbs import daemon
from clawlogd.verbs.params import NoParams

_ROUND_S = 2.0
_ROUNDS_A_MINUTE = 30
_CHECKED_AT_ONCE = 2000
_BREATH_S = 0.05


class Housekeeping:
    """The daemon's chores.

    Args:
        services: What they are done on.
        dispatcher: Knows when the last command came.
        spool: Looked into now and then.
        manager: Told how the daemon stands.
        stop: Asks the daemon to end.
        connections: How many callers are connected.
    """

    def __init__(
        self,
        *,
        services: Services,
        dispatcher: Dispatcher,
        spool: Spool,
        manager: ServiceManager,
        stop: Callable[[], None],
        connections: Callable[[], int],
    ) -> None:
        self._services = services
        self._dispatcher = dispatcher
        self._spool = spool
        self._manager = manager
        self._stop = stop
        self._connections = connections
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
            await self._spool.drain()
            self._services.liveness.save_last_seen()
            self.tell_manager()
            self._leave_when_idle()
            if rounds % _ROUNDS_A_MINUTE == 0:
                self._forget()
                await self._prune()

    async def feed_watchdog(self) -> None:
        """Tells the service manager that the event loop turns, and that the outbox's thread answers."""
        assert self._manager.watchdog_s is not None  # noqa: S101 - started only then
        while True:
            await self._services.outbox.read(lambda _: None)
            self._manager.alive()
            await anyio.sleep(self._manager.watchdog_s / 3)

    async def _check_records(self) -> None:
        """Holds every waiting record against its checksum, a stretch at a time. What does not fit is buried when met."""
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

    def _forget(self) -> None:
        now_ms, settings = self._services.clock.wall_ms(), self._services.settings.tasks
        for task in list(self._services.registry):
            since_ms, keep_s = task.lost_ms, settings.forget_lost_after_s
            if task.status.ended:
                since_ms, keep_s = task.ended_ms, settings.forget_ended_after_s
            if (
                since_ms is not None
                and now_ms - since_ms > keep_s * 1000
                and not self._services.outbox.counts.by_task[task.task_id]
            ):
                self._services.registry.forget(task.task_id)

    def _leave_when_idle(self) -> None:
        idle_exit_s = self._services.settings.idle_exit_s
        if not idle_exit_s or self._connections() or self._services.outbox.counts.waiting:
            return
        idle_s = self._services.clock.monotonic() - self._dispatcher.last_command
        if idle_s > idle_exit_s and not any(task.live for task in self._services.registry):
            self._log.info("idle_exit", idle_s=round(idle_s))
            self._stop()

    def tell_manager(self) -> None:
        """Says in one line how the daemon stands."""
        if not self._manager.listens:
            return
        report = daemon.status(self._services, NoParams(), Call(self._services.clock.wall_ms()))
        waits = f"waiting events: {report.outbox.pending}, live tasks: {report.tasks.live}"
        self._manager.status(f"{waits}; {'; '.join(report.problems)}" if report.problems else waits)
