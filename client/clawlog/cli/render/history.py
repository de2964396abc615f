"""What happened to a task, event by event, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clawlog.cli.render import views
from clawlog.cli.render.backend_views import BackendEvent, BackendTask
from clawlog.cli.render.counts import counted
from clawlog.protocol.summary import one_line


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
            step = next((each for each in task.steps if each.step_id == event.step_id), None)
            return f"step {step.position if step else event.step_id} {event.status}{summary}"
        case "task_status":
            return f"task {event.status}{summary}"
        case "plan" | "step_added" | "link" | "metadata":
            return one_line(_change(event.kind, event.details))
        case "interrupt_requested":
            return "stop requested"
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
