"""A task's run as spans: the task, its steps as its children, and what happened to it as events on them. Pure.

Names are those of OpenTelemetry's conventions for generative AI where these have one (a task that an AI agent works on is an
``invoke_agent``), else they begin with ``clawlog.``. docs/opentelemetry.md lists all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clawlog_backend.domain.events import EventKind, assigned_id
from clawlog_backend.domain.fields import ENDED_STEP_STATUSES, OPEN_STEP_STATUSES, StepStatus, TaskStatus
from clawlog_backend.domain.runs import Happening, Run
from clawlog_backend.domain.trace_ids import TRACEPARENT, SpanContext, span_id

Attributes = dict[str, str | int | float | bool]

EVENTS = 128  # OpenTelemetry's own default for one span
STEP_SPANS = 1_000
PRIVATE = frozenset({"user", "cwd", "command"})
"""Pairs of the metadata that the sidecar tells to a backend on its own machine alone; so does the backend."""

_REMOVED = "removed"  # how a step ended that left the plan while it went on
_PROVIDERS = {"claude-code": "anthropic", "codex": "openai", "gemini-cli": "gcp.gemini"}
_BY_AGENT = frozenset(EventKind) - {
    EventKind.TASK_CREATED,
    EventKind.AGENT_LOST,
    EventKind.INTERRUPT_REQUESTED,
    EventKind.INTERRUPT_SEEN,
    EventKind.TASK_CLOSED,
    EventKind.ATTENTION_ACKNOWLEDGED,
}
_OF_STOPS = {
    EventKind.INTERRUPT_REQUESTED: "clawlog.stop.requested",
    EventKind.INTERRUPT_SEEN: "clawlog.stop.seen",
    EventKind.INTERRUPT_DELIVERED: "clawlog.stop.delivered",
    EventKind.INTERRUPT_ACK: "clawlog.stop.acknowledged",
}


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened within a span."""

    name: str
    at_ms: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class SpanLink:
    """Another span that a span has to do with."""

    context: SpanContext
    relation: str


@dataclass(slots=True)
class Span:
    """One span, as it is sent.

    Attributes:
        parent_id: The span that it is a part of, in the same trace.
        error: Why it failed; ``None`` where it did not.
        dropped_events: How many events are left out.
    """

    context: SpanContext
    parent_id: bytes | None
    name: str
    start_ms: int
    end_ms: int
    attributes: Attributes = field(default_factory=dict)
    events: list[SpanEvent] = field(default_factory=list)
    links: Sequence[SpanLink] = ()
    error: str | None = None
    dropped_events: int = 0

    def add_event(self, name: str, at_ms: int, /, **attributes: str | float | None) -> None:
        """Note that something happened; names of attributes get their prefix."""
        if len(self.events) >= EVENTS:
            self.dropped_events += 1
            return
        given: Attributes = {f"clawlog.{key}": value for key, value in attributes.items() if value is not None}
        self.events.append(SpanEvent(name, at_ms, given))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run's span stands.

    Attributes:
        context: The span's own.
        parent_id: The span that it is a part of.
        links: Other spans that it has to do with.
    """

    context: SpanContext
    parent_id: bytes | None = None
    links: Sequence[SpanLink] = ()


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a task beside its history."""

    task_id: str
    parent_task_id: str | None
    pairs: Mapping[str, str]


def spans_of(about: About, runs: Sequence[Run], run: Run, place: Place) -> list[Span]:
    """The spans of a run that has ended: the task's own first, then its steps' in the order of their beginning.

    Args:
        about: The task.
        runs: All its runs: a step's title may be known from an earlier one.
        run: Which of them.
        place: Where it stands.
    """
    walk = _Walk(about, run, place)
    for earlier in runs[: run.number - 1]:
        for each in earlier.happenings:
            walk.learn(each)
    for each in run.happenings:
        walk.learn(each)
        walk.tell(each)
    return walk.finish()


class _Walk:
    """Goes through a history once."""

    def __init__(self, about: About, run: Run, place: Place) -> None:
        if run.last_word is None:
            raise ValueError("the run has not ended")
        self._about = about
        self._run = run
        self._ending = run.last_word
        self._place = place
        self._title = about.task_id
        self._titles: dict[str, str] = {}
        self._statuses: dict[str, str] = {}
        self._before: dict[str, str] = {}
        self._open: dict[str, Span] = {}
        self._attempts: Counter[str] = Counter()
        self._steps: list[Span] = []
        self._dropped = 0
        self._waiting_ms: int | None = None
        self._lost = False
        self._summary: str | None = None
        first = run.happenings[0].at_ms
        self._task = Span(place.context, place.parent_id, "", first, max(first, self._ending.at_ms), links=place.links)

    # ── What is known ───────────────────────────────────────────────────────────────────────────────────────────────

    def learn(self, each: Happening) -> None:
        """Take over titles and statuses."""
        own = each.own
        self._before = dict(self._statuses)
        if each.kind == EventKind.TASK_CREATED:
            self._title = own["title"]
            for position, step in enumerate(own.get("steps", ()), 1):
                self._plan(step.get("step_id") or assigned_id(each.event_id, f"step/{position}"), step["title"])
        elif each.kind == EventKind.PLAN:
            known, self._titles, self._statuses = self._statuses, {}, {}
            for step in own["steps"]:
                self._plan(step["step_id"], step["title"], step["status"])
            self._before = {step_id: known.get(step_id, StepStatus.PENDING.value) for step_id in (*known, *self._titles)}
        elif each.kind == EventKind.STEP_ADDED:
            self._plan(own["step_id"], own["title"], self._statuses.get(own["step_id"]))
        elif each.kind == EventKind.STEP_STATUS:
            self._statuses[own["step_id"]] = own["status"]
        elif each.kind == EventKind.METADATA:
            self._title = own.get("title") or self._title

    def _plan(self, step_id: str, title: str, status: str | None = None) -> None:
        self._titles[step_id], self._statuses[step_id] = title, status or StepStatus.PENDING.value

    # ── What is told ────────────────────────────────────────────────────────────────────────────────────────────────

    def tell(self, each: Happening) -> None:
        """Note what happened in the run."""
        own, task = each.own, self._task
        if each.kind == EventKind.STEP_STATUS:
            self._tell_step(each, own["step_id"], own)
        elif each.kind == EventKind.PLAN:
            for step_id in self._before:
                status = self._statuses.get(step_id, _REMOVED)
                if status != self._before[step_id] and (step_id in self._statuses or step_id in self._open):
                    self._tell_step(each, step_id, {"status": status})
        if self._lost and each.kind in _BY_AGENT:
            self._lost = False
            task.add_event("clawlog.agent.returned", each.at_ms)
        if each.kind == EventKind.AGENT_LOST:
            self._lost = True
            task.add_event("clawlog.agent.lost", each.at_ms, reason=own.get("summary"))
        elif each.kind in _OF_STOPS:
            said = {"stop.id": own.get("interrupt_id"), "stop.reason": own.get("reason"), "stop.by": own.get("requested_by")}
            task.add_event(_OF_STOPS[EventKind(each.kind)], each.at_ms, **said, summary=own.get("summary"))
        elif each.kind == EventKind.TASK_CLOSED:
            task.add_event("clawlog.task.closed", each.at_ms, by=own.get("by"), summary=own.get("summary"))
        elif each.kind == EventKind.LINK:
            task.add_event("clawlog.link", each.at_ms, url=own["url"], name=own.get("name"))
        self._tell_waiting(each)
        if each.kind in {EventKind.TASK_CREATED, EventKind.TASK_STATUS, EventKind.INTERRUPT_ACK, EventKind.TASK_CLOSED}:
            self._summary = own.get("summary") or self._summary

    def _tell_waiting(self, each: Happening) -> None:
        if self._waiting_ms is not None and each.task_status != TaskStatus.WAITING:
            waited_s = max(0, each.at_ms - self._waiting_ms) / 1000
            self._task.add_event("clawlog.waiting.ended", each.at_ms, waited_s=waited_s)
            self._waiting_ms = None
        if each.kind == EventKind.TASK_STATUS and each.task_status == TaskStatus.WAITING:
            self._waiting_ms = each.at_ms
            self._task.add_event("clawlog.waiting", each.at_ms, question=each.own.get("summary"))

    def _tell_step(self, each: Happening, step_id: str, own: Mapping[str, Any]) -> None:
        status, at_ms = own["status"], each.at_ms
        span = self._open.get(step_id)
        if span is None:
            before = self._before.get(step_id)
            if status == StepStatus.PENDING or (status == before and status in ENDED_STEP_STATUSES):
                return  # nothing began, or what has ended is said again
            span = self._begin(step_id, at_ms)
        elif status in OPEN_STEP_STATUSES:
            span.add_event("clawlog.step.report", at_ms, summary=own.get("summary"))
        if own.get("summary") is not None:
            span.attributes["clawlog.step.summary"] = own["summary"]
        for name, value in (own.get("progress") or {}).items():
            span.attributes[f"clawlog.step.progress.{name}"] = value
        span.attributes["clawlog.step.status"] = status
        span.end_ms = max(span.start_ms, at_ms)
        if status not in OPEN_STEP_STATUSES:
            del self._open[step_id]
            if status == StepStatus.FAILED:
                span.error = own.get("summary") or ""
                span.attributes["error.type"] = status

    def _begin(self, step_id: str, at_ms: int) -> Span:
        self._attempts[step_id] += 1
        attempt = self._attempts[step_id]
        own_id = span_id(self._about.task_id, self._run.number, "step", step_id, str(attempt))
        context = SpanContext(self._place.context.trace_id, own_id, self._place.context.sampled)
        title = self._titles.get(step_id, step_id)
        span = Span(context, self._place.context.span_id, f"clawlog.step {title}", at_ms, at_ms)
        span.attributes = {"clawlog.step.id": step_id, "clawlog.step.title": title, "clawlog.step.attempt": attempt}
        if step_id in self._titles:
            span.attributes["clawlog.step.position"] = list(self._titles).index(step_id) + 1
        self._open[step_id] = span
        if len(self._steps) < STEP_SPANS:
            self._steps.append(span)
        else:
            self._dropped += 1
        return span

    # ── The end ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def finish(self) -> list[Span]:
        """All spans of the run."""
        task = self._task
        for span in self._open.values():  # its task ended around it
            span.end_ms = max(span.start_ms, task.end_ms)
        task.name, task.attributes = self._name(), self._attributes()
        if self._ending.task_status == TaskStatus.FAILED:
            task.error = self._summary or ""
            task.attributes["error.type"] = "agent_lost" if self._lost else "failed"
        return [task, *self._steps]

    def _name(self) -> str:
        agent, project = self._about.pairs.get("agent"), self._about.pairs.get("project")
        if agent:
            return f"invoke_agent {agent}"
        return f"clawlog.task {project}" if project else "clawlog.task"

    def _attributes(self) -> Attributes:
        about, pairs = self._about, self._about.pairs
        found: Attributes = {
            "clawlog.task.id": about.task_id,
            "clawlog.task.title": self._title,
            "clawlog.task.run": self._run.number,
            "clawlog.task.status": self._ending.task_status,
            "clawlog.task.steps": len(self._statuses),
        }
        if self._summary is not None:
            found["clawlog.task.summary"] = self._summary
        if about.parent_task_id is not None:
            found["clawlog.task.parent_id"] = about.parent_task_id
        if self._dropped:
            found["clawlog.task.steps_left_out"] = self._dropped
        if agent := pairs.get("agent"):
            found["gen_ai.operation.name"] = "invoke_agent"
            found["gen_ai.agent.name"] = agent
            found["gen_ai.provider.name"] = _PROVIDERS.get(agent, "unknown")
            found["gen_ai.conversation.id"] = about.task_id
            if version := pairs.get("agent_version"):
                found["gen_ai.agent.version"] = version
        for key, value in pairs.items():
            if key not in {"agent", "agent_version", TRACEPARENT} | PRIVATE:
                found[f"clawlog.metadata.{key}"] = value
        return found
