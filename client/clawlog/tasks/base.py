"""What the blocking and the asyncio form of a task have in common."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from clawlog.connection.results import StepHandle, StopPhase, StopState
from clawlog.tasks.failures import Failures, warn
from clawlog.tasks.lifecycle import Description, Lifecycle

FIRST_ANSWER_S = 2.0
"""How long the first checkpoint waits for the first stop state; later ones only read what has come."""

HEARTBEAT_S = 10.0
"""A checkpoint is a sign of life; it is sent as a heartbeat at most once in this time, without waiting for a reply."""

WATCH_RETRY_S = 1.0
"""How long to wait before a lost watch is opened again."""


class BaseTask:
    """A task's public state, and what both forms share.

    Args:
        description: What the task is.
        on_stop: Called once per requested stop.
        strict: Whether failures of the daemon raise.
    """

    def __init__(self, description: Description, *, on_stop: Callable[[StopState], None] | None, strict: bool) -> None:
        self._lifecycle = Lifecycle(description)
        self._failures = Failures(os.environ, strict=strict)
        self._on_stop = on_stop
        self._next_watch_at = 0.0
        self._next_heartbeat_at = 0.0
        self._stop_known = False
        self._refused = False
        self._pid = os.getpid()
        self._reading = threading.Lock()

    @property
    def task_id(self) -> str:
        """The task's id."""
        return self._lifecycle.task_id

    @property
    def steps(self) -> tuple[StepHandle, ...]:
        """Its steps, in order."""
        return self._lifecycle.steps

    @property
    def stop(self) -> StopState:
        """The stop state as of the last ``checkpoint()``."""
        return self._lifecycle.stop

    @property
    def stopped(self) -> bool:
        """Whether a ``checkpoint()`` has raised ``SoftStop``."""
        return self._lifecycle.raised

    @property
    def summary(self) -> str | None:
        """One line to report with the task's end."""
        return self._lifecycle.summary

    @summary.setter
    def summary(self, text: str | None) -> None:
        self._lifecycle.summary = text

    def __reduce__(self) -> NoReturn:
        raise TypeError("a task cannot be sent to another process: send it the task_id, and report there with clawlog.Client()")

    def _begins_here(self) -> None:
        self._pid = os.getpid()

    def _is_from_here(self) -> bool:
        """Whether this process began the task. One that was forked from it may report on it, and never ends it."""
        return self._pid == os.getpid()

    def _receive(self, stop: StopState) -> None:
        self._stop_known = True
        if self._lifecycle.receive(stop) and self._on_stop is not None:
            self._on_stop(stop)

    def _heartbeat_is_due(self) -> bool:
        now = time.monotonic()
        if now < self._next_heartbeat_at:
            return False
        self._next_heartbeat_at = now + HEARTBEAT_S
        return True

    def _may_watch(self) -> bool:
        return not self._refused and self._failures.should_try_daemon() and time.monotonic() >= self._next_watch_at

    def _note_watch_lost(self, error: Exception) -> None:
        self._next_watch_at = time.monotonic() + WATCH_RETRY_S
        self._lifecycle.receive(StopState(StopPhase.UNKNOWN))
        warn("stops of %s cannot be seen for now: %s", self.task_id, error)
