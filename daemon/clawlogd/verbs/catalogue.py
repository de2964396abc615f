"""All verbs, in the order in which the answer to an unknown method lists them."""

from __future__ import annotations

from typing import Any

from clawlogd.verbs import daemon, dead_letters, heartbeats, interrupts, steps, task_views, tasks
from clawlogd.verbs.verb import Verb

VERBS: tuple[Verb[Any], ...] = (
    tasks.CREATE,
    tasks.UPDATE,
    task_views.GET,
    task_views.LIST,
    heartbeats.HEARTBEAT,
    steps.UPDATE,
    interrupts.CHECK,
    interrupts.WATCH,
    interrupts.ACK,
    daemon.STATUS,
    daemon.FLUSH,
    dead_letters.LIST,
    dead_letters.RETRY,
    dead_letters.DROP,
)
