"""The daemon's results, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from clawlog.protocol.vocabulary import INTERRUPT_STATES


@dataclass(frozen=True, slots=True)
class StepHandle:
    """A step, as it was created.

    Attributes:
        step_id: Its id; ``update_step`` takes this, the position or the title.
        position: Its position, from 1; None for one that waits in the spool to be added.
        title: What it does.
        status: ``pending`` for a new one.
    """

    step_id: str
    position: int | None
    title: str
    status: str


@dataclass(frozen=True, slots=True)
class CreatedTask:
    """A task that the daemon (or the spool) has accepted.

    Attributes:
        task_id: Its id, for all later calls.
        title: As stored.
        base_url: Its backend; None when spooled without one, because the daemon's setting decides.
        steps: In order.
        spooled: Whether it waits in the spool for the next daemon.
        url: Its page, where the backend is known to have one.
    """

    task_id: str
    title: str
    base_url: str | None
    steps: tuple[StepHandle, ...]
    spooled: bool = False
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The event is on disk, in the daemon's outbox or in the spool.

    Attributes:
        event_id: The event's UUID.
        pending: How many events wait for the backend; None when spooled.
        summary_truncated: Whether the summary was cut; when spooled, true only where every daemon would cut it.
        spooled: Whether it waits in the spool for the next daemon.
    """

    event_id: str
    pending: int | None
    summary_truncated: bool = False
    spooled: bool = False


@dataclass(frozen=True, slots=True)
class Planned(Accepted):
    """A changed plan is on disk.

    Attributes:
        steps: All steps of the task, in order; empty when spooled, because the daemon recognises them by what it knows.
    """

    steps: tuple[StepHandle, ...] = ()


@dataclass(frozen=True, slots=True)
class AddedStep(Accepted):
    """A step that was added is on disk.

    Attributes:
        step: The step; None where a daemon that is too old to add one was told of it by a line alone.
    """

    step: StepHandle | None = None


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat was accepted.

    Attributes:
        next_in_s: Seconds until the daemon's next heartbeat to the backend.
        summary_truncated: Whether the summary was cut.
    """

    next_in_s: float
    summary_truncated: bool = False


class StopPhase(StrEnum):
    """How far a request to stop has come: ``NONE``, ``REQUESTED``, ``ACKNOWLEDGED``, ``UNKNOWN``.

    ``UNKNOWN``: what is known is too old, and the backend did not answer: neither yes nor no.
    """

    NONE, REQUESTED, ACKNOWLEDGED, UNKNOWN = INTERRUPT_STATES


@dataclass(frozen=True, slots=True)
class StopState:
    """What is known of a request to stop a task.

    Attributes:
        state: How far it has come.
        interrupt_id: The request's id, when there is one.
        mode: ``soft_stop``, when there is one.
        reason: The person's words.
        requested_at: When, in RFC 3339.
        age_s: The age of this state in seconds; None where none was ever known.
    """

    state: StopPhase
    interrupt_id: str | None = None
    mode: str | None = None
    reason: str | None = None
    requested_at: str | None = None
    age_s: float | None = None

    @property
    def interrupt_requested(self) -> bool:
        """Whether a stop is asked for and not yet acknowledged."""
        return self.state is StopPhase.REQUESTED


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """What a hook is answered.

    Attributes:
        decision: ``go``, or ``stop`` while a person's stop holds the session.
        task_id: The task that the session is; None when spooled.
        interrupt_id: The stop's id.
        reason: The person's words.
        spooled: Whether the report waits in the spool for the next daemon.
    """

    decision: str
    task_id: str | None = None
    interrupt_id: str | None = None
    reason: str | None = None
    spooled: bool = False


@dataclass(frozen=True, slots=True)
class Flushed:
    """How a flush ended.

    Attributes:
        flushed: Whether nothing is pending any more; False at the time-out.
        pending: How many events still wait.
    """

    flushed: bool
    pending: int


JsonObject = Mapping[str, Any]
"""A result in the daemon's own shape, made to be shown (see ``docs/wire-protocol.md``)."""


def created_task(result: JsonObject) -> CreatedTask:
    """Reads the result of ``task.create``."""
    spooled = bool(result.get("spooled"))
    return CreatedTask(
        result["task_id"], result["title"], result["base_url"], _steps(result["steps"]), spooled, result.get("url")
    )


def accepted(result: JsonObject) -> Accepted:
    """Reads the result of an event's verb."""
    return Accepted(*_acceptance(result))


def planned(result: JsonObject) -> Planned:
    """Reads the result of ``task.plan``."""
    return Planned(*_acceptance(result), steps=_steps(result["steps"]))


def added_step(result: JsonObject) -> AddedStep:
    """Reads the result of ``step.add``."""
    step = result["step"]
    return AddedStep(*_acceptance(result), step=None if step is None else _steps([step])[0])


def _acceptance(result: JsonObject) -> tuple[str, int | None, bool, bool]:
    return result["event_id"], result.get("pending"), bool(result.get("summary_truncated")), bool(result.get("spooled"))


def _steps(found: Sequence[JsonObject]) -> tuple[StepHandle, ...]:
    return tuple(StepHandle(each["step_id"], each["position"], each["title"], each["status"]) for each in found)


def beat(result: JsonObject) -> Beat:
    """Reads the result of ``task.heartbeat``."""
    return Beat(float(result["next_in_s"]), bool(result.get("summary_truncated")))


def stop_state(result: JsonObject) -> StopState:
    """Reads the result of ``interrupt.check`` and ``interrupt.watch``, and the parameters of ``interrupt.changed``."""
    return StopState(
        StopPhase(result["state"]),
        result.get("interrupt_id"),
        result.get("mode"),
        result.get("reason"),
        result.get("requested_at"),
        result.get("age_s"),
    )


def agent_answer(result: JsonObject) -> AgentAnswer:
    """Reads the result of ``agent.event``."""
    return AgentAnswer(
        result["decision"],
        result.get("task_id"),
        result.get("interrupt_id"),
        result.get("reason"),
        bool(result.get("spooled")),
    )


def flushed(result: JsonObject) -> Flushed:
    """Reads the result of ``daemon.flush``."""
    return Flushed(bool(result["flushed"]), int(result["pending"]))


def raw(result: JsonObject) -> JsonObject:
    """Returns a result in the daemon's own shape."""
    return result
