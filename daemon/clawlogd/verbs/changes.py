"""What the verbs share that change a task: how a change is made durable and answered, and whose process is watched."""

from __future__ import annotations

import msgspec

from clawlogd.context import CallContext
from clawlogd.errors import InvalidValue
from clawlogd.liveness.namespaces import NotSeenHere, process_here
from clawlogd.liveness.processes import identify, identify_at
from clawlogd.model import WatchedProcess
from clawlogd.services import Services
from clawlogd.tasks.change import TaskChange
from clawlogd.verbs.verb import Durable

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


def accept(services: Services, change: TaskChange, context: CallContext, *, truncated: bool) -> Durable:
    """Puts a change into the open group, and answers with what is true once that is on disk.

    Raises:
        OutboxFull: A bound is reached.
        StorageFailed: The disk does not take writes.
    """
    outbox = services.outbox
    pending = outbox.counts.pending[outbox.lane(change.task.base_url)] + 1
    reply = _encode(Accepted(accepted=True, event_id=change.event.event_id, pending=pending, summary_truncated=truncated))
    services.accept(change, context, reply)
    return Durable(reply)


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
