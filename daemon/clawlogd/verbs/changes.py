"""What the verbs share that change a task: how a change is made durable and answered, and whose process is watched."""

from __future__ import annotations

import msgspec

from clawlog.protocol.types import StepStatus
from clawlogd.context import CallContext
from clawlogd.errors import InvalidValue
from clawlogd.liveness.namespaces import NotSeenHere, process_here
from clawlogd.liveness.processes import identify, identify_at
from clawlogd.logs import Log
from clawlogd.model import Step, WatchedProcess
from clawlogd.services import Services
from clawlogd.tasks.change import TaskChange
from clawlogd.verbs.verb import Durable

_log = Log("tasks")
_encode = msgspec.json.Encoder().encode


class Accepted(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Answers a change that is now on disk and on its way.

    Attributes:
        accepted: True.
        event_id: The event's id, the caller's own where it gave one.
        pending: How many events wait for the task's backend, this one among them.
        summary_truncated: Whether the summary was cut.
    """

    accepted: bool
    event_id: str
    pending: int
    summary_truncated: bool = False


class StepEntry(msgspec.Struct, frozen=True):
    """A step as the answers to commands list it."""

    step_id: str
    position: int
    title: str
    status: StepStatus


def entry_of(step: Step) -> StepEntry:
    """A step as it is listed."""
    return StepEntry(step.step_id, step.position, step.title, step.status)


def accept(services: Services, change: TaskChange, context: CallContext, *, truncated: bool) -> Durable:
    """Puts a change into the open group, and answers with what is true once that is on disk.

    Raises:
        OutboxFull: A bound is reached.
        StorageFailed: The disk does not take writes.
    """
    reply = _encode(
        Accepted(
            accepted=True,
            event_id=change.event.event_id,
            pending=pending_after(services, change),
            summary_truncated=truncated,
        )
    )
    services.accept(change, context, reply)
    return Durable(reply)


def pending_after(services: Services, change: TaskChange) -> int:
    """How many events wait for a task's backend once a change is accepted."""
    outbox = services.outbox
    return outbox.counts.pending[outbox.lane(change.task.base_url)] + (1 if change.first is None else 2)


def watched_process(pid: int | None, context: CallContext) -> WatchedProcess | None:
    """Identifies the process that a caller names as its agent's.

    Raises:
        InvalidValue: No such process runs. (For a spooled call that is no error: it may have ended since.)
    """
    if pid is None:
        return None
    try:
        pid = process_here(pid, context.peer)
    except NotSeenHere as error:
        if context.spooled_at_ms is not None:
            _log.warning_seldom("watch_pid_ignored", pid=pid, why=str(error))
            return None
        raise InvalidValue(
            "watch_pid", str(error), "leave it out: then the agent's own commands are its signs of life"
        ) from None
    if context.spooled_at_ms is not None:
        return identify_at(pid, context.spooled_at_ms)
    process = identify(pid)
    if process is None:
        raise InvalidValue("watch_pid", f"no process {pid} runs", "expected the number of a running process")
    return process
