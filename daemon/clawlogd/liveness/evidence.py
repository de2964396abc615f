"""Is the agent alive, and on what evidence? The daemon never invents life.

Evidence is a running process that the agent named, or a command within its lease. Where there is neither, no heartbeat is
sent. Leases run on the monotonic clock, which stands still while the machine sleeps.

An agent without evidence is not lost yet. One whose process ended is lost at once. One whose lease ran out is lost when its
grace is over, too: that is at the same time, unless something may have kept the agent from sending a command. After a suspend
the grace is a full lease awake, after a restart of the daemon the time of one heartbeat.

While a task waits for a person no command is expected: no lease runs. Only a watched process vouches for its agent then, and
only that process's end shows that it is lost.
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
from clawlogd.liveness.processes import ProcessWatcher, runs, stopped
from clawlogd.logs import Log
from clawlogd.model import Beat, Event, EventKind, Evidence, Progress, Task, TaskStatus
from clawlogd.outbox.queue import Outbox
from clawlogd.settings import LiveSettings
from clawlogd.tasks.registry import ObserverOrder, Registry

_SUSPEND_S = 2.0  # the wall clock ran on by more than this while the monotonic clock did not
_SAVED_TO_MS = 100  # most commands have just saved their time themselves
_LAST_WORDS_S = 5.0  # for so long after its process a session's end may still be reported: hooks do so behind its back
_QUIET_AFTER_S = 20.0  # a command shows that the agent lives; after this long it shows only that it did


class LifeState(StrEnum):
    """An agent's life in one word."""

    ALIVE = "alive"
    WAITING = "waiting"
    QUIET = "quiet"
    STALLED = "stalled"
    LOST = "lost"
    ENDED = "ended"


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """Whether a task's agent lives, as far as can be shown now.

    Attributes:
        evidence: What shows that it lives; None where nothing does.
        lost: Why it is lost; None when it is not, or not yet.
        until: When that may change by the passing of time alone, monotonic.
    """

    evidence: Evidence | None
    lost: str | None
    until: float


@dataclass(slots=True)
class Lease:
    """An agent's last command, and for how long it is evidence.

    Attributes:
        seen_ms: When the command was made, in milliseconds since 1970.
        seen: The same, monotonic.
        length_s: For how long it is evidence.
        expires: Until when it is evidence, monotonic.
        grace_until: Until when the agent is not declared lost for want of another command, monotonic.
        summary: The agent's summary for the next heartbeat.
        progress: How far it has come, for the next heartbeat.
        seen_at: ``seen_ms`` as on the wire, once a heartbeat needed it.
        gone: When a session's process was found to have ended, monotonic.
    """

    seen_ms: int
    seen: float
    length_s: float
    expires: float
    grace_until: float
    summary: str | None = None
    progress: Progress | None = None
    seen_at: str | None = None
    gone: float | None = None


class Liveness:
    """Knows for each live task when its agent sent its last command, and whether its process runs.

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
        self._leases: dict[str, Lease] = {}
        self._unsaved: set[str] = set()
        self._processes: ProcessWatcher | None = None
        self._reconsider = reconsider
        self.ends_well: Callable[[Task], bool | None] = lambda _: None
        """Records a task's end where that of its process is no loss. Returns None where it is one, False to be called again."""
        self.waits_unread: Callable[[str], bool] = lambda _: False
        """Whether something of a task waits to be read: its agent is not declared lost before."""
        self._offset_s = clock.wall_ms() / 1000 - clock.monotonic()
        registry.observe(ObserverOrder.LIVENESS, self._task_changed)

    def resume(self) -> None:
        """Begins to judge: a process that ended while no daemon ran is found, a lease goes on where it was.

        Called after the spool has been read, so that no agent is judged before all its commands are known.
        """
        self._processes = ProcessWatcher(ended=self._process_ended)
        for task in list(self._registry):
            if not task.live:
                continue
            if task.task_id not in self._leases:
                self._leases[task.task_id] = self._new_lease(task, task.seen_ms, task.lease_s)
            if task.watched is not None:
                self._processes.watch(task.task_id, task.watched)

    def record_command(
        self,
        task: Task,
        *,
        at_ms: int | None = None,
        lease_s: float | None = None,
        summary: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Renews a task's lease: its agent has sent a command. A task that was lost is alive again.

        Args:
            task: The task.
            at_ms: When the command was made, for one that was spooled; None for now.
            lease_s: For how long it is evidence; by default as long as the last one.
            summary: For the next heartbeat.
            progress: For the next heartbeat.
        """
        known, clock = self._leases.get(task.task_id), self._clock
        length_s = lease_s or (known.length_s if known else task.lease_s)
        grace_until = known.grace_until if known else 0.0
        if known is not None and at_ms is None:
            lease, now = known, clock.monotonic()
            lease.seen_ms, lease.seen, lease.length_s = clock.wall_ms(), now, length_s
            lease.expires = lease.grace_until = now + length_s
            if task.session is not None:
                lease.grace_until = now + self._patience_s(task, length_s)
            lease.seen_at = None
        else:
            seen_ms = clock.wall_ms() if at_ms is None else max(at_ms, known.seen_ms if known else 0)
            self._leases[task.task_id] = lease = self._new_lease(task, seen_ms, length_s)
            if known is not None:
                lease.summary, lease.progress = known.summary, known.progress
        if summary or progress:
            lease.summary, lease.progress = summary or lease.summary, progress or lease.progress
        if lease.grace_until < grace_until:
            self._reconsider(task.task_id, lease.grace_until)
        if task.lost_ms is not None:
            self._log.info("agent_back", task_id=task.task_id)
        if task.lost_ms is not None or task.lease_s != length_s:
            # A lease is a promise about the time to come: it has to outlive the daemon.
            self._registry.put(msgspec.structs.replace(task, lost_ms=None, seen_ms=lease.seen_ms, lease_s=length_s))
        elif lease.seen_ms - task.seen_ms > _SAVED_TO_MS:
            self._unsaved.add(task.task_id)

    def judge(self, task: Task) -> Judgement:
        """Whether a live task's agent lives, as far as can be shown now."""
        if task.watched is not None:
            if self._processes is None:  # while the spool is read at the start: what is not known yet may say that it went on
                return Judgement(Evidence.PROCESS if runs(task.watched) else None, None, math.inf)
            if self._processes.running(task.task_id):
                return Judgement(Evidence.PROCESS, None, math.inf)
            if task.session is not None and (until := self._last_words_until(task)) > self._clock.monotonic():
                return Judgement(None, None, until)
            return Judgement(None, f"process {task.watched.pid} ended without finishing the task", math.inf)
        if task.status is TaskStatus.WAITING:
            return Judgement(None, None, math.inf)
        now = self._clock.monotonic()
        lease = self._leases[task.task_id]
        if now < lease.expires:
            return Judgement(Evidence.COMMAND, None, lease.expires)
        if now < lease.grace_until:
            return Judgement(None, None, lease.grace_until)
        within = f"its lease of {lease.length_s:g}" if task.session is None else f"{self._patience_s(task, lease.length_s):g}"
        return Judgement(None, f"no word from the agent within {within} s", math.inf)

    def state(self, task: Task) -> tuple[LifeState, Evidence | None]:
        """An agent's life in one word, and the evidence for it."""
        if task.status.ended:
            return LifeState.ENDED, None
        if task.lost_ms is not None:
            return LifeState.LOST, None
        evidence = self.judge(task).evidence
        if task.status is TaskStatus.WAITING:
            return LifeState.ALIVE if evidence else LifeState.WAITING, evidence
        silent_s = self._clock.monotonic() - self._leases[task.task_id].seen
        if task.watched is not None and evidence is Evidence.PROCESS:
            if stopped(task.watched.pid):
                return LifeState.STALLED, evidence
            return LifeState.STALLED if silent_s > self._settings.now.heartbeat.stall_after_s else LifeState.ALIVE, evidence
        quiet_after_s = _QUIET_AFTER_S if task.session is None else math.inf  # a session is only heard of at its tools
        return LifeState.ALIVE if evidence and silent_s <= quiet_after_s else LifeState.QUIET, evidence

    def beat(self, task: Task, at: str) -> Beat | None:
        """The heartbeat that is true now; None when there is no evidence for one.

        Args:
            task: Whose.
            at: The time now, RFC 3339.
        """
        lease = self._leases.get(task.task_id)
        if lease is None or not task.live:
            return None
        if task.watched is not None or task.status is TaskStatus.WAITING:
            evidence = self.judge(task).evidence
        else:
            evidence = Evidence.COMMAND if self._clock.monotonic() < lease.expires else None
        if evidence is None:
            return None
        summary, progress = lease.summary, lease.progress
        lease.summary = lease.progress = None
        if task.session is not None and task.status is TaskStatus.WAITING:
            summary = None  # the tool that a session was at is no word in place of what it asks
        if lease.seen_at is None:
            lease.seen_at = rfc3339(lease.seen_ms)
        return Beat(
            task_id=task.task_id,
            at=at,
            agent_seen_at=lease.seen_at,
            evidence=evidence,
            stalled=evidence is Evidence.PROCESS and self.state(task)[0] is LifeState.STALLED,
            summary=summary,
            pid=task.watched.pid if task.watched else None,
            progress=progress,
        )

    def restore_words(self, beat: Beat) -> None:
        """Keeps what the agent said with a heartbeat that was not delivered for the next one; something newer comes first."""
        lease = self._leases.get(beat.task_id)
        if lease is not None:
            lease.summary = beat.summary if lease.summary is None else lease.summary
            lease.progress = beat.progress if lease.progress is None else lease.progress

    def seen_ms(self, task: Task) -> int:
        """When the agent was last seen, in milliseconds since 1970."""
        lease = self._leases.get(task.task_id)
        return lease.seen_ms if lease else task.seen_ms

    def declare_lost(self, task: Task, reason: str) -> bool:
        """Reports that a task's agent is lost. Returns False when that cannot be recorded now: then it is to be tried again."""
        if self.waits_unread(task.task_id):
            return False
        if task.watched is not None and (recorded := self.ends_well(task)) is not None:
            return recorded
        now_ms = self._clock.wall_ms()
        event = Event(event_id=new_uuid(), task_id=task.task_id, kind=EventKind.AGENT_LOST, at=rfc3339(now_ms), summary=reason)
        try:
            self._outbox.add(event, now_ms, task.base_url)
        except OutboxError as error:
            self._log.warning_seldom("agent_lost_unreported", task_id=task.task_id, error=str(error))
            return False
        self._log.warning("agent_lost", task_id=task.task_id, reason=reason)
        self._registry.put(msgspec.structs.replace(task, lost_ms=now_ms, watched=None, seen_ms=self.seen_ms(task)))
        return True

    def detect_suspend(self) -> bool:
        """Whether the machine slept since the last call; if so, agents get a full lease to send a command."""
        offset_s = self._clock.wall_ms() / 1000 - self._clock.monotonic()
        gap_s, self._offset_s = offset_s - self._offset_s, offset_s
        if gap_s <= _SUSPEND_S:
            return False
        self._log.info("suspend_noticed", gap_s=round(gap_s, 1))
        self.extend_grace()
        return True

    def extend_grace(self) -> None:
        """Gives every agent one full lease from now to send a command: something may have kept it from that."""
        now = self._clock.monotonic()
        for lease in self._leases.values():
            lease.grace_until = max(lease.grace_until, now + lease.length_s)

    def save_last_seen(self) -> None:
        """Writes to disk when agents were last seen, so that a restart does not take living agents for lost."""
        unsaved, self._unsaved = self._unsaved, set()
        for task_id in unsaved:
            task, lease = self._registry.find(task_id), self._leases.get(task_id)
            if task is not None and lease is not None:
                self._registry.put(msgspec.structs.replace(task, seen_ms=lease.seen_ms))

    def close(self) -> None:
        """Stops watching processes."""
        if self._processes is not None:
            self._processes.close()

    def _last_words_until(self, task: Task) -> float:
        """Until when a session whose process has ended may still report that it is over, monotonic."""
        lease = self._leases[task.task_id]
        if lease.gone is None:
            lease.gone = self._clock.monotonic()
        return lease.gone + _LAST_WORDS_S

    def _patience_s(self, task: Task, length_s: float) -> float:
        """For how long after a command an agent is not declared lost: a session's longer, of which only tools are heard."""
        return length_s if task.session is None else max(length_s, self._settings.now.agents.lost_after_s)

    def _new_lease(self, task: Task, seen_ms: int, length_s: float) -> Lease:
        """The lease of a command, which may be a while ago: one that has run out already has the grace of one heartbeat."""
        now = self._clock.monotonic()
        age_s = max(0.0, (self._clock.wall_ms() - seen_ms) / 1000)
        expires = now - age_s + length_s
        patient_until = now - age_s + self._patience_s(task, length_s)
        grace_until = max(patient_until, now + min(self._settings.now.heartbeat.interval_s, length_s))
        return Lease(seen_ms, now - age_s, length_s, expires, grace_until)

    def _begin_lease(self, task: Task) -> None:
        """Begins a full lease now: from here on commands are expected again."""
        lease, now = self._leases.get(task.task_id), self._clock.monotonic()
        if lease is not None:
            lease.expires = now + lease.length_s
            lease.grace_until = now + self._patience_s(task, lease.length_s)
            self._reconsider(task.task_id, lease.expires)

    def _process_ended(self, task_id: str) -> None:
        self._reconsider(task_id, self._clock.monotonic())

    def _task_changed(self, before: Task | None, after: Task | None) -> None:
        task = after or before
        if task is None:
            return
        if after is None or after.status.ended:
            self._leases.pop(task.task_id, None)
            self._unsaved.discard(task.task_id)
        elif task.task_id not in self._leases and after.live:
            self._leases[task.task_id] = self._new_lease(after, after.seen_ms, after.lease_s)
        elif before is not None and before.status is TaskStatus.WAITING and after.status is not TaskStatus.WAITING:
            self._begin_lease(after)
        lease = self._leases.get(task.task_id)
        if lease is not None and before is not None and after is not None and before.watched != after.watched:
            lease.gone = None
        if self._processes is None:
            return
        if after is None or not after.live or after.watched is None:
            self._processes.unwatch(task.task_id)
        else:
            self._processes.watch(task.task_id, after.watched)
