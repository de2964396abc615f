"""What the daemon and the backend know of one task, fetched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clawlog.cli.errors import BackendRefused, BackendUnreachable
from clawlog.cli.render.backend_views import BackendEvent, BackendTask
from clawlog.cli.render.history import WITHOUT_BEATS
from clawlog.cli.sources.backend import Backend
from clawlog.cli.sources.lookup import Found

_PAGE = 500
_MOST_PAGES = 40
"""How much of a history ``--all`` fetches: 20,000 events beside the heartbeats."""


@dataclass(frozen=True, slots=True)
class Known:
    """A task as the daemon and the backend know it.

    Attributes:
        found: The task, with the daemon's answer.
        answer: The backend's raw answer; None where it gave none.
        at_backend: The same, as a value.
        missing: Why the backend gave none.
        page: The address of its page; None where the backend has none.
        events: Its history, the newest last.
        is_cut: Whether older events were not fetched.
        has_all_beats: Whether the heartbeats are among the events back to the first of these.
    """

    found: Found
    answer: Any
    at_backend: BackendTask | None
    missing: str | None
    page: str | None = None
    events: Sequence[BackendEvent] = ()
    is_cut: bool = False
    has_all_beats: bool = True


def fetch(found: Found, *, everything: bool, with_history: bool) -> Known:
    """Asks the task's backend for it.

    Args:
        found: The task.
        everything: Whether all of its history is wanted.
        with_history: Whether its history is wanted beyond what comes with the task.
    """
    backend = Backend(found.base_url, os.environ)
    try:
        answer = backend.task_answer(found.task_id)
        task = backend.read_task(answer)
        page = backend.page(found.task_id)
        if not with_history:
            return Known(found, answer, task, None, page)
        events, is_cut, has_all_beats = _history(backend, task, _MOST_PAGES if everything else 1)
        return Known(found, answer, task, None, page, events, is_cut, has_all_beats)
    except (BackendRefused, BackendUnreachable) as error:
        return Known(found, None, None, str(error))


def _history(backend: Backend, task: BackendTask, most_pages: int) -> tuple[Sequence[BackendEvent], bool, bool]:
    """Returns the events; whether older ones are missing; and whether the heartbeats are among them.

    With the task come its newest events, most of which may be heartbeats: what is older is asked for without these.
    """
    events = list(task.events)
    if not events or events[0].kind == "task_created":
        return events, False, True
    more = True
    for _ in range(most_pages):
        try:
            older, more = backend.events_before(task.task_id, events[0].seq, limit=_PAGE, kinds=WITHOUT_BEATS)
        except (BackendRefused, BackendUnreachable):
            break  # a server that shows no more than that
        events = [*older, *events]
        if not older or not more:
            return events, False, False
    return events, more, False
