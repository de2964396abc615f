"""What each event does to a task: the only place that says so, for both profiles.

Pure: no SQL, no HTTP, no clock. A transition either happens whole or raises an error of :mod:`clawlog_backend.domain.errors`
before it has changed anything, so that a rejected event leaves no trace.
"""

from __future__ import annotations

import json

from clawlog_backend.domain import beats, plans
from clawlog_backend.domain.errors import (
    AgentAlive,
    NoOpenInterrupt,
    NothingToAcknowledge,
    StillWaiting,
    TaskEnded,
    TaskExists,
    TooMany,
    UnknownInterrupt,
    UnknownStep,
)
from clawlog_backend.domain.events import (
    AgentLost,
    AttentionAcknowledged,
    Event,
    Heartbeat,
    InterruptAcknowledged,
    InterruptDelivered,
    InterruptRequested,
    InterruptSeen,
    Linked,
    MetadataChanged,
    Planned,
    StepAdded,
    StepStatusChanged,
    TaskClosed,
    TaskCreated,
    TaskStatusChanged,
    assigned_id,
)
from clawlog_backend.domain.fields import (
    ENDED_TASK_STATUSES,
    LINKS,
    METADATA_PAIRS,
    AttentionReason,
    Liveness,
    Progress,
    TaskStatus,
)
from clawlog_backend.domain.state import ACKNOWLEDGED_RANK, Extent, InterruptState, StepState, TaskState, liveness
from clawlog_backend.domain.times import UtcMs

_BY_AGENT = frozenset(
    {
        TaskStatusChanged,
        StepStatusChanged,
        Planned,
        StepAdded,
        MetadataChanged,
        Linked,
        InterruptDelivered,
        InterruptAcknowledged,
    }
)
"""The events that prove, by themselves, that an agent was alive when it gave the command."""


def create(event: TaskCreated, received: UtcMs) -> TaskState:
    """The task that an event creates. Step ids from the caller are kept; missing ones are assigned."""
    task = TaskState(
        n=0,
        task_id=event.task_id,
        title=event.title,
        summary=event.summary,
        metadata=_json(event.metadata),
        created_ms=event.at,
        received_ms=received,
        updated_ms=event.at,
        parent_id=event.parent_task_id if event.parent_task_id != event.task_id else None,
        reversed_id=event.task_id[::-1],
        steps_loaded=True,
        interrupts_loaded=True,
    )
    for position, (step_id, offered) in enumerate(zip(event.step_ids(), event.steps, strict=True), 1):
        task.steps[step_id] = StepState(step_id, position, offered.title)
    task.steps_total = len(task.steps)
    _agent_reported(task, event.at, received)
    task.name_after(event.metadata)
    task.mark(Extent.FACTS)
    task.reworded = True
    task.settle(received)
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
        TooMany: The task would have too much of something; nothing was changed.
    """
    if isinstance(event, Heartbeat):
        _heartbeat(event, task, received)
    else:
        _act(event, task, received)
    task.settle(received)


def _act(event: Event, task: TaskState, received: UtcMs) -> None:
    _change(event, task, received)
    if type(event) in _BY_AGENT:  # a set, since this is asked for each event, and a union is asked member by member
        _agent_reported(task, event.at, received)
        if task.closed is not None:
            task.reopen(event.at)
    if task.status is not TaskStatus.RUNNING or task.lost or task.attention is not None:  # the usual case needs nobody
        task.attend(event.at)
    task.updated_ms = max(task.updated_ms, event.at)
    task.mark(Extent.REPORT)


def _change(event: Event, task: TaskState, received: UtcMs) -> None:
    match event:
        case TaskCreated():
            raise TaskExists(event.task_id)
        case TaskStatusChanged():
            _task_status(event, task)
        case StepStatusChanged():
            _step_status(event, task)
        case Planned():
            plans.plan(event, task)
        case StepAdded():
            plans.add_step(event, task)
        case MetadataChanged():
            _metadata(event, task)
        case Linked():
            _link(event, task)
        case AgentLost():
            task.lost, task.lost_reason, task.stalled = True, event.summary, False
            task.mark(Extent.STANDING)
        case TaskClosed():
            _close(event, task, received)
        case AttentionAcknowledged():
            _acknowledge_attention(event, task)
        case InterruptRequested() | InterruptSeen() | InterruptDelivered() | InterruptAcknowledged():
            _change_stop(event, task)
            task.mark(Extent.STANDING)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _measure(progress: Progress) -> str:
    return progress.model_dump_json(exclude_none=True)


def _agent_reported(task: TaskState, at: UtcMs, received: UtcMs) -> None:
    # A command proves that its agent was alive when it was given: possibly long before it arrives here (after an outage), and
    # never later than now, whatever the agent's clock says.
    task.agent_seen_ms = max(task.agent_seen_ms or at, at)
    task.sign_ms = max(task.sign_ms, min(at, received))
    _found(task)


def _found(task: TaskState) -> None:
    if task.lost:
        task.lost, task.lost_reason = False, None
        task.mark(Extent.STANDING)


def _set_summary(task: TaskState, summary: str | None) -> None:
    if summary is not None:
        task.summary = summary
        task.reworded = True


def _task_status(event: TaskStatusChanged, task: TaskState) -> None:
    if task.closed is not None:
        task.closed = None
        task.mark(Extent.FACTS)
    if task.reported is TaskStatus.WAITING:
        task.summary = None  # the question, which is answered or asked anew
        task.reworded = True
    task.reported = TaskStatus(event.status)
    task.mark(Extent.STANDING)
    task.set_status(task.reported, event.at)
    if task.ended:
        task.ended_ms = event.at
    _set_summary(task, event.summary)


def _step_status(event: StepStatusChanged, task: TaskState) -> None:
    step = task.steps.get(event.step_id)
    if step is None:
        raise UnknownStep(event.step_id)
    if event.progress is not None:
        step.measure = task.measure = _measure(event.progress)
    elif step.status is not event.status:
        task.measure = None  # what was measured is over, or was of another step
    task.count(step, -1)
    step.set_status(event.status, event.at)
    task.count(step, +1)
    if event.summary is not None and event.summary != step.summary:
        step.summary = event.summary
        task.reworded = True
    task.derive_status(event.at)


def _metadata(event: MetadataChanged, task: TaskState) -> None:
    pairs = task.pairs()
    for key, value in event.metadata.items():
        if value is None:
            pairs.pop(key, None)
        else:
            pairs[key] = value
    if len(pairs) > METADATA_PAIRS:
        raise TooMany("metadata", METADATA_PAIRS, "pairs")
    task.metadata = _json(pairs)
    task.name_after(pairs)
    task.mark(Extent.FACTS)
    task.reworded = True
    if event.title is not None and event.title != task.title:
        task.title = event.title
        task.mark(Extent.FACTS)


def _link(event: Linked, task: TaskState) -> None:
    links = json.loads(task.links)
    known = next((link for link in links if link["url"] == event.url), None)
    if known is not None:
        known["name"] = event.name
    elif len(links) >= LINKS:
        raise TooMany("url", LINKS, "links")
    else:
        links.append({"url": event.url, "name": event.name, "at": event.at})
    task.links = _json(links)
    task.mark(Extent.FACTS)


def _heartbeat(event: Heartbeat, task: TaskState, received: UtcMs) -> None:
    task.vouched_ms = task.sign_ms = received
    task.beaten = True
    task.mark(Extent.SIGNS)
    if beats.is_late(event, task):
        return
    task.agent_seen_ms = max(task.agent_seen_ms or event.agent_seen_at, event.agent_seen_at)
    task.evidence, task.stalled = event.evidence, event.stalled
    task.pid = event.pid
    task.beat_event_id, task.beat_ms = event.event_id, event.at
    task.beats += 1
    if event.progress is not None:
        task.measure = _measure(event.progress)
    if task.lost:
        _found(task)
        task.attend(event.at)
    if event.summary is not None and event.summary != task.summary:
        _set_summary(task, event.summary)
        task.updated_ms = max(task.updated_ms, event.at)
        task.mark(Extent.REPORT)


def _close(event: TaskClosed, task: TaskState, received: UtcMs) -> None:
    if task.ended:
        raise TaskEnded(task.task_id, task.status)
    if liveness(task, received) in {Liveness.ALIVE, Liveness.STALLED}:
        raise AgentAlive(task.task_id)
    task.set_status(TaskStatus(event.status), event.at)
    task.closed = _json({"at": event.at, "by": event.by, "summary": event.summary})
    task.mark(Extent.FACTS)
    _set_summary(task, event.summary)


def _acknowledge_attention(event: AttentionAcknowledged, task: TaskState) -> None:
    if task.attention is None:
        raise NothingToAcknowledge(task.task_id)
    if task.attention is AttentionReason.WAITING:
        raise StillWaiting(task.task_id)
    if task.attention_ack_ms is None:
        task.attention_ack_ms, task.attention_by, task.attention_rank = event.at, event.by, ACKNOWLEDGED_RANK
        task.mark(Extent.FACTS)


def _change_stop(
    event: InterruptRequested | InterruptSeen | InterruptDelivered | InterruptAcknowledged, task: TaskState
) -> None:
    match event:
        case InterruptRequested():
            _interrupt_requested(event, task)
        case InterruptSeen():
            interrupt = _interrupt(task, event.interrupt_id)
            interrupt.seen_ms = interrupt.seen_ms or event.at
        case InterruptDelivered():
            interrupt = _interrupt(task, event.interrupt_id)
            interrupt.delivered_ms = interrupt.delivered_ms or event.at
        case InterruptAcknowledged():
            _acknowledge_stop(event, task)


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


def _acknowledge_stop(event: InterruptAcknowledged, task: TaskState) -> None:
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
            task.set_status(TaskStatus.INTERRUPTED, event.at)
        _set_summary(task, event.summary)
