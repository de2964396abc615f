"""What the daemon does of itself for sessions: it reads their signs, and follows up on stops that no report will answer."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec

from clawlog.protocol.agents import ENDED_BY_HOOK
from clawlogd.agents import turns
from clawlogd.agents.chain import Chain
from clawlogd.agents.report import Wording
from clawlogd.context import CallContext
from clawlogd.errors import OutboxError
from clawlogd.liveness.processes import runs
from clawlogd.liveness.signs import Sign
from clawlogd.logs import Log
from clawlogd.model import Activity, Task
from clawlogd.services import Services
from clawlogd.tasks.registry import ObserverOrder

_log = Log("agents")

_ROUND_S = 1.0
_LOOKED_AT_ONCE = 10_000  # tasks
_TERMINALS = ("/dev/pts/", "/dev/tty", "/dev/console")


class SessionWatch:
    """Watches over all sessions.

    Args:
        services: The services.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._signalled: set[str] = set()
        services.registry.observe(ObserverOrder.SESSIONS, self._task_changed)
        services.liveness.ends_well = self._leave

    async def run(self) -> None:
        """Reads signs once a second, until cancelled."""
        await self._resume()
        signs = self._services.sessions.signs
        while True:
            await anyio.sleep(_ROUND_S)
            signs.restore_folders()
            if signs.awaited:
                for sign in await anyio.to_thread.run_sync(signs.read, abandon_on_cancel=True):
                    self.take(sign)
            self._signal_those_that_go_on()

    def take(self, sign: Sign) -> None:
        """Takes in a sign: the agent lives, and is at that tool."""
        services = self._services
        task = services.sessions.signs.task_of(sign)
        if task is not None:
            task = turns.by_this_clock(task, services.clock.wall_ms(), sign.at_ms)
        if task is None or task.session is None or task.status.ended or (task.lost_ms or 0) >= sign.at_ms:
            return
        tool = Wording(services.settings, task.base_url).tool(sign.tool)
        chain = Chain(task, sign.at_ms)
        turns.resume_work(chain, sign.at_ms)
        try:
            services.check_room(chain.changes)
            for change in chain.changes:
                services.accept(msgspec.structs.replace(change, task=chain.task, head=True), _now(services, sign.at_ms))
        except OutboxError as error:  # that it goes on; that it lives is known all the same
            _log.warning_seldom("sign_not_recorded", error=str(error))
        summary = f"{tool} failed" if tool and sign.failed else tool
        services.liveness.record_command(services.registry.get(task.task_id), summary=summary)

    def _leave(self, task: Task) -> bool | None:
        """Ends a session whose process has ended between two turns. Returns None for one that was at work, or asked."""
        if task.session is None or task.session.activity is not Activity.IDLE:
            return None
        services, now_ms = self._services, self._services.clock.wall_ms()
        chain = Chain(task, now_ms)
        turns.leave(chain, now_ms)
        try:
            services.accept(msgspec.structs.replace(chain.changes[-1], task=chain.task, head=True), _now(services, now_ms))
        except OutboxError as error:
            _log.warning_seldom("end_not_recorded", task_id=task.task_id, error=str(error))
            return False
        return True

    # ── Stops ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _task_changed(self, before: Task | None, after: Task | None) -> None:
        """A stop between two turns has nothing to hold back: it is acknowledged here."""
        if after is None or after.session is None or not after.interrupt_pending:
            return
        if after.session.activity is Activity.IDLE and (before is None or not before.interrupt_pending):
            # Not at once: this is called while the stop itself is being entered.
            asyncio.get_running_loop().call_soon(self._acknowledge, after.task_id)

    async def _resume(self) -> None:
        """Acknowledges what an earlier run could not."""
        if not self._services.registry.census.stopping:
            return
        for number, task in enumerate(list(self._services.registry), start=1):
            if number % _LOOKED_AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()
            if task.session is not None and task.session.activity is Activity.IDLE and task.interrupt_pending:
                self._acknowledge(task.task_id)

    def _acknowledge(self, task_id: str) -> None:
        services = self._services
        task = services.registry.find(task_id)
        if task is None or task.session is None or task.session.activity is not Activity.IDLE or not task.interrupt_pending:
            return
        services.interrupts.mark_delivered(task_id, "nothing runs: it waits for a prompt")
        now_ms = services.clock.wall_ms()
        chain = Chain(services.registry.get(task_id), now_ms)
        chain.acknowledge("stopped between two turns")
        try:
            services.accept(chain.changes[-1], _now(services, now_ms))
        except OutboxError as error:
            _log.warning("stop_not_acknowledged", task_id=task_id, error=str(error))

    def _signal_those_that_go_on(self) -> None:
        """Interrupts headless agents that were refused tools for long and go on all the same, where that is wanted."""
        after_s = self._services.settings.agents.interrupt_after_s
        if not after_s:
            return
        for task_id in list(self._services.sessions.holds.held):
            task = self._services.registry.find(task_id)
            if task is not None and self._goes_on(task, after_s):
                self._interrupt(task)

    def _goes_on(self, task: Task, after_s: float) -> bool:
        session = task.session
        if session is None or session.refused_ms is None or session.held is None or not task.live:
            return False
        if session.agent in ENDED_BY_HOOK or session.held in self._signalled or not task.interrupt_pending:
            return False
        return self._services.clock.wall_ms() - session.refused_ms >= after_s * 1000

    def _interrupt(self, task: Task) -> None:
        process, session = task.watched, task.session
        if process is None or session is None or session.held is None or not runs(process) or not is_headless(process.pid):
            return
        self._signalled.add(session.held)
        try:
            os.kill(process.pid, signal.SIGINT)
        except OSError as error:
            _log.warning("interrupt_failed", task_id=task.task_id, pid=process.pid, error=str(error))
        else:
            _log.info("interrupted", task_id=task.task_id, pid=process.pid)


def is_headless(pid: int) -> bool:
    """Whether a process of this user's has no terminal to read from: nobody sits before it."""
    try:
        if Path(f"/proc/{pid}").stat().st_uid != os.geteuid():
            return False
        return not str(Path(f"/proc/{pid}/fd/0").readlink()).startswith(_TERMINALS)
    except OSError:
        return False


def _now(services: Services, at_ms: int) -> CallContext:
    return CallContext.of_the_daemon(min(at_ms, services.clock.wall_ms()))
