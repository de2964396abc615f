"""What is known of people's requests to stop, and how fresh that knowledge is.

A stop lives in its task's record, so it survives a restart. Each stage of its way to the agent is an event for the backend:
seen by the daemon, delivered to the agent, acknowledged. Each is committed together with the record, so that it is told once,
whenever the daemon may be killed. "No" is only ever said from knowledge that is fresh enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from clawlog.protocol.ids import new_uuid
from clawlogd.clock import Clock, rfc3339
from clawlogd.errors import OutboxError
from clawlogd.logs import Log
from clawlogd.model import Event, EventKind, Stop, Task, nameless_id
from clawlogd.outbox.queue import Outbox
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.answers import Control


class StopPhase(StrEnum):
    """Where a stop stands, as ``interrupt.check`` says it."""

    NONE = "none"
    REQUESTED = "requested"
    ACKNOWLEDGED = "acknowledged"
    UNKNOWN = "unknown"


class StopState(msgspec.Struct, frozen=True):
    """The answer to ``interrupt.check``."""

    state: StopPhase
    interrupt_requested: bool
    interrupt_id: str | None = None
    mode: str | None = None
    reason: str | None = None
    requested_at: str | None = None
    age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The circumstances of a question to the backend: its answer may be older than what came to be known meanwhile.

    Attributes:
        at: When it was asked, monotonic.
        ack_on_its_way: Whether the backend may not have had the task's last acknowledgement by then.
    """

    at: float
    ack_on_its_way: bool = True


class Stops:
    """Keeps the stops.

    Args:
        registry: Whose tasks bear them.
        outbox: Where the receipts go.
        clock: Where the time is read.
        folder: Where a pending stop is also a file named for its task, for hooks that only look.
    """

    def __init__(self, *, registry: Registry, outbox: Outbox, clock: Clock, folder: Path) -> None:
        self._registry = registry
        self._outbox = outbox
        self._clock = clock
        self._folder = folder
        self._log = Log("stops")
        self._confirmed: dict[str, float] = {}
        self._learned: dict[str, float] = {}
        self._watchers: dict[str, list[Callable[[StopState], None]]] = {}
        registry.observe(self._task_changed)

    def resume(self) -> None:
        """Makes the files fit what is known: those of an earlier run may be stale."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            path.unlink()
        for task in self._registry:
            self._show(task)

    # ── What the backend says ──────────────────────────────────────────────────────────────────────────────────────

    def asking(self, task_id: str) -> Asked:
        """To be called right before the backend is asked about a task; its answer wants it."""
        return Asked(self._clock.monotonic(), ack_on_its_way=self._outbox.counts.by_task[task_id] > 0)

    def confirm(self, task_id: str, at: float) -> None:
        """Notes that the backend has spoken for a task (or, by silence about it, said that nothing changed).

        Args:
            task_id: The task.
            at: As of when, monotonic.
        """
        self._confirmed[task_id] = max(at, self._confirmed.get(task_id, at))

    def observe(self, task: Task, control: Control, asked: Asked | None = None) -> bool:
        """Takes in what the backend says of a task.

        Args:
            task: The task.
            control: The backend's words.
            asked: When it was asked; by default just now.

        Returns:
            Whether that was news.
        """
        asked = asked or self.asking(task.task_id)
        self.confirm(task.task_id, asked.at)
        known = task.stop
        if not control.interrupt_requested:
            if known is None or self._learned.get(task.task_id, -math.inf) > asked.at:
                return False  # a "no" from before the stop is not its withdrawal
            if known.acknowledged and not known.nameless:
                return False
            # Withdrawn; or answered, and the server has no ids: the next request is a new one.
            self._put(task, None)
            return True
        stop = Stop(
            control.interrupt_id or nameless_id(control.requested_at),
            control.mode or "soft_stop",
            control.reason,
            control.requested_at,
        )
        # A server without ids that still wants a stop after it had the acknowledgement wants another one.
        again = known is not None and known.nameless and known.acknowledged and not asked.ack_on_its_way
        if known is not None and known.interrupt_id == stop.interrupt_id and not again:
            return False
        self._receipt(task, EventKind.INTERRUPT_SEEN, stop)
        self._log.info("stop_seen", task_id=task.task_id, interrupt_id=stop.interrupt_id)
        self._learned[task.task_id] = self._clock.monotonic()
        self._put(task, stop)
        return True

    # ── What the agent is told, and answers ────────────────────────────────────────────────────────────────────────

    def state(self, task: Task, max_age_s: float | None = None) -> StopState:
        """What is known of a task's stop.

        Args:
            task: The task.
            max_age_s: How old a "no" may be; without it, however old.
        """
        confirmed = self._confirmed.get(task.task_id)
        age_s = None if confirmed is None else self._clock.monotonic() - confirmed
        stop = task.stop
        if stop is not None and not stop.acknowledged and not task.stopping:
            stop = None  # the task ended without an answer to it
        if stop is not None and not stop.acknowledged:
            phase = StopPhase.REQUESTED
        elif max_age_s is not None and (age_s is None or age_s > max_age_s) and not task.status.ended:
            phase = StopPhase.UNKNOWN
        elif stop is not None:
            phase = StopPhase.ACKNOWLEDGED
        else:
            phase = StopPhase.NONE
        age_s = None if age_s is None else round(age_s, 3)
        if stop is None:
            return StopState(phase, interrupt_requested=False, age_s=age_s)
        return StopState(
            state=phase,
            interrupt_requested=phase is StopPhase.REQUESTED,
            interrupt_id=stop.interrupt_id,
            mode=stop.mode,
            reason=stop.reason,
            requested_at=stop.requested_at,
            age_s=age_s,
        )

    def delivered(self, task_id: str) -> bool:
        """Notes that the agent has been told of its stop. Returns whether that is news, with a receipt on its way."""
        task = self._registry.find(task_id)
        if task is None or task.stop is None or not task.stopping or task.stop.delivered:
            return False
        if not self._receipt(task, EventKind.INTERRUPT_DELIVERED, task.stop):
            return False
        self._put(task, msgspec.structs.replace(task.stop, delivered=True))
        return True

    @property
    def awaited(self) -> Collection[str]:
        """The tasks whose stop somebody waits for."""
        return self._watchers.keys()

    def watch(self, task_id: str, watcher: Callable[[StopState], None]) -> Callable[[], None]:
        """Calls ``watcher`` at each change of a task's stop. Returns what ends that."""
        self._watchers.setdefault(task_id, []).append(watcher)

        def end() -> None:
            watchers = self._watchers.get(task_id, [])
            if watcher in watchers:
                watchers.remove(watcher)
            if not watchers:
                self._watchers.pop(task_id, None)

        return end

    def _receipt(self, task: Task, kind: EventKind, stop: Stop) -> bool:
        now_ms = self._clock.wall_ms()
        event = Event(event_id=new_uuid(), task_id=task.task_id, kind=kind, at=rfc3339(now_ms), interrupt_id=stop.backend_id)
        try:
            self._outbox.add(event, now_ms, task.base_url)
        except OutboxError as error:
            self._log.warning("receipt_not_recorded", task_id=task.task_id, kind=kind, error=str(error))
            return False
        return True

    def _put(self, task: Task, stop: Stop | None) -> None:
        current = self._registry.find(task.task_id)
        if current is not None:
            self._registry.put(msgspec.structs.replace(current, stop=stop))

    def _task_changed(self, before: Task | None, after: Task | None) -> None:
        if after is None:
            if before is not None:
                self._confirmed.pop(before.task_id, None)
                self._learned.pop(before.task_id, None)
                self._file(before.task_id).unlink(missing_ok=True)
            return
        if (_phase(before) if before else (False, None, False)) == _phase(after):
            return
        self._show(after)
        for watcher in tuple(self._watchers.get(after.task_id, ())):
            watcher(self.state(after))

    def _show(self, task: Task) -> None:
        path = self._file(task.task_id)
        try:
            if task.stop is not None and task.stopping:
                path.write_text(f"{task.stop.interrupt_id}\n{task.stop.reason or ''}\n", encoding="utf-8")
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            self._log.warning("stop_file_failed", task_id=task.task_id, error=str(error))

    def _file(self, task_id: str) -> Path:
        return self._folder / task_id


def _phase(task: Task) -> tuple[bool, str | None, bool]:
    """What of a task's stop is news to those who wait; that the agent has been told is none to those who told it."""
    stop = task.stop
    return (task.stopping, stop.interrupt_id, stop.acknowledged) if stop else (False, None, False)
