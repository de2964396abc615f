"""Polls the daemon, draws, and handles keys; restores the terminal however it ends."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from rich.console import Console
from rich.live import Live

from clawlog.cli.commands.top.keyboard import Keyboard
from clawlog.cli.commands.top.model import Key, Model
from clawlog.cli.commands.top.screen import draw
from clawlog.cli.errors import CommandError
from clawlog.cli.render import output, views
from clawlog.cli.sources import lookup, person
from clawlog.cli.sources.backend import Backend
from clawlog.client import Client
from clawlog.errors import ClawlogError

_TIMEOUT_S = 2.0


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
            live.update(draw(model, console.size.height, console.size.width), refresh=True)
            for key in keyboard.pressed(next_poll - time.monotonic()):
                if key is Key.QUIT:
                    return 0
                to_stop = model.stops(key)
                model = model.pressed(key)
                if to_stop is not None:
                    model = model.noted(_ask_to_stop(to_stop))
                if key in (Key.ALL, Key.STOP):
                    next_poll = 0.0
    return model


def _poll(client: Client, model: Model) -> Model:
    active = None if model.show_all else True
    try:
        return model.polled(views.daemon(client.daemon_status()), views.tasks(client.list_tasks(active=active)))
    except ClawlogError as error:
        return model.poll_failed(str(error))


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
