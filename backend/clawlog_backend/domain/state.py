"""The current state of a task, its steps and its stops: the rows of the database, as objects that an event can change.

No SQL and no HTTP: the store loads these, the transitions change them, and the store writes back what changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from clawlog_backend.domain.fields import ENDED_STEP_STATUSES, ENDED_TASK_STATUSES, Evidence, StepStatus, TaskStatus
from clawlog_backend.domain.times import UtcMs

STALE_AFTER_MS = 60_000
QUIET_AFTER_MS = 20_000  # a heartbeat comes every 17 s at the latest: a dead agent is not shown alive for longer than this


@dataclass(slots=True)
class StepState:
    """One step of a task."""

    step_id: str
    position: int
    title: str
    status: StepStatus = StepStatus.PENDING
    summary: str | None = None
    started_ms: UtcMs | None = None
    ended_ms: UtcMs | None = None


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
            task, it wins over the status that follows from the steps.
        vouched_ms: When the last heartbeat arrived.
        sign_ms: The last sign of life: a heartbeat's arrival, or a command's own time where that is earlier.
        lost: The newest event about the agent says that it is gone.
        stop_id: The newest stop; ``stop_open`` while it is not acknowledged.
        change_seq: The number of the last event that changed it.
        control_seq: The number of the last event that changed whether it is to stop.
        search: The text that a search looks through.
        steps: Its steps by their ids, once ``steps_loaded``.
        interrupts: All its stops by their ids, once ``interrupts_loaded``.
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
    change_seq: int = 0
    control_seq: int = 0
    search: str = ""

    steps: dict[str, StepState] = field(default_factory=dict)
    interrupts: dict[str, InterruptState] = field(default_factory=dict)
    steps_loaded: bool = False
    interrupts_loaded: bool = False

    @property
    def ended(self) -> bool:
        """Whether it has ended (a later ``running`` reopens it)."""
        return self.status in ENDED_TASK_STATUSES

    @property
    def stop_requested(self) -> bool:
        """Whether its agent is to stop: a stop is open, and the task has not ended."""
        return self.stop_open and not self.ended

    def derive_status(self) -> TaskStatus:
        """The status that follows from its steps."""
        if self.steps_total and self.steps_done + self.steps_failed == self.steps_total:
            return TaskStatus.FAILED if self.steps_failed else TaskStatus.DONE
        started = self.steps_started or self.reported is TaskStatus.RUNNING
        return TaskStatus.RUNNING if started else TaskStatus.PENDING

    def count(self, step: StepState, sign: int) -> None:
        """Add a step to the counters (``sign`` 1) or take it out of them (-1)."""
        if step.status in ENDED_STEP_STATUSES:
            if step.status is StepStatus.FAILED:
                self.steps_failed += sign
            else:
                self.steps_done += sign
        if step.status is not StepStatus.PENDING:
            self.steps_started += sign

    def index_text(self) -> None:
        """Update the text that a search looks through."""
        self.search = "\n".join((self.title, self.task_id, self.summary or "")).casefold()
