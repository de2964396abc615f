"""Looks at the daemon from time to time, draws, and does what keys say; gives the terminal back however it ends."""

from __future__ import annotations

import getpass
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
from clawlog.cli.sources import lookup
from clawlog.cli.sources.backend import Backend
from clawlog.client import Client
from clawlog.errors import ClawlogError

_TIMEOUT_S = 2.0


def run(interval_s: float, *, show_all: bool) -> int:
    """Shows the tasks until it is told to end; returns the exit status.

    Args:
        interval_s: How often the daemon is looked at.
        show_all: Whether tasks that ended are shown from the start.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    console = output.console()
    model = Model(show_all=show_all)
    with Client(autostart=False, timeout_s=_TIMEOUT_S) as client:
        while True:
            stopped: list[int] = []
            signal.signal(signal.SIGTSTP, _noted_in(stopped))
            ended = _show(client, console, model, interval_s, stopped)
            if isinstance(ended, int):
                return ended
            model = ended
            # Ctrl-Z, with the terminal given back.
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)


def _show(client: Client, console: Console, model: Model, interval_s: float, stopped: list[int]) -> Model | int:
    """Shows until it is to end (returns the exit status), or is stopped (returns where it was)."""
    next_look = 0.0
    with Keyboard(sys.stdin.fileno()) as keyboard, Live(console=console, screen=True, auto_refresh=False) as live:
        while not stopped:
            if time.monotonic() >= next_look:
                model = _look(client, model)
                next_look = time.monotonic() + interval_s
            live.update(draw(model, console.size.height), refresh=True)
            for key in keyboard.pressed(next_look - time.monotonic()):
                if key is Key.QUIT:
                    return 0
                to_stop = model.stops(key)
                model = model.pressed(key)
                if to_stop is not None:
                    model = model.noted(_ask_to_stop(to_stop))
                if key in (Key.ALL, Key.STOP):
                    next_look = 0.0
    return model


def _look(client: Client, model: Model) -> Model:
    active = None if model.show_all else True
    try:
        return model.seen(views.daemon(client.daemon_status()), views.tasks(client.list_tasks(active=active)))
    except ClawlogError as error:
        return model.unseen(str(error))


def _ask_to_stop(task_id: str) -> str:
    """Asks for a stop; returns what came of it."""
    try:
        found = lookup.find(task_id)
        Backend(found.base_url, os.environ).request_stop(found.task_id, requested_by=getpass.getuser())
    except (CommandError, ClawlogError) as error:
        return str(error)
    return "stop requested"


def _noted_in(received: list[int]) -> Callable[[int, FrameType | None], None]:
    return lambda number, _: received.append(number)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    sys.exit(128 + number)
