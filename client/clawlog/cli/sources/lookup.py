"""Finds the task that a person names: by its id, or by a unique beginning of it.

The daemon is asked first, then the default backend, which knows the tasks of other machines, too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from clawlog import exits
from clawlog.cli.errors import BackendRefused, BackendUnreachable, CommandError
from clawlog.cli.render import views
from clawlog.cli.render.views import TaskView
from clawlog.cli.sources import configuration
from clawlog.cli.sources.backend import Backend
from clawlog.client import Client
from clawlog.connection.results import JsonObject
from clawlog.errors import ClawlogError, DaemonUnreachable, Refused

_CANDIDATES_SHOWN = 5
_SEARCHED_BY_BACKEND = 50


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
        every = client.list_tasks()["tasks"]
        task_id = _only([each["task_id"] for each in every], text)
        if task_id is None:
            return None
        answer = next(each for each in every if each["task_id"] == task_id)
    return Found(answer["task_id"], answer["base_url"], answer)


def _at_backend(text: str, why: str) -> Found:
    base_url = configuration.load(os.environ).base_url
    backend = Backend(base_url, os.environ)
    try:
        candidates = backend.tasks(text, limit=_SEARCHED_BY_BACKEND)
    except (BackendUnreachable, BackendRefused) as error:
        raise CommandError(f"{why}; and {error}", exits.UNAVAILABLE) from None
    task_id = _only([each.task_id for each in candidates], text)
    if task_id is None:
        raise CommandError(f"{why}, nor does {base_url}; see: clawlog tasks", exits.REFUSED)
    return Found(task_id, base_url, None)


def _only(task_ids: Sequence[str], text: str) -> str | None:
    """Returns the id that a text names, if there is one.

    Raises:
        CommandError: Several match.
    """
    if text in task_ids:
        return text
    meant = [each for each in task_ids if each.startswith(text)] if text else []
    if len(meant) > 1:
        shown = ", ".join(meant[:_CANDIDATES_SHOWN]) + (", …" if len(meant) > _CANDIDATES_SHOWN else "")
        raise CommandError(f"{text!r} matches {len(meant)} tasks ({shown}); give more of the id", exits.REFUSED)
    return meant[0] if meant else None
