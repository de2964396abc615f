"""What the companion does: tells the daemon of the command, hears of stops, and sees to it that a stop is obeyed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass

from clawlog.async_client import AsyncClient
from clawlog.cli.commands.run.plan import RunPlan
from clawlog.cli.commands.run.remarks import Remarks
from clawlog.cli.commands.run.reporter import Reporter
from clawlog.cli.commands.run.tee import Tee
from clawlog.cli.commands.run.tree import Tree, state_of
from clawlog.cli.commands.run.witness import Witness
from clawlog.cli.errors import CommandError
from clawlog.cli.render import times
from clawlog.connection import calls
from clawlog.connection.call import Call
from clawlog.connection.results import Accepted, CreatedTask, StopState
from clawlog.protocol.types import ReportedTaskStatus

HEARTBEAT_S = 2.0
"""How often the command's last line is told, when it has changed."""

LOOK_EVERY_S = 0.05
UNWATCHED_BEAT_EVERY_S = 20.0
UNWATCHED_LEASE_S = 60.0
"""How often it is told that the command runs where the daemon cannot see that itself, and for how long that counts."""

HELD_LOOK_EVERY_S = 0.25
"""How often it is looked whether a signal holds the front process, of which nothing else tells."""

PATIENCE_S = 3.0
"""For how long a daemon that does not answer is waited for, once the command has ended. What was not told then is spooled."""


_ASKER_S = 1.0
"""How long the backend is waited for, to say who asked for a stop."""

_HELD_OR_ENDED = ("T", "t", "Z", "")
"""States of a process, as ``/proc`` names them."""


def supervise(plan: RunPlan, task_id: str, witness: Witness, tee: Tee | None, front: int) -> None:
    """Does it all; returns when the command's end is told, and its output has come to its end."""
    command = witness.begun()
    if command is None:
        return  # it never ran
    asyncio.run(_supervise(plan, Processes(task_id, command, front), witness, tee))
    if tee is not None:
        tee.join()


_TIMEOUT_S = 3.0
"""How long a hung daemon is waited for, once: the wrapped command's end must not wait for long because of it."""


@dataclass(frozen=True, slots=True)
class Processes:
    """Whom it is about.

    Attributes:
        task_id: The command's task.
        command: The command's process.
        front: The front process.
    """

    task_id: str
    command: int
    front: int


async def _supervise(plan: RunPlan, processes: Processes, witness: Witness, tee: Tee | None) -> None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int | None] = loop.create_future()
    witness.on_end(lambda code: loop.call_soon_threadsafe(ended.set_result, code))
    async with AsyncClient(timeout_s=_TIMEOUT_S) as client:
        await Supervisor(plan, processes, tee, Reporter(client, processes.task_id)).supervise(ended)
    witness.done()


class Supervisor:
    """One command, from when it has been started."""

    def __init__(self, plan: RunPlan, processes: Processes, tee: Tee | None, reporter: Reporter) -> None:
        self._plan = plan
        self._task_id = processes.task_id
        self._command = processes.command
        self._front = processes.front
        self._tee = tee
        self._reporter = reporter
        self._remarks = Remarks(quiet=plan.quiet)
        self._asker: asyncio.Task[str | None] | None = None
        self._base_url: str | None = None
        mark = f"CLAWLOG_TASK_ID={processes.task_id}".encode()
        self._tree = Tree(processes.command, mark, frozenset({processes.front, os.getpid()}))
        self._stop: StopState | None = None
        self._asked_at = 0.0
        self._killed = False

    async def supervise(self, ended: asyncio.Future[int | None]) -> None:
        """Waits for the command's end, does what there is to do meanwhile, and tells how it ended.

        Args:
            ended: Becomes its exit status, or a signal's number, negative; None where the front process was killed.
        """
        begun = asyncio.create_task(
            self._reporter.begin(self._plan.title, self._plan.base_url, self._front, self._plan.command),
            name="tell of the task",
        )
        meanwhile = asyncio.create_task(self._meanwhile(begun), name="beats and stops")
        code = await ended
        if code is None:  # what ends the one the caller knows ends the command
            self._tree.kill_root()
        elif self._stop is not None:
            await self._see_the_rest_off()
        meanwhile.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await meanwhile
        if self._tee is not None:
            await asyncio.to_thread(self._tee.drain)
        await self._reporter.conclude(begun, [self._end(code)], PATIENCE_S)
        created = begun.result() if begun.done() and not begun.cancelled() else None
        if created is not None:
            self._remarks.created(created)  # if not yet: a short command has ended before it was known
        if self._stop is not None:
            self._remarks.stopped(await self._asked_by(), self._stop.reason)

    async def _meanwhile(self, begun: asyncio.Task[CreatedTask | None]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hold(), name="hold with the front process")
            created = await asyncio.shield(begun)
            if created is not None:
                self._base_url = created.base_url
                self._remarks.created(created)
            group.create_task(self._reporter.watch(self._ask_to_stop), name="watch for stops")
            if self._reporter.unwatched:
                group.create_task(self._vouch(), name="tell that it runs")
            if self._tee is not None:
                group.create_task(self._heartbeat(self._tee), name="tell the last line")

    async def _heartbeat(self, tee: Tee) -> None:
        told: str | None = None
        while True:
            if (line := tee.last_line) is not None and line != told:
                await self._reporter.heartbeat(line)
                told = line
            await asyncio.sleep(HEARTBEAT_S)

    async def _vouch(self) -> None:
        """Says that the command runs, for a daemon that cannot watch it."""
        while True:
            if state_of(self._command) not in _HELD_OR_ENDED:
                await self._reporter.heartbeat(lease_s=UNWATCHED_LEASE_S)
            await asyncio.sleep(UNWATCHED_BEAT_EVERY_S)

    async def _hold(self) -> None:
        """Stops the command while a signal that cannot be forwarded (SIGSTOP) holds the front process."""
        held, alone = False, 0
        while True:
            is_held = state_of(self._front) == "T"
            alone = alone + 1 if is_held and state_of(self._command) not in _HELD_OR_ENDED else 0
            if alone == 2:  # at the first look the signal may be on its way to the command as well
                os.kill(self._command, signal.SIGSTOP)
                held = True
            elif held and not is_held:
                os.kill(self._command, signal.SIGCONT)
                held = False
            await asyncio.sleep(HELD_LOOK_EVERY_S)

    def _ask_to_stop(self, stop: StopState) -> None:
        first = self._stop is None
        self._stop = stop
        if first:
            self._asked_at = time.monotonic()
            if self._remarks.wanted and self._base_url is not None:
                question = asyncio.to_thread(_who_asked, self._base_url, self._task_id)
                self._asker = asyncio.create_task(question, name="ask who wants the stop")
            self._tree.send(self._plan.stop_signal, signal.SIGCONT)  # one that is stopped is woken to hear it
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._front, signal.SIGCONT)
            asyncio.get_running_loop().call_later(self._plan.grace_s, self._kill)

    async def _asked_by(self) -> str | None:
        """Who asked for the stop, as far as the backend has said meanwhile."""
        if self._asker is None:
            return None
        await asyncio.wait([self._asker], timeout=_ASKER_S)
        return self._asker.result() if self._asker.done() else None

    def _kill(self) -> None:
        if self._tree.living():
            self._killed = True
            self._tree.send(signal.SIGKILL)

    async def _see_the_rest_off(self) -> None:
        """Waits until what the command had started has stopped as well, and kills it when the grace is over."""
        while self._tree.living():
            if time.monotonic() >= self._asked_at + self._plan.grace_s:
                self._kill()
                return
            await asyncio.sleep(LOOK_EVERY_S)

    def _end(self, code: int | None) -> Call[Accepted]:
        """What there is to tell of the command's end."""
        if code is None:
            return calls.update_task(
                self._task_id, "failed", summary="killed: SIGKILL ended clawlog run, and the command with it"
            )
        how = f"exit status {code}" if code >= 0 else f"ended by {_name(-code)}"
        if self._stop is not None:
            took = times.duration(time.monotonic() - self._asked_at)
            how = f"ignored {self._plan.stop_signal.name} and was killed" if self._killed else how
            summary = f"{how}, {took} after the stop"
            return calls.ack_interrupt(self._task_id, interrupt_id=self._stop.interrupt_id, summary=summary)
        last = self._tee.last_line if self._tee is not None else None
        status: ReportedTaskStatus = "done" if code == 0 else "interrupted" if code == -signal.SIGINT else "failed"
        return calls.update_task(self._task_id, status, summary=last if code == 0 else f"{how}: {last}" if last else how)


def _who_asked(base_url: str, task_id: str) -> str | None:
    """Returns who asked for the task's stop; None where its backend does not say."""
    from clawlog.cli.sources.backend import Backend  # noqa: PLC0415 - most commands are never stopped

    try:
        stop = Backend(base_url, os.environ, timeout_s=_ASKER_S).task(task_id).stop
    except CommandError:
        return None
    return stop.requested_by if stop is not None else None


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
