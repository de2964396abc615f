"""What a task shows of itself, the same in its blocking and its asyncio form."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from clawlog.connection.results import StepHandle, StopPhase, StopState
from clawlog.tasks.failures import LOGGER, Failures
from clawlog.tasks.lifecycle import Description, Story

FIRST_ANSWER_S = 2.0
"""How long the first checkpoint waits for the first word about stops; all later ones only take what has come."""

SIGN_S = 10.0
"""A checkpoint is the agent's own sign of life. The daemon is told of it this often at most, without waiting for an answer."""

WATCH_RETRY_S = 1.0
"""How long to wait before a lost watch is opened again."""


class TaskFace:
    """A task's state as its program may read it, and what both forms keep.

    Args:
        description: What the task is.
        on_stop: Called once per requested stop.
        strict: Whether failures of the daemon raise.
    """

    def __init__(self, description: Description, *, on_stop: Callable[[StopState], None] | None, strict: bool) -> None:
        self._story = Story(description)
        self._failures = Failures(os.environ, strict=strict)
        self._on_stop = on_stop
        self._watch_again_at = 0.0
        self._sign_again_at = 0.0
        self._heard_once = False
        self._refused = False

    @property
    def task_id(self) -> str:
        """The task's id."""
        return self._story.task_id

    @property
    def steps(self) -> tuple[StepHandle, ...]:
        """Its steps, in order."""
        return self._story.steps

    @property
    def stop(self) -> StopState:
        """What is known of a stop, as of the last ``checkpoint()``."""
        return self._story.stop

    @property
    def stopped(self) -> bool:
        """Whether a ``checkpoint()`` has raised ``SoftStop``."""
        return self._story.raised

    @property
    def summary(self) -> str | None:
        """One line that goes with the task's end."""
        return self._story.summary

    @summary.setter
    def summary(self, text: str | None) -> None:
        self._story.summary = text

    def _hear(self, stop: StopState) -> None:
        self._heard_once = True
        if self._story.hear(stop) and self._on_stop is not None:
            self._on_stop(stop)

    def _sign_is_due(self) -> bool:
        now = time.monotonic()
        if now < self._sign_again_at:
            return False
        self._sign_again_at = now + SIGN_S
        return True

    def _may_watch(self) -> bool:
        return not self._refused and self._failures.daemon_is_worth_a_try() and time.monotonic() >= self._watch_again_at

    def _note_lost_watch(self, error: Exception) -> None:
        self._watch_again_at = time.monotonic() + WATCH_RETRY_S
        self._story.hear(StopState(StopPhase.UNKNOWN))
        LOGGER.warning("stops of %s are not heard of for now: %s", self.task_id, error)
