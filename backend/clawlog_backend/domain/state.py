"""The current state of a task, its steps and its stops: the rows of the database, as objects that an event can change.

No SQL and no HTTP: the store loads these, the transitions change them, and the store writes back what changed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from clawlog_backend.domain.fields import (
    ENDED_STEP_STATUSES,
    ENDED_TASK_STATUSES,
    FALLS_SILENT,
    AttentionReason,
    Evidence,
    Liveness,
    StepStatus,
    TaskStatus,
)
from clawlog_backend.domain.times import UtcMs

STALE_AFTER_MS = 60_000
QUIET_AFTER_MS = 20_000  # a heartbeat comes every 17 s at the latest: a dead agent is not shown alive for longer than this

ACKNOWLEDGED_RANK = -1
_DOUBTFUL = frozenset({Liveness.QUIET, Liveness.STALLED})
_RANKS = {AttentionReason.WAITING: 3, AttentionReason.LOST: 2, AttentionReason.FAILED: 1}
OPEN_RANKS = tuple(_RANKS.values())


class Extent(IntEnum):
    """How much of a task has to be written back; each includes what comes before it."""

    NOTHING = 0
    SIGNS = 1
    """Signs of life: what each heartbeat changes."""
    REPORT = 2
    """What an agent's report of more of the same changes."""
    STANDING = 3
    """Its status and its stop, and whether its agent is lost, silent or doubtful."""
    FACTS = 4
    """Anything else."""


@dataclass(slots=True)
class StepState:
    """One step of a task.

    Attributes:
        measure: Its progress in the agent's own count, as JSON.
    """

    step_id: str
    position: int
    title: str
    status: StepStatus = StepStatus.PENDING
    summary: str | None = None
    started_ms: UtcMs | None = None
    ended_ms: UtcMs | None = None
    measure: str | None = None

    def set_status(self, status: StepStatus, at: UtcMs) -> None:
        """Give it a status, and the times that follow from it."""
        self.status = status
        if status in ENDED_STEP_STATUSES:
            self.ended_ms = at
        elif status is StepStatus.PENDING:
            self.started_ms = self.ended_ms = None
        else:
            if self.ended_ms is not None or self.started_ms is None:  # started or restarted, not merely reported again
                self.started_ms = at
            self.ended_ms = None


@dataclass(slots=True)
class InterruptState:
    """One request to stop a task, and its receipts.

    ``requested_ms`` is the backend's time, the receipts' times are the sidecar's.
    """

    interrupt_id: str
    mode: str
    reason: str | None
    requested_by: str | None
    requested_ms: UtcMs
    seen_ms: UtcMs | None = None
    delivered_ms: UtcMs | None = None
    acknowledged_ms: UtcMs | None = None
    ack_summary: str | None = None


@dataclass(slots=True)
class TaskState:
    """One task, with counters, so that a list reads neither its steps nor its events.

    Attributes:
        n: Its number by order of arrival; 0 until it is stored.
        status: Its status; never ``stale``, which depends on the time of reading.
        reported: The last status that the agent reported, or ``interrupted`` since a stop was acknowledged; once it ended the
            task, it wins over the status that follows from the steps. So does ``waiting``.
        host: The pair of that name in ``metadata``, as are ``project`` and ``agent``.
        parent_id: The task that it is a part of; whether there is one is not checked.
        reversed_id: Its id backwards, so that an index finds how ids end.
        links: What there is to look at beside it, as JSON.
        measure: The newest progress in the agent's own count, as JSON; none once a step began without one.
        waiting_ms: Since when it waits for a person.
        attention: Why it needs a person, with since when, and who acknowledged it when.
        attention_rank: How pressing that is: more than 0 while it is not acknowledged.
        closed: When, by whom and why a person ended it, as JSON; none once its agent goes on.
        vouched_ms: When the last heartbeat arrived.
        sign_ms: The last sign of life: a heartbeat's arrival, or a command's own time where that is earlier.
        lost: The newest event about the agent says that it is gone.
        stop_id: The newest stop; ``stop_open`` while it is not acknowledged.
        no_signal_since: Its last sign of life, once that is long ago; none while signs come, or none are expected.
        doubtful: Its agent's last sign leaves doubt whether it lives.
        version: Grows with every write.
        beat_event_id: The newest heartbeat, and ``beat_ms`` when it was sent.
        kept_ms: When the last heartbeat arrived that the history kept.
        beats: How many heartbeats came since then.
        last_seq: The number of its newest event.
        steps: Its steps by their ids, once ``steps_loaded``.
        interrupts: All its stops by their ids, once ``interrupts_loaded``.
        change: What is to be written back.
        replanned: Its steps are to be written anew as a whole.
        reworded: Something changed that a search looks through.
        beaten: A heartbeat came.
        counted: The standing as which it is counted; ``None`` while it is not.
        bytes: About how much memory it took when that was estimated last.
        bytes_recorded: The length of what was recorded of it since then.
    """

    n: int
    task_id: str
    title: str
    created_ms: UtcMs
    received_ms: UtcMs
    updated_ms: UtcMs
    metadata: str
    status: TaskStatus = TaskStatus.PENDING
    reported: TaskStatus | None = None
    summary: str | None = None
    ended_ms: UtcMs | None = None
    steps_total: int = 0
    steps_done: int = 0
    steps_failed: int = 0
    steps_started: int = 0
    agent_seen_ms: UtcMs | None = None
    vouched_ms: UtcMs | None = None
    sign_ms: UtcMs = UtcMs(0)  # noqa: RUF009 - an immutable number
    evidence: Evidence | None = None
    pid: int | None = None
    stalled: bool = False
    lost: bool = False
    lost_reason: str | None = None
    stop_id: str | None = None
    stop_open: bool = False
    no_signal_since: UtcMs | None = None
    doubtful: bool = False
    version: int = 0
    beat_event_id: str | None = None
    beat_ms: UtcMs | None = None
    kept_ms: UtcMs | None = None
    beats: int = 0
    last_seq: int = 0
    host: str | None = None
    project: str | None = None
    agent: str | None = None
    parent_id: str | None = None
    reversed_id: str = ""
    links: str = "[]"
    measure: str | None = None
    waiting_ms: UtcMs | None = None
    attention: AttentionReason | None = None
    attention_ms: UtcMs | None = None
    attention_ack_ms: UtcMs | None = None
    attention_by: str | None = None
    attention_rank: int = 0
    closed: str | None = None

    steps: dict[str, StepState] = field(default_factory=dict)
    interrupts: dict[str, InterruptState] = field(default_factory=dict)
    steps_loaded: bool = False
    interrupts_loaded: bool = False
    change: Extent = Extent.NOTHING
    replanned: bool = False
    reworded: bool = False
    beaten: bool = False
    counted: tuple[str, bool, bool, bool, bool, bool] | None = field(default=None, compare=False)
    bytes: int = field(default=0, compare=False)
    bytes_recorded: int = field(default=0, compare=False)

    @property
    def ended(self) -> bool:
        """Whether it has ended (a later ``running`` reopens it)."""
        return self.status in ENDED_TASK_STATUSES

    @property
    def stop_requested(self) -> bool:
        """Whether its agent is to stop: a stop is open, and the task has not ended."""
        return self.stop_open and not self.ended

    def mark(self, change: Extent) -> None:
        """Note that this much has to be written back."""
        if change > self.change:  # noqa: PLR1730 - max() takes three times as long, and each event asks
            self.change = change

    def set_status(self, status: TaskStatus, at: UtcMs) -> None:
        """Give it a status, and the times that follow from it."""
        if status is self.status:
            return
        was_ended = self.ended
        self.status = status
        self.mark(Extent.STANDING)
        if not self.ended:
            self.ended_ms = None
        elif not was_ended:
            self.ended_ms = at
        if status is not TaskStatus.WAITING:
            if self.waiting_ms is not None:
                self.waiting_ms = None
                self.mark(Extent.FACTS)
        elif self.waiting_ms is None:
            self.waiting_ms = at
            self.mark(Extent.FACTS)

    def derive_status(self, at: UtcMs) -> None:
        """Give it the status that follows from its steps, unless its agent's own word says more."""
        if self.reported is None or self.reported is TaskStatus.RUNNING:
            self.set_status(self._of_steps(), at)

    def _of_steps(self) -> TaskStatus:
        if self.steps_total and self.steps_done + self.steps_failed == self.steps_total:
            return TaskStatus.FAILED if self.steps_failed else TaskStatus.DONE
        started = self.steps_started or self.reported is TaskStatus.RUNNING
        return TaskStatus.RUNNING if started else TaskStatus.PENDING

    def reopen(self, at: UtcMs) -> None:
        """Take back that a person closed it: it stands as its agent left it."""
        self.closed = None
        self.mark(Extent.FACTS)
        if self.reported is TaskStatus.WAITING:
            self.set_status(TaskStatus.WAITING, at)
        self.derive_status(at)

    def attend(self, at: UtcMs) -> None:
        """Update why it needs a person. A cause that was there before stays as it was; a new one is not acknowledged."""
        cause = None
        if self.ended:
            if self.status is TaskStatus.FAILED and self.closed is None:
                cause = AttentionReason.FAILED
        elif self.lost:
            cause = AttentionReason.LOST
        elif self.status is TaskStatus.WAITING:
            cause = AttentionReason.WAITING
        if cause is self.attention:
            return
        self.mark(Extent.FACTS)
        self.attention, self.attention_ack_ms, self.attention_by = cause, None, None
        since = self.waiting_ms if cause is AttentionReason.WAITING else at
        self.attention_ms = None if cause is None else since
        self.attention_rank = 0 if cause is None else _RANKS[cause]

    def settle(self, now: UtcMs) -> None:
        """Update whether it is silent or doubtful, as of now."""
        since, doubtful = silent_since(self, now), liveness(self, now) in _DOUBTFUL
        if (since, doubtful) != (self.no_signal_since, self.doubtful):
            self.no_signal_since, self.doubtful = since, doubtful
            self.mark(Extent.STANDING)

    def count(self, step: StepState, sign: int) -> None:
        """Add a step to the counters (``sign`` 1) or take it out of them (-1)."""
        if step.status in ENDED_STEP_STATUSES:
            if step.status is StepStatus.FAILED:
                self.steps_failed += sign
            else:
                self.steps_done += sign
        if step.status is not StepStatus.PENDING:
            self.steps_started += sign

    def number_steps(self, steps: list[StepState]) -> None:
        """Make these its steps, in this order."""
        self.steps = {step.step_id: step for step in steps}
        self.steps_total, self.steps_done, self.steps_failed, self.steps_started = len(steps), 0, 0, 0
        for position, step in enumerate(steps, 1):
            step.position = position
            self.count(step, +1)

    def name_after(self, pairs: dict[str, str]) -> None:
        """Keep the pairs that lists are narrowed by.

        Args:
            pairs: Its metadata.
        """
        self.host, self.project, self.agent = (pairs.get(key) for key in ("host", "project", "agent"))

    def pairs(self) -> dict[str, str]:
        """Its metadata."""
        found: dict[str, str] = json.loads(self.metadata)
        return found


def silent_since(task: Any, now: UtcMs) -> UtcMs | None:
    """The last sign of life of a task that fell silent; ``None`` where signs come, or none are expected.

    A task that no heartbeat ever vouched for falls silent later: nobody promised more signs.

    Args:
        task: Its state, or its row of the same names.
        now: This instant.
    """
    if task.lost or task.status not in FALLS_SILENT:
        return None
    after_ms = STALE_AFTER_MS if task.vouched_ms is None else QUIET_AFTER_MS
    return task.sign_ms if task.sign_ms < now - after_ms else None


def stale_from(sign_ms: int) -> UtcMs:
    """When a task is stale whose last sign of life was then."""
    return UtcMs(sign_ms + STALE_AFTER_MS + 1)


def settles_next(task: Any, now: UtcMs) -> int | None:
    """When a task may next become silent, doubtful or stale, if nothing happens; ``None`` for never.

    Args:
        task: Its state, or its row of the same names.
        now: This instant.
    """
    if task.lost or task.status not in FALLS_SILENT:
        return None
    quiet = [] if task.vouched_ms is None else [task.sign_ms, task.vouched_ms]
    if quiet and task.evidence == Evidence.COMMAND:
        quiet.append(task.agent_seen_ms or 0)
    times = [task.sign_ms + STALE_AFTER_MS + 1, *[sign + QUIET_AFTER_MS + 1 for sign in quiet]]
    return min([time for time in times if time > now], default=None)  # not a generator: each write of a task asks


def standing(task: TaskState, now: UtcMs) -> tuple[object, ...]:
    """What people see of a task at a glance: while it stays the same, all goes on as before.

    Args:
        task: Its state.
        now: This instant.
    """
    stale = task.sign_ms < now - STALE_AFTER_MS
    counters = (task.steps_total, task.steps_done, task.steps_failed, task.steps_started)
    return task.status, task.lost, stale, liveness(task, now), task.attention, task.evidence, counters


def liveness(task: Any, now: UtcMs) -> Liveness:
    """Whether a task's agent is alive, as far as is known.

    Args:
        task: Its state, or its row of the same names.
        now: This instant.
    """
    if task.status in ENDED_TASK_STATUSES:
        return Liveness.ENDED
    if task.lost:
        return Liveness.LOST
    is_vouched = task.vouched_ms is not None and task.vouched_ms >= now - QUIET_AFTER_MS
    if task.status == TaskStatus.WAITING:  # nothing is expected of it, so that its silence says nothing
        return Liveness.ALIVE if is_vouched and task.evidence == Evidence.PROCESS else Liveness.WAITING
    if task.vouched_ms is None:
        return Liveness.UNKNOWN
    if not is_vouched:
        return Liveness.QUIET
    if task.stalled:
        return Liveness.STALLED
    # A process is seen running at each heartbeat. A command proves only that the agent was alive when it was given, whatever
    # heartbeats are based on it since.
    old = task.evidence == Evidence.COMMAND and (task.agent_seen_ms or 0) < now - QUIET_AFTER_MS
    return Liveness.QUIET if old else Liveness.ALIVE
