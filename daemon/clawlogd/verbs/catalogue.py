"""All verbs, in the order in which the answer to an unknown method lists them."""

from __future__ import annotations

from typing import Any

from clawlogd.verbs import (
    agents,
    attachments,
    contracts,
    daemon,
    dead_letters,
    heartbeats,
    interrupts,
    plans,
    steps,
    task_views,
    tasks,
)
from clawlogd.verbs.verb import Verb

VERBS: tuple[Verb[Any], ...] = (
    tasks.CREATE,
    tasks.UPDATE,
    plans.PLAN,
    attachments.ANNOTATE,
    attachments.LINK,
    task_views.GET,
    task_views.LIST,
    heartbeats.HEARTBEAT,
    plans.ADD,
    steps.UPDATE,
    interrupts.CHECK,
    interrupts.WATCH,
    interrupts.ACK,
    agents.EVENT,
    daemon.STATUS,
    daemon.FLUSH,
    dead_letters.LIST,
    dead_letters.RETRY,
    dead_letters.DROP,
    contracts.SHOW,
    contracts.TRY,
)
