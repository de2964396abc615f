"""``task.heartbeat``: kept in memory, because only the latest is true."""

from __future__ import annotations

import msgspec

from clawlogd.services import Call, Services
from clawlogd.verbs.params import Heartbeat
from clawlogd.verbs.results import BeatAccepted
from clawlogd.verbs.tasks import finished, watched_process


def heartbeat(services: Services, params: Heartbeat, call: Call) -> BeatAccepted:
    """Notes that the agent lives; a summary goes out with a beat at once."""
    task = services.registry.get(params.task_id)
    if task.finished:
        raise finished(task)
    summary, truncated = services.summary(params.summary)
    if (process := watched_process(params.watch_pid, call)) is not None and process != task.watched:
        task = msgspec.structs.replace(task, watched=process)
        services.registry.put(task)
    if not task.status.ended:
        services.liveness.record_command(task, at_ms=call.spooled_at_ms, lease_s=params.lease_s, summary=summary)
        if summary:
            services.heartbeats.make_due(task)
    next_in_s = round(services.heartbeats.next_in_s(task), 3)
    return BeatAccepted(accepted=True, next_in_s=next_in_s, summary_truncated=truncated)
