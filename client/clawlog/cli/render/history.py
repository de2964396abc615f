"""What happened to a task, event by event, in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clawlog.cli.render import views
from clawlog.cli.render.backend_views import BackendEvent, BackendTask
from clawlog.cli.render.counts import counted
from clawlog.protocol.summary import one_line

WITHOUT_BEATS = (
    "task_created", "step_status", "task_status", "plan", "step_added", "link", "metadata", "interrupt_requested",
    "interrupt_seen", "interrupt_delivered", "interrupt_ack", "agent_lost", "task_closed", "attention_acknowledged",
)  # fmt: skip
"""Every kind of event but a heartbeat, of which there are more than of all others together."""

_FOLDED_FROM = 3
_COUNTING = ("heartbeat", "step_status", "task_status")
"""Kinds whose summaries count on: one after the other they are the same but for their numbers."""
_NUMBER = re.compile(r"\d[\d.,]*")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a history: an event, or several of the same words in a row.

    Attributes:
        at: When the first of them was.
        until: When the last one was, where there are several.
        text: What the last one says.
        times: How many there are.
    """

    at: str
    until: str | None
    text: str
    times: int = 1


def folded(events: Sequence[BackendEvent], task: BackendTask) -> list[Line]:
    """Returns a line for each event; repeats in a row, also those that differ in their numbers alone, are one."""
    lines: list[Line] = []
    run: list[tuple[BackendEvent, str]] = []
    for event in events:
        text = describe(event, task)
        if run and _sameness(*run[-1]) != _sameness(event, text):
            lines += _folded(run)
            run = []
        run.append((event, text))
    return lines + _folded(run)


def _folded(run: Sequence[tuple[BackendEvent, str]]) -> list[Line]:
    if len(run) < _FOLDED_FROM:
        return [Line(event.at, None, text) for event, text in run]
    return [Line(run[0][0].at, run[-1][0].at, run[-1][1], len(run))]


def _sameness(event: BackendEvent, text: str) -> tuple[str, str | None, str | None, str]:
    words = _NUMBER.sub("#", text) if event.kind in _COUNTING else text
    return event.kind, event.step_id, event.status, words


def without_quiet_beats(events: Sequence[BackendEvent]) -> Iterator[BackendEvent]:
    """Returns the events without heartbeats that say nothing."""
    return (each for each in events if each.kind != "heartbeat" or each.summary or each.details.get("progress"))


def describe(event: BackendEvent, task: BackendTask) -> str:
    """Returns an event in words."""
    summary = f": {event.summary}" if event.summary else ""
    if (measure := views.measure(event.details.get("progress"))) is not None:
        summary = f" {measure.text}{summary}"
    match event.kind:
        case "task_created":
            return "created"
        case "step_status":
            return _step(event, task)
        case "task_status":
            return f"task {event.status}{summary}"
        case "plan" | "step_added" | "link" | "metadata":
            return one_line(_change(event.kind, event.details))
        case "interrupt_requested":
            by, reason = (event.details.get(name) for name in ("requested_by", "reason"))
            return one_line(f"stop requested{f' by {by}' if by else ''}{f': {reason}' if reason else ''}")
        case "interrupt_seen" | "interrupt_delivered":
            return f"stop {event.kind.removeprefix('interrupt_')}{summary}"
        case "interrupt_ack":
            return f"stop acknowledged{summary}"
        case "task_closed" | "attention_acknowledged":
            by = event.details.get("by")
            done = f"closed as {event.status}" if event.kind == "task_closed" else "seen"
            return f"{done}{f' by {one_line(str(by))}' if by else ''}{summary}"
        case _:
            return f"{event.kind.replace('_', ' ')}{summary}"


def _step(event: BackendEvent, task: BackendTask) -> str:
    """Returns what became of a step: its title first, which says more than its number, then how far it is, and its words."""
    step = next((each for each in task.steps if each.step_id == event.step_id), None)
    measure = views.measure(event.details.get("progress"))
    about = [step.title if step else None, measure.text if measure else None, event.summary]
    said = " · ".join(filter(None, about))
    return f"step {step.position if step else event.step_id} {event.status}{f': {said}' if said else ''}"


def _change(kind: str, details: Mapping[str, Any]) -> str:
    """Returns what changed of a task beside its statuses."""
    match kind:
        case "plan":
            return f"the plan changed: {counted(len(details.get('steps') or ()), 'step')}"
        case "step_added":
            return f"step added: {details.get('title')}"
        case "link":
            name = details.get("name")
            return f"link {name}: {details.get('url')}" if name else f"link {details.get('url')}"
        case _:
            return f"metadata: {', '.join(details.get('metadata') or ())}"
