"""A ClawLog backend's answers about a task, as values.

A member that the HTTP contract's plain profile may leave out is optional here, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from clawlog.protocol.summary import one_line


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a stop: its name, and when it was reached."""

    name: str
    at: str | None


@dataclass(frozen=True, slots=True)
class Receipts:
    """How far a stop has come; times are RFC 3339, None for what has not happened yet.

    Attributes:
        interrupt_id: The request's id.
        reason: The person's words.
        requested_at: When the backend took the request.
        seen_at: When the daemon saw it.
        delivered_at: When the agent received it.
        acknowledged_at: When the agent had stopped.
        ack_summary: The agent's own summary.
    """

    interrupt_id: str
    reason: str | None
    requested_at: str | None
    seen_at: str | None
    delivered_at: str | None
    acknowledged_at: str | None
    ack_summary: str | None

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Its stages, in order."""
        return (
            Stage("requested", self.requested_at),
            Stage("seen", self.seen_at),
            Stage("delivered", self.delivered_at),
            Stage("acknowledged", self.acknowledged_at),
        )

    @classmethod
    def read(cls, view: Mapping[str, Any]) -> Self:
        """Reads a view's ``stop``."""
        return cls(
            interrupt_id=str(view["interrupt_id"]),
            reason=_text(view, "reason"),
            requested_at=_text(view, "requested_at"),
            seen_at=_text(view, "seen_at"),
            delivered_at=_text(view, "delivered_at"),
            acknowledged_at=_text(view, "acknowledged_at"),
            ack_summary=_text(view, "ack_summary"),
        )


@dataclass(frozen=True, slots=True)
class BackendStep:
    """A step as the backend shows it."""

    step_id: str
    position: int
    title: str
    status: str
    summary: str | None

    @classmethod
    def read(cls, view: Mapping[str, Any]) -> Self:
        """Reads one of a task's ``steps``."""
        title, status = one_line(view["title"]), str(view["status"])
        return cls(str(view["step_id"]), int(view["position"]), title, status, _text(view, "summary"))


@dataclass(frozen=True, slots=True)
class BackendEvent:
    """One event of a task's history.

    Attributes:
        seq: Its growing number at the backend.
        event_id: Its id, as the daemon sent it.
        kind: What happened.
        at: When, on the agent's machine.
        received_at: When the backend received it.
        step_id: The step, if it is about one.
        status: The new status, if there is one.
        summary: One line.
    """

    seq: int
    event_id: str
    kind: str
    at: str
    received_at: str
    step_id: str | None
    status: str | None
    summary: str | None

    @classmethod
    def read(cls, view: Mapping[str, Any]) -> Self:
        """Reads one of a task's ``events``."""
        return cls(
            seq=int(view["seq"]),
            event_id=str(view["event_id"]),
            kind=str(view["kind"]),
            at=str(view["at"]),
            received_at=str(view["received_at"]),
            step_id=_text(view, "step_id"),
            status=_text(view, "status"),
            summary=_text(view, "summary"),
        )


@dataclass(frozen=True, slots=True)
class BackendTask:
    """A task as the backend shows it.

    Attributes:
        task_id: Its id there.
        title: What it is.
        status: Its status.
        steps: In order.
        stop: Its newest stop.
        liveness: What the backend knows of the agent's life, such as ``alive``.
        evidence: On what that rests: ``process`` or ``command``.
        events: The newest events, the newest last.
    """

    task_id: str
    title: str
    status: str
    steps: tuple[BackendStep, ...]
    stop: Receipts | None
    liveness: str | None
    evidence: str | None
    events: tuple[BackendEvent, ...]

    @classmethod
    def read(cls, view: Mapping[str, Any]) -> Self:
        """Reads a task's view."""
        life = view.get("liveness") or {}
        return cls(
            task_id=str(view["task_id"]),
            title=one_line(view["title"]),
            status=str(view["status"]),
            steps=tuple(BackendStep.read(each) for each in view.get("steps") or ()),
            stop=Receipts.read(view["stop"]) if view.get("stop") else None,
            liveness=_text(life, "state"),
            evidence=_text(life, "evidence"),
            events=tuple(BackendEvent.read(each) for each in view.get("events") or ()),
        )


def _text(view: Mapping[str, Any], name: str) -> str | None:
    value = view.get(name)
    return None if value is None else one_line(str(value))
