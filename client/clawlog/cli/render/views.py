"""The daemon's answers about itself and its tasks, as values: read once, here.

``--json`` prints the daemon's own answers instead, whole, so that a newer daemon's fields reach the programs that need them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeVar

from clawlog.cli.render.states import shown_status
from clawlog.cli.render.texts import cleaned
from clawlog.connection.results import JsonObject, StopState, stop_state
from clawlog.errors import ProtocolViolation
from clawlog.protocol import vocabulary
from clawlog.protocol.types import StepStatus, TaskStatus

T = TypeVar("T")

ENDED = frozenset(vocabulary.ENDED_TASK_STATUSES)


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """The daemon's tasks by their state."""

    known: int
    live: int
    lost: int
    stopping: int


@dataclass(frozen=True, slots=True)
class OutboxView:
    """The outbox: waiting and refused events, and how long there is room.

    Attributes:
        hours_left: Hours until it is full; None where it is not filling up.
        storage_error: Why events cannot be stored; None where they can.
    """

    pending: int
    dead_letters: int
    bytes: int
    max_events: int
    max_bytes: int
    accepted_per_hour: float
    hours_left: float | None
    storage_error: str | None


@dataclass(frozen=True, slots=True)
class LaneView:
    """One backend, as the daemon sees it; times in RFC 3339.

    Attributes:
        contract: What is known of how it is spoken to; None where an older daemon does not say.
        contract_detail: Where that is from, or what was looked for and not found.
    """

    base_url: str
    state: str
    profile: str
    reachable: bool | None
    last_error: str | None
    outage_since: str | None
    next_try_in_s: float | None
    pending: int
    oldest_age_s: float | None
    delivered: int
    dead_lettered: int
    contract: str | None
    contract_detail: str | None

    @property
    def is_broken(self) -> bool:
        """Whether nothing can be delivered over it."""
        return self.state in ("outage", "unauthorized", "no_contract", "storage_failed")


@dataclass(frozen=True, slots=True)
class DaemonView:
    """The answer to ``daemon.status``."""

    version: str
    protocol: int
    pid: int
    uptime_s: float
    state_dir: str
    socket: str | None
    zmq: str | None
    base_url: str
    healthy: bool
    problems: tuple[str, ...]
    tasks: TaskCounts
    outbox: OutboxView
    backends: tuple[LaneView, ...]
    memory_bytes: int

    def lane(self, base_url: str) -> LaneView | None:
        """Returns the lane of a backend, if there is one."""
        return next((each for each in self.backends if each.base_url == base_url), None)


@dataclass(frozen=True, slots=True)
class Measure:
    """How far something has come, in its agent's own count."""

    done: float
    total: float | None = None
    unit: str | None = None

    @property
    def text(self) -> str:
        """As people read it: ``318/2480 files``."""
        total = "" if self.total is None else f"/{self.total:g}" if isinstance(self.total, float) else f"/{self.total}"
        done = f"{self.done:g}" if isinstance(self.done, float) else str(self.done)
        return f"{done}{total} {self.unit or ''}".rstrip()


@dataclass(frozen=True, slots=True)
class LinkView:
    """Something to look at beside a task."""

    url: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class StepView:
    """A step of a task."""

    step_id: str
    position: int
    title: str
    status: StepStatus
    summary: str | None
    measure: Measure | None = None


@dataclass(frozen=True, slots=True)
class LivenessView:
    """An agent's liveness: its state, and the evidence for it."""

    state: str
    evidence: str | None
    agent_seen_at: str | None
    watch_pid: int | None


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task, as the daemon knows it. What has a default may be missing in the answer of an earlier version."""

    task_id: str
    title: str
    base_url: str
    status: TaskStatus
    summary: str | None
    created_at: str
    ended_at: str | None
    steps: tuple[StepView, ...]
    liveness: LivenessView
    stop: StopState
    pending: int
    delivered: bool
    metadata: Mapping[str, str] = field(default_factory=dict)
    parent_task_id: str | None = None
    links: tuple[LinkView, ...] = ()
    measure: Measure | None = None
    waiting_since: str | None = None
    acknowledged: bool = False

    @property
    def steps_ended(self) -> int:
        """How many of its steps have ended."""
        return sum(step.status in vocabulary.ENDED_STEP_STATUSES for step in self.steps)

    @property
    def current_step(self) -> StepView | None:
        """The running step."""
        return next((step for step in self.steps if step.status == "running"), None)

    @property
    def newest_measure(self) -> Measure | None:
        """How far it has come: its running step, else the task as a whole."""
        step = self.current_step
        return (step.measure if step is not None else None) or self.measure

    @property
    def shown_status(self) -> str:
        """The status to show: that it is asked to stop, lost or stalled goes before that it is running."""
        return shown_status(self.status, self.liveness.state, is_stopping=self.stop.interrupt_requested)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that its backend refused for good."""

    event_id: str
    task_id: str
    kind: str
    at: str | None
    backend_status: int | None
    backend_reply: str
    refused_at: str
    waiting_behind: int


def daemon(answer: JsonObject) -> DaemonView:
    """Reads the answer to ``daemon.status``.

    Raises:
        ProtocolViolation: It has an unknown shape; the other functions raise this, too.
    """
    answer = cleaned(answer)
    return guarded(
        "daemon.status",
        lambda: build(
            DaemonView,
            answer,
            problems=tuple(answer["problems"]),
            tasks=build(TaskCounts, answer["tasks"]),
            outbox=build(OutboxView, answer["outbox"]),
            backends=tuple(map(_lane, answer["backends"])),
        ),
    )


def task(answer: JsonObject) -> TaskView:
    """Reads the answer to ``task.get``."""
    return guarded("task.get", lambda: _task(cleaned(answer)))


def tasks(answer: JsonObject) -> tuple[TaskView, ...]:
    """Reads the answer to ``task.list``."""
    return guarded("task.list", lambda: tuple(map(_task, cleaned(answer)["tasks"])))


def dead_letters(answer: JsonObject) -> tuple[DeadLetter, ...]:
    """Reads the answer to a verb of dead letters."""
    return guarded("deadletter.list", lambda: tuple(build(DeadLetter, each) for each in cleaned(answer)["dead_letters"]))


def _lane(view: JsonObject) -> LaneView:
    return build(LaneView, view, contract=view.get("contract"), contract_detail=view.get("contract_detail"))


def _task(view: JsonObject) -> TaskView:
    return build(
        TaskView,
        view,
        steps=tuple(build(StepView, each, measure=measure(each.get("measure"))) for each in view["steps"]),
        measure=measure(view.get("measure")),
        links=tuple(build(LinkView, each) for each in view.get("links") or ()),
        liveness=build(LivenessView, view["liveness"]),
        stop=stop_state(view["stop"]),
    )


def measure(view: Mapping[str, Any] | None) -> Measure | None:
    """Reads how far something has come; None where nobody has said."""
    return None if view is None else build(Measure, view)


def build(kind: type[T], view: Mapping[str, Any], **parts: object) -> T:
    """Makes a dataclass from a view's members of the same names; members that this version does not know are ignored.

    A member that has a default may be missing: earlier versions lack it.
    """
    found = dict(parts)
    for each in fields(kind):  # type: ignore[arg-type] # the type of "a dataclass" can't be written
        has_default = each.default is not MISSING or each.default_factory is not MISSING
        if each.name not in found and (each.name in view or not has_default):
            found[each.name] = view[each.name]
    return kind(**found)


def guarded(verb: str, read: Callable[[], T]) -> T:
    """Reads the answer to a verb.

    Raises:
        ProtocolViolation: It has an unknown shape.
    """
    try:
        return read()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ProtocolViolation(
            f"The answer to {verb} is not understood ({error!r}): is the daemon of another version?"
        ) from error
