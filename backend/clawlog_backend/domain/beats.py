"""Which heartbeats a task's history keeps: those that say something, and one in a while of those that say that all goes on.

An agent beats every 15 seconds, day and night. Each beat is counted; each one that is kept says for how many it stands, and
since when there was none before it, so that a reader of the history sees the same gaps as if all were there.
"""

from __future__ import annotations

from typing import Any

from clawlog_backend.domain.events import Heartbeat
from clawlog_backend.domain.fields import AttentionReason
from clawlog_backend.domain.state import QUIET_AFTER_MS, TaskState
from clawlog_backend.domain.times import UtcMs

KEEP_EVERY_MS = 300_000
ADDED = ("beats", "gap_since")
"""What a heartbeat that is kept gets beside its own fields."""


def is_repeat(event: Heartbeat, task: TaskState) -> bool:
    """Whether a heartbeat with the newest one's id says the same, as far as is known of it."""
    return (event.evidence, event.stalled, event.pid) == (task.evidence, task.stalled, task.pid)


def is_late(event: Heartbeat, task: TaskState) -> bool:
    """Whether newer word of the agent is known, a heartbeat or that it is gone: this one only shows that the sidecar is there.

    Not where it is much older: then the sidecar's clock was put back.
    """
    lost_ms = task.attention_ms if task.attention is AttentionReason.LOST else None
    newest_ms = max(task.beat_ms or 0, lost_ms or 0)
    return 0 < newest_ms - event.at < KEEP_EVERY_MS


def keep(event: Heartbeat, task: TaskState, received: UtcMs) -> dict[str, Any] | None:
    """Whether the history is to keep a heartbeat: with what it gets beside its own fields, or ``None``.

    To be asked before the heartbeat is applied.
    """
    if is_late(event, task):
        return None
    gap_since = None
    if task.vouched_ms is not None:
        last = task.vouched_ms if task.beat_ms is None else task.beat_ms
        gap_since = last if max(received - task.vouched_ms, event.at - last) > QUIET_AFTER_MS else None
    is_known = (
        task.kept_ms is not None
        and received - task.kept_ms < KEEP_EVERY_MS
        and is_repeat(event, task)
        and (event.summary is None or event.summary == task.summary)
    )
    if is_known and gap_since is None:
        return None
    told: dict[str, Any] = {"beats": task.beats + 1}
    if gap_since is not None:
        told["gap_since"] = UtcMs(gap_since).rfc3339()
    return told
