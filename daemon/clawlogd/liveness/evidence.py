"""Is the agent alive, and on what evidence? The daemon never invents life.

Evidence is a running process that the agent named, or a command within its lease. Where there is neither, nothing is vouched
for. Leases run on the monotonic clock, which stands still while the machine sleeps.

Not to vouch is not yet to declare lost. Whose process ended is lost at once. Whose lease ran out is, too, unless the agent may
have been kept from speaking: after a suspend it gets a full lease awake, after a restart of the daemon the time of a beat.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from clawlog.protocol.ids import new_uuid
from clawlogd.clock import Clock, rfc3339
from clawlogd.errors import OutboxError
from clawlogd.liveness.processes import ProcessWatcher, stopped
from clawlogd.logs import Log
from clawlogd.model import Beat, Event, EventKind, Evidence, Task
from clawlogd.outbox.queue import Outbox
from clawlogd.settings import LiveSettings
from clawlogd.tasks.registry import ObserverOrder, Registry

_SUSPEND_S = 2.0  # a wall clock that ran on by more than this while the monotonic did not
_SAVED_TO_MS = 100  # most commands have just written their time down themselves
_QUIET_AFTER_S = 20.0  # a command is a sign of life; after this long it says only that there was life


class LifeState(StrEnum):
    """An agent's life in one word."""

    ALIVE = "alive"
    QUIET = "quiet"
    STALLED = "stalled"
    LOST = "lost"
    ENDED = "ended"


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """What there is to say for a task's agent now.

    Attributes:
        evidence: On what the daemon vouches for it; None when on nothing.
        lost: Why it is lost; None when it is not, or not yet.
        until: When that may change by the passing of time alone, monotonic.
    """

    evidence: Evidence | None
    lost: str | None
    until: float


@dataclass(slots=True)
class Sign:
    """An agent's last sign.

    Attributes:
        seen_ms: When, by the wall clock.
        seen: When, by the monotonic clock.
        lease_s: For how long it is evidence.
        expires: Until when it is, monotonic.
        patience: Until when the agent is not declared lost for want of another, monotonic.
        summary: Given for the next beat.
        seen_at: ``seen_ms`` as the wire has it, once a beat has told it.
    """

    seen_ms: int
    seen: float
    lease_s: float
    expires: float
    patience: float
    summary: str | None = None
    seen_at: str | None = None


class Liveness:
    """Knows for each live task when its agent last spoke, and whether its process runs.

    Args:
        registry: The tasks.
        outbox: Where an agent's loss is reported.
        settings: Leases and when a task is stalled.
        clock: Where the time is read.
        reconsider: Called with a task's id and a monotonic time when it should be judged at that time, or as soon as can be.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        outbox: Outbox,
        settings: LiveSettings,
        clock: Clock,
        reconsider: Callable[[str, float], None],
    ) -> None:
        self._registry = registry
        self._outbox = outbox
        self._settings = settings
        self._clock = clock
        self._log = Log("liveness")
        self._signs: dict[str, Sign] = {}
        self._unsaved: set[str] = set()
        self._processes: ProcessWatcher | None = None
        self._reconsider = reconsider
        self._offset_s = clock.wall_ms() / 1000 - clock.monotonic()
        registry.observe(ObserverOrder.LIVENESS, self._task_changed)

    def resume(self) -> None:
        """Begins to judge: a process that ended while no daemon ran is found, a lease goes on where it was.

        It comes after the spool has been taken in, so that nobody is judged before all that they said was heard.
        """
        self._processes = ProcessWatcher(ended=self._process_ended)
        for task in list(self._registry):
            if not task.live:
                continue
            if task.task_id not in self._signs:
                self._signs[task.task_id] = self._sign(task.seen_ms, task.lease_s)
            if task.watched is not None:
                self._processes.watch(task.task_id, task.watched)

    def spoke(self, task: Task, *, at_ms: int | None = None, lease_s: float | None = None, summary: str | None = None) -> None:
        """Notes a command for a task. A task that was lost is alive again.

        Args:
            task: The task.
            at_ms: When the command was made, where it was not now but spooled.
            lease_s: For how long it is evidence; by default as long as the last one.
            summary: For the next beat.
        """
        known = self._signs.get(task.task_id)
        lease = lease_s or (known.lease_s if known else task.lease_s)
        patience = known.patience if known else 0.0
        if known is not None and at_ms is None:
            sign = known
            sign.seen_ms, sign.seen, sign.lease_s = self._clock.wall_ms(), self._clock.monotonic(), lease
            sign.expires = sign.patience = sign.seen + lease
            sign.seen_at = None
        else:
            seen_ms = self._clock.wall_ms() if at_ms is None else max(at_ms, known.seen_ms if known else 0)
            self._signs[task.task_id] = sign = self._sign(seen_ms, lease, known.summary if known else None)
        sign.summary = summary or sign.summary
        if sign.patience < patience:
            self._reconsider(task.task_id, sign.patience)
        if task.lost_ms is not None:
            self._log.info("agent_back", task_id=task.task_id)
        if task.lost_ms is not None or task.lease_s != lease:
            # A lease is a promise about the time to come: it has to outlive the daemon.
            self._registry.put(msgspec.structs.replace(task, lost_ms=None, seen_ms=sign.seen_ms, lease_s=lease))
        elif sign.seen_ms - task.seen_ms > _SAVED_TO_MS:
            self._unsaved.add(task.task_id)

    def judge(self, task: Task) -> Judgement:
        """Whether a live task's agent can be vouched for now."""
        if task.watched is not None:
            if self._processes is None or self._processes.running(task.task_id):
                return Judgement(Evidence.PROCESS, None, math.inf)
            return Judgement(None, f"process {task.watched.pid} ended without finishing the task", math.inf)
        now = self._clock.monotonic()
        sign = self._signs[task.task_id]
        if now < sign.expires:
            return Judgement(Evidence.COMMAND, None, sign.expires)
        if now < sign.patience:
            return Judgement(None, None, sign.patience)
        return Judgement(None, f"no word from the agent within its lease of {sign.lease_s:g} s", math.inf)

    def state(self, task: Task) -> tuple[LifeState, Evidence | None]:
        """An agent's life in one word, and on what evidence that is said."""
        if task.status.ended:
            return LifeState.ENDED, None
        if task.lost_ms is not None:
            return LifeState.LOST, None
        evidence = self.judge(task).evidence
        silent_s = self._clock.monotonic() - self._signs[task.task_id].seen
        if task.watched is not None and evidence is Evidence.PROCESS:
            if stopped(task.watched.pid):
                return LifeState.STALLED, evidence
            return LifeState.STALLED if silent_s > self._settings.now.heartbeat.stall_after_s else LifeState.ALIVE, evidence
        return LifeState.ALIVE if evidence and silent_s <= _QUIET_AFTER_S else LifeState.QUIET, evidence

    def beat(self, task: Task, at: str) -> Beat | None:
        """The heartbeat that is true now; None when there is no evidence for one.

        Args:
            task: Whose.
            at: The time now, as the wire has it.
        """
        sign = self._signs.get(task.task_id)
        if sign is None or not task.live:
            return None
        if task.watched is not None:
            evidence = self.judge(task).evidence
        else:
            evidence = Evidence.COMMAND if self._clock.monotonic() < sign.expires else None
        if evidence is None:
            return None
        summary, sign.summary = sign.summary, None
        if sign.seen_at is None:
            sign.seen_at = rfc3339(sign.seen_ms)
        return Beat(
            task_id=task.task_id,
            at=at,
            agent_seen_at=sign.seen_at,
            evidence=evidence,
            stalled=evidence is Evidence.PROCESS and self.state(task)[0] is LifeState.STALLED,
            summary=summary,
            pid=task.watched.pid if task.watched else None,
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

    def declare_lost(self, task: Task, reason: str) -> bool:
        """Reports that a task's agent is gone. False when that cannot be recorded now: then it is to be tried again."""
        now_ms = self._clock.wall_ms()
        event = Event(event_id=new_uuid(), task_id=task.task_id, kind=EventKind.AGENT_LOST, at=rfc3339(now_ms), summary=reason)
        try:
            self._outbox.add(event, now_ms, task.base_url)
        except OutboxError as error:
            self._log.warning("agent_lost_unreported", task_id=task.task_id, error=str(error))
            return False
        self._log.warning("agent_lost", task_id=task.task_id, reason=reason)
        self._registry.put(msgspec.structs.replace(task, lost_ms=now_ms, watched=None, seen_ms=self.seen_ms(task)))
        return True

    def notice_suspend(self) -> bool:
        """Looks whether the machine slept since the last look; if so, agents get a full lease to speak again."""
        offset_s = self._clock.wall_ms() / 1000 - self._clock.monotonic()
        gap_s, self._offset_s = offset_s - self._offset_s, offset_s
        if gap_s <= _SUSPEND_S:
            return False
        self._log.info("suspend_noticed", gap_s=round(gap_s, 1))
        self.be_patient()
        return True

    def be_patient(self) -> None:
        """Gives every agent one full lease from now to speak: it may have been kept from it."""
        now = self._clock.monotonic()
        for sign in self._signs.values():
            sign.patience = max(sign.patience, now + sign.lease_s)

    def save_signs(self) -> None:
        """Writes the times of the last signs to disk, so that a restart neither forgets them nor takes the living for lost."""
        unsaved, self._unsaved = self._unsaved, set()
        for task_id in unsaved:
            task, sign = self._registry.find(task_id), self._signs.get(task_id)
            if task is not None and sign is not None:
                self._registry.put(msgspec.structs.replace(task, seen_ms=sign.seen_ms))

    def close(self) -> None:
        """Stops watching processes."""
        if self._processes is not None:
            self._processes.close()

    def _sign(self, seen_ms: int, lease_s: float, summary: str | None = None) -> Sign:
        """A sign of now, or of a while ago: one that has run out already gets the time of one beat for another."""
        now = self._clock.monotonic()
        age_s = max(0.0, (self._clock.wall_ms() - seen_ms) / 1000)
        expires = now - age_s + lease_s
        patience = max(expires, now + min(self._settings.now.heartbeat.interval_s, lease_s))
        return Sign(seen_ms, now - age_s, lease_s, expires, patience, summary)

    def _process_ended(self, task_id: str) -> None:
        self._reconsider(task_id, self._clock.monotonic())

    def _task_changed(self, before: Task | None, after: Task | None) -> None:
        task = after or before
        if task is None:
            return
        if after is None or after.status.ended:
            self._signs.pop(task.task_id, None)
            self._unsaved.discard(task.task_id)
        elif task.task_id not in self._signs and after.live:
            self._signs[task.task_id] = self._sign(after.seen_ms, after.lease_s)
        if self._processes is None:
            return
        if after is None or not after.live or after.watched is None:
            self._processes.unwatch(task.task_id)
        else:
            self._processes.watch(task.task_id, after.watched)
