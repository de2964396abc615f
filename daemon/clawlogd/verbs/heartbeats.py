"""``task.heartbeat``: kept in memory, because only the latest is true."""

from __future__ import annotations

import msgspec

from clawlogd.context import CallContext
from clawlogd.services import Services
from clawlogd.tasks.change import refuse_finished
from clawlogd.text import clean_summary
from clawlogd.verbs.changes import watched_process
from clawlogd.verbs.fields import KnownId, Lease, Params, Pid, ProgressParam, SummaryText
from clawlogd.verbs.verb import Verb


class TaskHeartbeat(Params, frozen=True):
    """``task.heartbeat``."""

    task_id: KnownId
    summary: SummaryText | None = None
    progress: ProgressParam | None = None
    lease_s: Lease | None = None
    watch_pid: Pid | None = None


class HeartbeatAccepted(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answers ``task.heartbeat``.

    Attributes:
        accepted: True.
        next_in_s: In how many seconds the daemon sends the task's next heartbeat.
        summary_truncated: Whether the summary was cut.
    """

    accepted: bool
    next_in_s: float
    summary_truncated: bool = False


def heartbeat(services: Services, params: TaskHeartbeat, context: CallContext) -> HeartbeatAccepted:
    """Records that the agent lives; a summary and a progress are sent with a heartbeat at once."""
    task = services.registry.get(params.task_id)
    refuse_finished(task)
    summary, truncated = clean_summary(params.summary, services.settings.summary)
    if (process := watched_process(params.watch_pid, context)) is not None and process != task.watched:
        task = msgspec.structs.replace(task, watched=process)
        services.registry.put(task)
    progress = None if params.progress is None else params.progress.as_progress()
    if progress is not None:
        task = msgspec.structs.replace(task, progress=progress)
        services.registry.replace_in_memory(task)
    if not task.status.ended:
        services.liveness.record_command(
            task, at_ms=context.spooled_at_ms, lease_s=params.lease_s, summary=summary, progress=progress
        )
        if summary or progress is not None:
            services.heartbeats.make_due(task)
    next_in_s = round(services.heartbeats.next_in_s(task), 3)
    return HeartbeatAccepted(accepted=True, next_in_s=next_in_s, summary_truncated=truncated)


HEARTBEAT = Verb("task.heartbeat", TaskHeartbeat, HeartbeatAccepted, heartbeat)
