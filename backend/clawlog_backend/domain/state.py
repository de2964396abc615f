"""A task, its steps and its stops as they stand: the rows of the database, as objects that an event can change.

No SQL and no HTTP: the store loads these, the transitions change them, and the store writes back what changed.
"""

from dataclasses import dataclass, field

from clawlog_backend.domain.fields import ENDED, STEP_ENDED, Evidence, StepStatus, TaskStatus
from clawlog_backend.domain.times import UtcMs

STALE_AFTER_MS = 60_000
QUIET_AFTER_MS = 20_000  # a beat comes at the latest every 17 s: the dead are not shown alive for longer than this


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
class StopState:
    """One request of a person that a task should stop, and its receipts.

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
    """One task, with counters kept along so that a list needs no look at its steps or events.

    Attributes:
        n: Its number by order of arrival; 0 until it is stored.
        status: Where it stands; never ``stale``, which is a matter of the time of reading.
        reported: Its last status by the agent's own word, or by an acknowledged stop; wins over what the steps say once it
            ended the task.
        sign_ms: The last sign that anybody vouches for it: a beat's arrival, or a command's own time where that is earlier.
        lost: The newest word about the agent is that it is gone.
        stop_id: The newest stop asked for; ``stop_open`` while it is not acknowledged.
        change_seq: The number of the last event that changed it.
        control_seq: The number of the last event that changed whether it is to stop.
        steps: Its steps by their ids, once ``steps_loaded``.
        stops: Every stop that was ever asked for, by their ids, once ``stops_loaded``.
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
    sign_ms: UtcMs = UtcMs(0)  # noqa: RUF009 -- an immutable number
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
    stops: dict[str, StopState] = field(default_factory=dict)
    steps_loaded: bool = False
    stops_loaded: bool = False

    @property
    def ended(self) -> bool:
        """Whether it is over (a later ``running`` reopens it)."""
        return self.status in ENDED

    @property
    def stop_requested(self) -> bool:
        """Whether its agent is to stop: asked for, not acknowledged, and there is still something to stop."""
        return self.stop_open and not self.ended

    def derive_status(self) -> TaskStatus:
        """Where its steps say that it stands."""
        if self.steps_total and self.steps_done + self.steps_failed == self.steps_total:
            return TaskStatus.FAILED if self.steps_failed else TaskStatus.DONE
        started = self.steps_started or self.reported is TaskStatus.RUNNING
        return TaskStatus.RUNNING if started else TaskStatus.PENDING

    def count(self, step: StepState, sign: int) -> None:
        """Add a step to the counters (``sign`` 1) or take it out of them (-1)."""
        if step.status in STEP_ENDED:
            if step.status is StepStatus.FAILED:
                self.steps_failed += sign
            else:
                self.steps_done += sign
        if step.status is not StepStatus.PENDING:
            self.steps_started += sign

    def index_text(self) -> None:
        """Renew what a search looks through."""
        self.search = "\n".join((self.title, self.task_id, self.summary or "")).casefold()
