"""What each event does to a task: the only place that says so, for both profiles.

Pure: no SQL, no HTTP, no clock. A transition either happens whole or raises an error of :mod:`clawlog_backend.domain.errors`
before it has changed anything, so that a rejected event leaves no trace.
"""

from __future__ import annotations

import json

from clawlog_backend.domain.errors import NoOpenInterrupt, TaskEnded, TaskExists, UnknownInterrupt, UnknownStep
from clawlog_backend.domain.events import (
    AgentLost,
    Event,
    Heartbeat,
    InterruptAcknowledged,
    InterruptDelivered,
    InterruptRequested,
    InterruptSeen,
    StepStatusChanged,
    TaskCreated,
    TaskStatusChanged,
    assigned_id,
)
from clawlog_backend.domain.fields import ENDED_STEP_STATUSES, ENDED_TASK_STATUSES, StepStatus, TaskStatus
from clawlog_backend.domain.state import InterruptState, StepState, TaskState
from clawlog_backend.domain.times import UtcMs


def create(event: TaskCreated, received: UtcMs) -> TaskState:
    """The task that an event creates. Step ids from the caller are kept; missing ones are assigned."""
    task = TaskState(
        n=0,
        task_id=event.task_id,
        title=event.title,
        summary=event.summary,
        metadata=json.dumps(event.metadata, ensure_ascii=False),
        created_ms=event.at,
        received_ms=received,
        updated_ms=event.at,
        steps_loaded=True,
        interrupts_loaded=True,
    )
    for position, (step_id, offered) in enumerate(zip(event.step_ids(), event.steps, strict=True), 1):
        task.steps[step_id] = StepState(step_id, position, offered.title)
    task.steps_total = len(task.steps)
    _agent_reported(task, event.at, received)
    task.index_text()
    return task


def apply(event: Event, task: TaskState, received: UtcMs) -> None:
    """Apply an event to a task.

    Args:
        event: What happened.
        task: Its task, with the steps or stops that the event names loaded.
        received: When the event arrived.

    Raises:
        NotFound: The task has no such step or stop; nothing was changed.
        Conflict: The event contradicts the task's state; nothing was changed.
    """
    match event:
        case TaskCreated():
            raise TaskExists(event.task_id)
        case TaskStatusChanged():
            _task_status(event, task)
        case StepStatusChanged():
            _step_status(event, task)
        case Heartbeat():
            _heartbeat(event, task, received)
        case AgentLost():
            task.lost, task.lost_reason, task.stalled = True, event.summary, False
        case InterruptRequested():
            _interrupt_requested(event, task)
        case InterruptSeen():
            interrupt = _interrupt(task, event.interrupt_id)
            interrupt.seen_ms = interrupt.seen_ms or event.at
        case InterruptDelivered():
            interrupt = _interrupt(task, event.interrupt_id)
            interrupt.delivered_ms = interrupt.delivered_ms or event.at
        case InterruptAcknowledged():
            _acknowledge(event, task)
    if isinstance(event, TaskStatusChanged | StepStatusChanged | InterruptDelivered | InterruptAcknowledged):
        _agent_reported(task, event.at, received)
    if not isinstance(event, Heartbeat) or event.summary is not None:
        task.updated_ms = max(task.updated_ms, event.at)


def _agent_reported(task: TaskState, at: UtcMs, received: UtcMs) -> None:
    # A command proves that its agent was alive when it was given: possibly long before it arrives here (after an outage), and
    # never later than now, whatever the agent's clock says.
    task.agent_seen_ms = max(task.agent_seen_ms or at, at)
    task.sign_ms = max(task.sign_ms, min(at, received))
    task.lost, task.lost_reason = False, None


def _set_summary(task: TaskState, summary: str | None) -> None:
    if summary is not None:
        task.summary = summary
        task.index_text()


def _set_status(task: TaskState, status: TaskStatus, at: UtcMs) -> None:
    was_ended = task.ended
    task.status = status
    if not task.ended:
        task.ended_ms = None
    elif not was_ended:
        task.ended_ms = at


def _task_status(event: TaskStatusChanged, task: TaskState) -> None:
    task.reported = TaskStatus(event.status)
    _set_status(task, task.reported, event.at)
    if task.ended:
        task.ended_ms = event.at
    _set_summary(task, event.summary)


def _step_status(event: StepStatusChanged, task: TaskState) -> None:
    step = task.steps.get(event.step_id)
    if step is None:
        raise UnknownStep(event.step_id)
    task.count(step, -1)
    step.status = event.status
    task.count(step, +1)
    if event.summary is not None:
        step.summary = event.summary
    if step.status in ENDED_STEP_STATUSES:
        step.ended_ms = event.at
    elif step.status is StepStatus.PENDING:
        step.started_ms = step.ended_ms = None
    else:
        if step.ended_ms is not None or step.started_ms is None:  # started or restarted, not merely reported again
            step.started_ms = event.at
        step.ended_ms = None
    if task.reported is None or task.reported is TaskStatus.RUNNING:
        _set_status(task, task.derive_status(), event.at)


def _heartbeat(event: Heartbeat, task: TaskState, received: UtcMs) -> None:
    task.agent_seen_ms = max(task.agent_seen_ms or event.agent_seen_at, event.agent_seen_at)
    task.vouched_ms = task.sign_ms = received
    task.evidence, task.stalled = event.evidence, event.stalled
    task.pid = event.pid
    task.lost, task.lost_reason = False, None
    _set_summary(task, event.summary)


def _interrupt_requested(event: InterruptRequested, task: TaskState) -> None:
    if task.ended:
        raise TaskEnded(task.task_id, task.status)
    if task.stop_open:
        return  # a repeated request is answered with the stop that is open
    interrupt_id = assigned_id(event.event_id, "interrupt")
    task.interrupts[interrupt_id] = InterruptState(interrupt_id, event.mode, event.reason, event.requested_by, event.at)
    task.stop_id, task.stop_open = interrupt_id, True


def _interrupt(task: TaskState, interrupt_id: str) -> InterruptState:
    interrupt = task.interrupts.get(interrupt_id)
    if interrupt is None:
        raise UnknownInterrupt(interrupt_id)
    return interrupt


def _acknowledge(event: InterruptAcknowledged, task: TaskState) -> None:
    if event.interrupt_id is None and not task.stop_open:
        raise NoOpenInterrupt(task.task_id)
    interrupt = _interrupt(task, event.interrupt_id or task.stop_id or "")
    if interrupt.acknowledged_ms is not None:
        return
    interrupt.acknowledged_ms, interrupt.ack_summary = event.at, event.summary
    if interrupt.interrupt_id == task.stop_id:
        task.stop_open = False
        if task.reported not in ENDED_TASK_STATUSES:  # an end that its agent reported wins over the stop
            task.reported = TaskStatus.INTERRUPTED
            _set_status(task, TaskStatus.INTERRUPTED, event.at)
        _set_summary(task, event.summary)
