"""A ClawLog backend's answers about a task, as values.

A member that the HTTP contract's plain profile may leave out is optional here, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from clawlog.cli.render import states, views
from clawlog.cli.render.views import LinkView, Measure
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
        requested_by: Who asked for it.
    """

    interrupt_id: str
    reason: str | None
    requested_at: str | None
    seen_at: str | None
    delivered_at: str | None
    acknowledged_at: str | None
    ack_summary: str | None
    requested_by: str | None = None

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
            requested_by=_text(view, "requested_by"),
        )


@dataclass(frozen=True, slots=True)
class BackendStep:
    """A step as the backend shows it."""

    step_id: str
    position: int
    title: str
    status: str
    summary: str | None
    measure: Measure | None = None

    @classmethod
    def read(cls, view: Mapping[str, Any]) -> Self:
        """Reads one of a task's ``steps``."""
        title, status = one_line(view["title"]), str(view["status"])
        measure = views.measure(view.get("measure"))
        return cls(str(view["step_id"]), int(view["position"]), title, status, _text(view, "summary"), measure)


@dataclass(frozen=True, slots=True)
class Attention:
    """Why a task needs a person.

    Attributes:
        reason: ``waiting``, ``failed`` or ``lost``.
        since: Since when.
        acknowledged_at: When a person said that they have seen it.
        acknowledged_by: Who.
    """

    reason: str
    since: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None

    @classmethod
    def read(cls, view: Mapping[str, Any]) -> Self:
        """Reads a view's ``attention``."""
        return cls(str(view["reason"]), _text(view, "since"), _text(view, "acknowledged_at"), _text(view, "acknowledged_by"))


@dataclass(frozen=True, slots=True)
class Relative:
    """A task's parent, or one of its subtasks."""

    task_id: str
    title: str
    status: str

    @classmethod
    def read(cls, view: Mapping[str, Any]) -> Self:
        """Reads a view's ``parent``, or one of its ``subtasks``."""
        return cls(str(view["task_id"]), one_line(view["title"]), str(view["status"]))


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
        details: All that it holds, as the backend answers it.
    """

    seq: int
    event_id: str
    kind: str
    at: str
    received_at: str
    step_id: str | None
    status: str | None
    summary: str | None
    details: Mapping[str, Any] = field(default_factory=dict)

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
            details=view,
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
        summary: The last one.
        created_at: When it was created.
        ended_at: When it ended.
        agent_seen_at: Its agent's last sign.
        metadata: Pairs of the agent's, and what was found out about it.
        measure: How far it has come.
        links: What there is to look at beside it.
        attention: Why it needs a person; None where it does not.
        waiting_since: Since when it waits for a person.
        parent_task_id: The task that it is a part of.
        parent: The same, as far as the backend knows it.
        subtasks: Its parts, the newest first.
        lost_reason: Why its agent is taken to be gone.
    """

    task_id: str
    title: str
    status: str
    steps: tuple[BackendStep, ...]
    stop: Receipts | None
    liveness: str | None
    evidence: str | None
    events: tuple[BackendEvent, ...]
    summary: str | None = None
    created_at: str | None = None
    ended_at: str | None = None
    agent_seen_at: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    measure: Measure | None = None
    links: tuple[LinkView, ...] = ()
    attention: Attention | None = None
    waiting_since: str | None = None
    parent_task_id: str | None = None
    parent: Relative | None = None
    subtasks: tuple[Relative, ...] = ()
    lost_reason: str | None = None

    @property
    def shown_status(self) -> str:
        """The one word that says how it is."""
        is_stopping = self.stop is not None and self.stop.requested_at is not None and self.stop.acknowledged_at is None
        return states.shown_status(self.status, self.liveness, is_stopping=is_stopping)

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
            summary=_text(view, "summary"),
            created_at=_text(view, "created_at"),
            ended_at=_text(view, "ended_at"),
            agent_seen_at=_text(life, "agent_seen_at"),
            metadata={str(key): one_line(str(value)) for key, value in (view.get("metadata") or {}).items()},
            measure=views.measure(view.get("measure")),
            links=tuple(LinkView(str(each["url"]), _text(each, "name")) for each in view.get("links") or ()),
            attention=Attention.read(view["attention"]) if view.get("attention") else None,
            waiting_since=_text(view, "waiting_since"),
            parent_task_id=_text(view, "parent_task_id"),
            parent=Relative.read(view["parent"]) if view.get("parent") else None,
            subtasks=tuple(Relative.read(each) for each in view.get("subtasks") or ()),
            lost_reason=_text(life, "reason"),
        )


def _text(view: Mapping[str, Any], name: str) -> str | None:
    value = view.get(name)
    return None if value is None else one_line(str(value))
