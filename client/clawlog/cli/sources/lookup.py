"""Finds the task that a person names: by its id, or by as much of it as no other known task shares.

Ids begin with the time, so that their first characters say little: the last ones tell tasks apart, and lists show those. The
daemon is asked first, then the default backend, which knows the tasks of other machines, too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from clawlog import exits
from clawlog.cli.errors import BackendRefused, BackendUnreachable, CommandError
from clawlog.cli.render import ids, times, views
from clawlog.cli.render.views import TaskView
from clawlog.cli.sources import configuration
from clawlog.cli.sources.backend import Backend
from clawlog.client import Client
from clawlog.connection.results import JsonObject
from clawlog.errors import ClawlogError, DaemonUnreachable, Refused

SHORTEST_ENDING = 4
SHORTEST_BEGINNING = 8

_CANDIDATES_SHOWN = 8
_MISSING_CODES = (404, 422)
"""How a backend says that it has no task of that id, or that no id looks so."""


@dataclass(frozen=True, slots=True)
class Found:
    """A task that was found.

    Attributes:
        task_id: Its full id.
        base_url: Its backend.
        answer: The daemon's own answer; None where the daemon does not know it.
    """

    task_id: str
    base_url: str
    answer: JsonObject | None

    @property
    def view(self) -> TaskView | None:
        """The task as the daemon knows it."""
        return None if self.answer is None else views.task(self.answer)


@dataclass(frozen=True, slots=True)
class _Candidate:
    task_id: str
    title: str
    created_at: str | None


def find(text: str) -> Found:
    """Finds a task. No daemon is started for it.

    Raises:
        CommandError: No task or several match, or neither the daemon nor the backend answers.
    """
    try:
        with Client(autostart=False) as client:
            found = _at_daemon(client, text)
    except DaemonUnreachable as error:
        return _at_backend(text, f"{error}")
    return found or _at_backend(text, f"the daemon knows no task {text!r}")


def known() -> Sequence[TaskView]:
    """Returns the daemon's tasks, for completion; none where no daemon runs."""
    try:
        with Client(autostart=False, timeout_s=1.0) as client:
            return views.tasks(client.list_tasks())
    except ClawlogError:
        return ()


def known_backends() -> Sequence[str]:
    """Returns the addresses of the daemon's backends, the default one first, for completion; none where no daemon runs."""
    try:
        with Client(autostart=False, timeout_s=1.0) as client:
            view = views.daemon(client.daemon_status())
    except ClawlogError:
        return ()
    return tuple(dict.fromkeys([view.base_url, *(each.base_url for each in view.backends)]))


def _at_daemon(client: Client, text: str) -> Found | None:
    try:
        answer = client.get_task(text)
    except Refused as refusal:
        if refusal.name != "unknown_task":
            raise
        every = client.list_tasks()
        candidates = [_Candidate(each.task_id, each.title, each.created_at) for each in views.tasks(every)]
        if (task_id := _only(candidates, text)) is None:
            return None
        answer = next(each for each in every["tasks"] if each["task_id"] == task_id)
    return Found(answer["task_id"], answer["base_url"], answer)


def _at_backend(text: str, why: str) -> Found:
    base_url = configuration.load(os.environ).base_url
    backend = Backend(base_url, os.environ)
    try:
        task_id = _exact(backend, text) or _only(_candidates(backend, text), text)
    except (BackendUnreachable, BackendRefused) as error:
        raise CommandError(f"{why}; and {error}", exits.UNAVAILABLE) from None
    if task_id is None:
        raise CommandError(f"{why}, nor does {base_url}{_too_short(text)}; see: clawlog tasks", exits.REFUSED)
    return Found(task_id, base_url, None)


def _exact(backend: Backend, text: str) -> str | None:
    try:
        return backend.task(text).task_id if text else None
    except BackendRefused as error:
        if error.code in _MISSING_CODES:
            return None
        raise


def _candidates(backend: Backend, text: str) -> list[_Candidate]:
    """Returns the tasks whose ids a text may mean: by their ends, else by any part of them."""
    if len(text) < SHORTEST_ENDING:
        return []
    try:
        listed = backend.tasks(id_suffix=text)
    except BackendRefused as error:
        if error.code not in _MISSING_CODES:  # a server that does not know this filter
            raise
        listed = ()
    if not any(each.task_id.endswith(text) for each in listed):
        listed = backend.tasks(q=text)
    return [_Candidate(each.task_id, each.title, each.created_at) for each in listed]


def _only(candidates: Sequence[_Candidate], text: str) -> str | None:
    """Returns the id that a text names, if there is one: whole, by its end, or by its beginning.

    Raises:
        CommandError: Several match.
    """
    meant = [each for each in candidates if each.task_id == text]
    if not meant and len(text) >= SHORTEST_ENDING:
        meant = [each for each in candidates if each.task_id.endswith(text)]
    if not meant and len(text) >= SHORTEST_BEGINNING:
        meant = [each for each in candidates if each.task_id.startswith(text)]
    if len(meant) > 1:
        raise CommandError(_ambiguous(meant, text), exits.REFUSED)
    return meant[0].task_id if meant else None


def _ambiguous(meant: Sequence[_Candidate], text: str) -> str:
    chars = max(len(text) + 1, ids.chars([each.task_id for each in meant]))
    lines = [f"{text!r} matches {len(meant)} tasks; give more of the last characters of the id:"]
    for each in meant[:_CANDIDATES_SHOWN]:
        age = f"{times.age(times.age_s(each.created_at))} ago" if each.created_at else "-"
        lines.append(f"  {ids.short(each.task_id, chars)}  {age:<10} {each.title}")
    if len(meant) > _CANDIDATES_SHOWN:
        lines.append(f"  and {len(meant) - _CANDIDATES_SHOWN} more: clawlog tasks")
    return "\n".join(lines)


def _too_short(text: str) -> str:
    if len(text) >= SHORTEST_ENDING:
        return ""
    return f" (give at least {SHORTEST_ENDING} of an id's last characters)"
