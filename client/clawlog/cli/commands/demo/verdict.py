"""Compares what the backend has with what the agent reported: the demo's result."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from clawlog.cli.commands.demo.agent import AgentReport
from clawlog.cli.commands.demo.timeline import Check
from clawlog.cli.render import times
from clawlog.cli.render.backend_views import BackendTask, Receipts
from clawlog.cli.render.counts import counted


def check(report: AgentReport, request: Receipts, task: BackendTask, daemon: Mapping[str, Any]) -> list[Check]:
    """Makes all comparisons.

    Args:
        report: What the agent reported.
        request: The backend's answer to the stop request.
        task: The task as the backend has it at the end.
        daemon: The daemon's status at the end.
    """
    return [
        _events(report, task),
        _steps(report, task),
        _receipts(report, request, task),
        _ended(task),
        _evidence(report, task),
        _nothing_left(daemon),
    ]


def _events(report: AgentReport, task: BackendTask) -> Check:
    sent = list(report.event_ids)
    have = [event.event_id for event in task.events if event.event_id in set(sent)]
    if have != sent:
        return Check(False, f"the agent sent the events {sent}, the backend has {have}")  # noqa: FBT003 - it does not hold
    return Check(True, f"the backend has the agent's {len(sent)} events, each once and in order")  # noqa: FBT003 - it holds


def _steps(report: AgentReport, task: BackendTask) -> Check:
    statuses = tuple(step.status for step in task.steps)
    shown = ", ".join(f"{step.position} {step.status}" for step in task.steps)
    return Check(statuses == report.step_statuses, f"the steps: {shown}")


def _receipts(report: AgentReport, request: Receipts, task: BackendTask) -> Check:
    stop = task.stop
    if stop is None or stop.interrupt_id != request.interrupt_id:
        return Check(False, f"the stop {request.interrupt_id} is not the task's newest")  # noqa: FBT003 - it does not hold
    stages: Sequence[tuple[str, str | None]] = (
        ("requested", stop.requested_at),
        ("seen by the daemon", stop.seen_at),
        ("delivered to the agent", stop.delivered_at),
        ("acknowledged", stop.acknowledged_at),
    )
    missing = [name for name, at in stages if at is None]
    if missing:
        return Check(False, f"the stop has no receipt for: {', '.join(missing)}")  # noqa: FBT003 - it does not hold
    moments = [at for _, at in stages if at is not None]
    delays_s = [times.between(earlier, later) for earlier, later in itertools.pairwise(moments)]
    shown = ", ".join(f"{name} after {times.duration(delay)}" for (name, _), delay in zip(stages[1:], delays_s, strict=True))
    holds = all(delay >= 0 for delay in delays_s) and stop.ack_summary == report.ack_summary
    return Check(holds, f"the stop: requested, {shown}")


def _ended(task: BackendTask) -> Check:
    holds = task.status == "interrupted" and task.liveness == "ended"
    return Check(holds, f"the task is {task.status}, its agent {task.liveness}")


def _evidence(report: AgentReport, task: BackendTask) -> Check:
    shown = f"on the evidence of its {task.evidence}" if task.evidence else "on no evidence"
    return Check(task.evidence == "process", f"the daemon reported the agent (process {report.watched_pid}) alive {shown}")


def _nothing_left(daemon: Mapping[str, Any]) -> Check:
    pending, dead = daemon["outbox"]["pending"], daemon["outbox"]["dead_letters"]
    waits = counted(pending, "event", "wait")
    return Check(daemon["healthy"] and not pending and not dead, f"in the daemon {waits}, {dead} refused")
