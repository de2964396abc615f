"""Polls the daemon, draws, and handles keys; restores the terminal however it ends."""

from __future__ import annotations

import os
import signal
import sys
import time
import webbrowser
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import NoReturn

from rich.console import Console
from rich.live import Live

from clawlog.cli.commands.top.keyboard import Keyboard, take
from clawlog.cli.commands.top.model import Key, Model
from clawlog.cli.commands.top.screen import draw
from clawlog.cli.errors import CommandError
from clawlog.cli.render import output, times, views
from clawlog.cli.render.views import TaskView
from clawlog.cli.sources import browser, lookup, person
from clawlog.cli.sources.backend import Backend
from clawlog.client import Client
from clawlog.errors import ClawlogError, Refused

_TIMEOUT_S = 2.0
_MOST_ENDED = 100
_LATE_S = 86_400.0
"""Of the tasks that have ended, those that failed within a day are shown, too: somebody should look at them."""
_LINES_BESIDE = 16
"""The lines that are not tasks: what stands above and below them."""


def run(interval_s: float, *, show_all: bool) -> int:
    """Shows the tasks until it is quit; returns the exit status.

    Args:
        interval_s: The seconds between two polls of the daemon.
        show_all: Whether ended tasks are shown from the start.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    console = output.console()
    model = Model(show_all=show_all)
    with Client(autostart=False, timeout_s=_TIMEOUT_S) as client:
        while True:
            suspended: list[int] = []
            signal.signal(signal.SIGTSTP, _noted_in(suspended))
            ended = _show(client, console, model, interval_s, suspended)
            if isinstance(ended, int):
                return ended
            model = ended
            # Ctrl-Z, with the terminal restored.
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)


def _show(client: Client, console: Console, model: Model, interval_s: float, suspended: list[int]) -> Model | int:
    """Shows the tasks until it is quit (returns the exit status), or suspended (returns the model)."""
    next_poll = 0.0
    with Keyboard(sys.stdin.fileno()) as keyboard, Live(console=console, screen=True, auto_refresh=False) as live:
        while not suspended:
            if time.monotonic() >= next_poll:
                model = _poll(client, model)
                next_poll = time.monotonic() + interval_s
            model = replace(model, page_rows=max(console.size.height - _LINES_BESIDE, 1))
            live.update(draw(model, console.size.height, console.size.width), refresh=True)
            data = keyboard.pressed(next_poll - time.monotonic())
            while data:
                key, data = take(data, typing=model.typing)
                if key is Key.QUIT:
                    return 0
                acted, model = _acted(model, key), model.pressed(key)
                model = model.noted(acted) if acted else model
                if key in (Key.ALL, Key.STOP):
                    next_poll = 0.0
    return model


def _poll(client: Client, model: Model) -> Model:
    try:
        return model.polled(views.daemon(client.daemon_status()), _tasks(client, show_all=model.show_all))
    except ClawlogError as error:
        return model.poll_failed(str(error))


def _tasks(client: Client, *, show_all: bool) -> tuple[TaskView, ...]:
    """Returns the tasks to show: all, or those that have not ended and those that failed of late."""
    if show_all:
        return views.tasks(client.list_tasks())
    active = views.tasks(client.list_tasks(active=True))
    try:
        ended = views.tasks(client.list_tasks(active=False, limit=_MOST_ENDED))
    except Refused:  # a daemon of an earlier version
        return active
    late = [each for each in ended if each.status == "failed" and times.age_s(each.ended_at or "") <= _LATE_S]
    return (*active, *late)


def _acted(model: Model, key: Key | str) -> str:
    """Does what a key asks for outside the screen; returns the note to show, if there is one."""
    if (to_stop := model.stops(key)) is not None:
        return _ask_to_stop(to_stop)
    if key is Key.BROWSER and not model.typing and model.selected_task is not None:
        return _open(model.selected_task)
    return ""


def _open(task: TaskView) -> str:
    """Opens a task's page; returns its address, or why there is none."""
    try:
        page = Backend(task.base_url, os.environ).page(task.task_id)
    except CommandError as error:
        return str(error)
    if page is None:
        return f"{task.base_url} does not say where a task's page is"
    opened = browser.has_screen(os.environ) and webbrowser.open(page)
    return f"opened {page}" if opened else page


def _ask_to_stop(task_id: str) -> str:
    """Asks for a stop; returns the note to show."""
    try:
        found = lookup.find(task_id)
        Backend(found.base_url, os.environ).request_stop(found.task_id, requested_by=person.name())
    except (CommandError, ClawlogError) as error:
        return str(error)
    return "stop requested"


def _noted_in(received: list[int]) -> Callable[[int, FrameType | None], None]:
    return lambda number, _: received.append(number)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    sys.exit(128 + number)
