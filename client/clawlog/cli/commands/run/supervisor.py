"""Runs a command as a task: starts it, reports on it, stops it on request, and exits with its status."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from clawlog.async_client import AsyncClient
from clawlog.cli.commands.run.child import Child
from clawlog.cli.commands.run.reporter import Reporter
from clawlog.cli.commands.run.tee import Tee
from clawlog.cli.commands.run.terminal import Terminal
from clawlog.cli.render import times
from clawlog.connection.results import StopState
from clawlog.protocol.ids import new_uuid
from clawlog.protocol.types import ReportedTaskStatus

HEARTBEAT_S = 2.0
"""How often the command's last line is reported, if it has changed."""


GROUP_CHECK_S = 0.05

_TIMEOUT_S = 3.0
"""How long a hung daemon is waited for, once: the wrapped command's end must not wait for long because of it."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """How to run a command.

    Attributes:
        command: What to run, with its arguments.
        title: The task's title.
        base_url: Its backend; None for the daemon's setting.
        stop_signal: The signal that asks the command to stop.
        grace_s: Seconds until it is killed after that signal.
        summary_from_output: Whether its last line of output is the heartbeat's summary.
    """

    command: Sequence[str]
    title: str
    base_url: str | None
    stop_signal: signal.Signals
    grace_s: float
    summary_from_output: bool


async def run(plan: RunPlan) -> int:
    """Runs the command; returns its exit status, or 128 and the number of the signal that ended it.

    Raises:
        CommandError: The command cannot be run.
    """
    task_id = new_uuid()
    child = Child(Terminal.of_this_process())
    tee = Tee() if plan.summary_from_output else None
    env = {**os.environ, "CLAWLOG_TASK_ID": task_id}
    # In a pipeline the other programs need the terminal, too: there the command gets it when it asks for it.
    alone = os.isatty(0) and os.isatty(1)
    child.start(plan.command, env, tee.write_fd if tee else None, to_foreground=alone)
    if tee is not None:
        tee.begin()
    async with AsyncClient(timeout_s=_TIMEOUT_S) as client:
        return await Supervisor(plan, child, tee, Reporter(client, task_id)).run()


class Supervisor:
    """One run, from the start of the command."""

    def __init__(self, plan: RunPlan, child: Child, tee: Tee | None, reporter: Reporter) -> None:
        self._plan = plan
        self._child = child
        self._tee = tee
        self._reporter = reporter
        self._stop: StopState | None = None
        self._asked_at = 0.0
        self._killed = False

    async def run(self) -> int:
        """Waits for the command's end, and reports and watches meanwhile; returns its exit status."""
        begun = asyncio.create_task(self._reporter.begin(self._plan.title, self._plan.base_url), name="create the task")
        meanwhile = asyncio.create_task(self._report_and_watch(begun), name="beats and stops")
        code = await self._child.ended
        if self._stop is not None:
            await self._wait_for_group()
        meanwhile.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await meanwhile
        if self._tee is not None:
            await asyncio.to_thread(self._tee.finish)
        await begun
        await self._report_end(code)
        return code if code >= 0 else 128 - code

    async def _report_and_watch(self, begun: asyncio.Task[None]) -> None:
        await asyncio.shield(begun)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reporter.watch(self._ask_to_stop), name="watch for stops")
            if self._tee is not None:
                group.create_task(self._send_last_lines(self._tee), name="report the last line")

    async def _send_last_lines(self, tee: Tee) -> None:
        sent: str | None = None
        while True:
            if (line := tee.last_line) is not None and line != sent:
                await self._reporter.heartbeat(line)
                sent = line
            await asyncio.sleep(HEARTBEAT_S)

    def _ask_to_stop(self, stop: StopState) -> None:
        first = self._stop is None
        self._stop = stop
        if first:
            self._asked_at = time.monotonic()
            self._child.ask_to_stop(self._plan.stop_signal)
            asyncio.get_running_loop().call_later(self._plan.grace_s, self._kill)

    def _kill(self) -> None:
        if not self._child.ended.done():
            self._killed = True
            self._child.send(signal.SIGKILL)

    async def _wait_for_group(self) -> None:
        """Waits until the command's children have stopped as well, and kills them after the grace period."""
        while not self._child.is_alone():
            if time.monotonic() >= self._asked_at + self._plan.grace_s:
                self._killed = True
                self._child.send(signal.SIGKILL)
                return
            await asyncio.sleep(GROUP_CHECK_S)

    async def _report_end(self, code: int) -> None:
        how = f"exit status {code}" if code >= 0 else f"ended by {signal.Signals(-code).name}"
        if self._stop is not None:
            took = times.duration(time.monotonic() - self._asked_at)
            how = f"ignored {self._plan.stop_signal.name} and was killed" if self._killed else how
            await self._reporter.acknowledge(self._stop, f"{how}, {took} after the stop")
            return
        last = self._tee.last_line if self._tee is not None else None
        status: ReportedTaskStatus = "done" if code == 0 else "interrupted" if code == -signal.SIGINT else "failed"
        await self._reporter.end(status, last if code == 0 else f"{how}: {last}" if last else how)
