"""Is the agent alive, and on what evidence? The daemon never invents life.

Evidence is a running process that the agent named, or a command within its lease. Where there is neither, the agent is lost:
that is said at once, and no beat is sent until it speaks again. Leases run on the monotonic clock; after a suspend (or a step
of the wall clock) every lease begins anew, because the agent slept too.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from clawlog.protocol.ids import new_uuid
from clawlogd.clock import Clock, rfc3339
from clawlogd.logs import Log
from clawlogd.model import Beat, Event, EventKind, Evidence, Task, WatchedProcess
from clawlogd.outbox.errors import OutboxError
from clawlogd.outbox.queue import Outbox
from clawlogd.processes import ProcessWatcher
from clawlogd.registry import Registry
from clawlogd.settings import Heartbeat

_SUSPEND_S = 2.0  # a wall clock that ran on by more than this while the monotonic did not


@dataclass(slots=True)
class Sign:
    """An agent's last sign.

    Attributes:
        seen_ms: When, by the wall clock.
        seen: When, by the monotonic clock.
        expires: Until when a command is evidence, monotonic.
        lease_s: For how long it is.
        summary: Given for the next beat.
        unsaved: Whether the time has yet to be written to disk.
    """

    seen_ms: int
    seen: float
    expires: float
    lease_s: float
    summary: str | None = None
    unsaved: bool = False


class Liveness:
    """Knows for each live task when its agent last spoke, and whether its process runs.

    Args:
        registry: The tasks.
        outbox: Where an agent's loss is reported.
        settings: Leases and when a task is stalled.
        clock: Where the time is read.
    """

    def __init__(self, *, registry: Registry, outbox: Outbox, settings: Heartbeat, clock: Clock) -> None:
        self._registry = registry
        self._outbox = outbox
        self._settings = settings
        self._clock = clock
        self._log = Log("liveness")
        self._signs: dict[str, Sign] = {}
        self._processes = ProcessWatcher(ended=self._process_ended)
        self._offset_s = clock.wall_ms() / 1000 - clock.monotonic()
        registry.observe(self._task_changed)

    def resume(self) -> None:
        """Takes up the tasks of an earlier run: a process that ended meanwhile is found, a lease goes on where it was."""
        now_ms, now = self._clock.wall_ms(), self._clock.monotonic()
        for task in list(self._registry):
            if not task.live:
                continue
            elapsed_s = max(0.0, (now_ms - task.seen_ms) / 1000)
            # The agent may have spoken, or tried to, while no daemon ran: it gets one beat's time to do so again.
            remaining_s = max(task.lease_s - elapsed_s, min(task.lease_s, self._settings.interval_s))
            self._signs[task.task_id] = Sign(task.seen_ms, now - elapsed_s, now + remaining_s, task.lease_s)
            if task.watched is not None:
                self._processes.watch(task.task_id, task.watched)

    def spoke(self, task: Task, *, lease_s: float | None = None, summary: str | None = None) -> None:
        """Notes a command for a task. A task that was lost is alive again."""
        now = self._clock.monotonic()
        sign = self._signs.get(task.task_id)
        lease = lease_s or (sign.lease_s if sign else task.lease_s)
        if sign is None:
            sign = self._signs[task.task_id] = Sign(0, 0.0, 0.0, lease)
        sign.seen_ms, sign.seen, sign.expires, sign.lease_s, sign.unsaved = self._clock.wall_ms(), now, now + lease, lease, True
        sign.summary = summary or sign.summary
        if task.lost_ms is not None:
            self._log.info("agent_back", task_id=task.task_id)
            self._registry.put(msgspec.structs.replace(task, lost_ms=None, seen_ms=sign.seen_ms))

    def watch(self, task: Task, process: WatchedProcess) -> None:
        """Watches a process for a task from now on."""
        self._processes.watch(task.task_id, process)

    def evidence(self, task: Task) -> Evidence | None:
        """On what the daemon can vouch for the task's agent now."""
        if task.watched is not None and self._processes.watches(task.task_id):
            return Evidence.PROCESS
        sign = self._signs.get(task.task_id)
        return Evidence.COMMAND if sign and self._clock.monotonic() < sign.expires else None

    def beat(self, task: Task) -> Beat | None:
        """The heartbeat that is true now; None when there is no evidence for one."""
        sign = self._signs.get(task.task_id)
        evidence = self.evidence(task) if task.live and sign else None
        if sign is None or evidence is None:
            return None
        summary, sign.summary = sign.summary, None
        by_process = evidence is Evidence.PROCESS
        return Beat(
            task_id=task.task_id,
            at=rfc3339(self._clock.wall_ms()),
            agent_seen_at=rfc3339(sign.seen_ms),
            evidence=evidence,
            stalled=by_process and self._clock.monotonic() - sign.seen > self._settings.stall_after_s,
            summary=summary,
            pid=task.watched.pid if by_process and task.watched else None,
        )

    def unsent(self, beat: Beat) -> None:
        """Takes the summary of a beat that did not get through back, for the next one."""
        sign = self._signs.get(beat.task_id)
        if sign is not None and sign.summary is None:
            sign.summary = beat.summary

    def seen_ms(self, task: Task) -> int:
        """When the agent last gave a sign, in milliseconds since 1970."""
        sign = self._signs.get(task.task_id)
        return sign.seen_ms if sign else task.seen_ms

    def expires_in_s(self, task: Task) -> float:
        """In how many seconds the last command ceases to be evidence."""
        sign = self._signs.get(task.task_id)
        return sign.expires - self._clock.monotonic() if sign else 0.0

    def declare_lost(self, task: Task, reason: str) -> None:
        """Reports that a task's agent is gone."""
        now_ms = self._clock.wall_ms()
        event = Event(event_id=new_uuid(), task_id=task.task_id, kind=EventKind.AGENT_LOST, at=rfc3339(now_ms), summary=reason)
        try:
            self._outbox.add(event, now_ms, task.base_url)
        except OutboxError as error:
            self._log.warning("agent_lost_unreported", task_id=task.task_id, error=str(error))
        self._log.warning("agent_lost", task_id=task.task_id, reason=reason)
        self._registry.put(msgspec.structs.replace(task, lost_ms=now_ms, watched=None, seen_ms=self.seen_ms(task)))

    def notice_suspend(self) -> bool:
        """Looks whether the machine slept since the last look; if so, every lease begins anew."""
        now = self._clock.monotonic()
        offset_s = self._clock.wall_ms() / 1000 - now
        gap_s, self._offset_s = offset_s - self._offset_s, offset_s
        if gap_s <= _SUSPEND_S:
            return False
        self._log.info("suspend_noticed", gap_s=round(gap_s, 1))
        for sign in self._signs.values():
            sign.expires = max(sign.expires, now + sign.lease_s)
        return True

    def save_signs(self) -> None:
        """Writes the times of the last signs to disk, so that a restart does not take the living for lost."""
        for task_id, sign in self._signs.items():
            if sign.unsaved and (task := self._registry.find(task_id)):
                sign.unsaved = False
                self._registry.put(msgspec.structs.replace(task, seen_ms=sign.seen_ms, lease_s=sign.lease_s))

    def close(self) -> None:
        """Stops watching processes."""
        self._processes.close()

    def _process_ended(self, task_id: str) -> None:
        task = self._registry.find(task_id)
        if task is not None and task.live and task.watched is not None:
            self.declare_lost(task, f"process {task.watched.pid} ended without finishing the task")

    def _task_changed(self, before: Task | None, after: Task | None) -> None:
        task = after or before
        if task is None:
            return
        if after is None or not after.live or after.watched is None:
            self._processes.unwatch(task.task_id)
        elif before is None or before.watched != after.watched or not before.live:
            self._processes.watch(after.task_id, after.watched)
        if after is None or after.status.ended:
            self._signs.pop(task.task_id, None)
