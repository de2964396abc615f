"""A task's lifecycle: which calls each of its events makes, and when a stop is raised. No I/O is done here."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import EllipsisType

from clawlog.connection import calls
from clawlog.connection.calls import Call, NewStep, Step
from clawlog.connection.results import Accepted, Beat, CreatedTask, StepHandle, StopPhase, StopState
from clawlog.errors import SoftStop
from clawlog.protocol.ids import new_uuid
from clawlog.tasks.exceptions import describe

_STOPPED = "stopped at a safe boundary"
_LEFT = "left before its end"


@dataclass(frozen=True, slots=True)
class Description:
    """The parameters of ``clawlog.task``."""

    title: str
    steps: Sequence[str | NewStep] = ()
    base_url: str | None = None
    summary: str | None = None
    watch_pid: int | EllipsisType | None = ...
    lease_s: float | None = None
    metadata: Mapping[str, str] | None = None
    task_id: str | None = None


class Lifecycle:
    """The state of one task, as its program sees it.

    Attributes:
        task_id: The task's id, known from the start.
        steps: Its steps, once it is created.
        summary: The line to report with the task's end, if the program sets one.
        stop: The last known stop state.
        raised: Whether a stop was raised, so that the end of the block acknowledges it.
    """

    def __init__(self, description: Description) -> None:
        self._description = description
        self.task_id = description.task_id or new_uuid()
        self.steps: tuple[StepHandle, ...] = ()
        self.summary: str | None = None
        self.stop = StopState(StopPhase.UNKNOWN)
        self.raised = False
        self._raised_id: str | None = None
        self._announced: set[str | None] = set()
        self._cut_short: list[tuple[Step, str]] = []

    def creation(self) -> Call[CreatedTask]:
        """Returns the call that creates the task; by default with this process as the one to watch, where it can be."""
        about = self._description
        by_default = isinstance(about.watch_pid, EllipsisType)
        return calls.create_task(
            about.title,
            about.steps,
            task_id=self.task_id,
            base_url=about.base_url or os.environ.get("CLAWLOG_BASE_URL"),
            summary=about.summary,
            watch_pid=os.getpid() if isinstance(about.watch_pid, EllipsisType) else about.watch_pid,
            implied=frozenset({"watch_pid"} if by_default else ()),
            lease_s=about.lease_s,
            metadata=about.metadata,
        )

    def created(self, task: CreatedTask) -> None:
        """Takes over the steps that the daemon has created."""
        self.steps = task.steps

    def step_begins(self, step: Step, summary: str | None) -> Call[Accepted]:
        """A step begins, or reports its progress."""
        return calls.update_step(self.task_id, step, "running", summary=summary)

    def step_ends(self, step: Step, error: BaseException | None, summary: str | None) -> list[Call[Accepted]]:
        """A step ends: done, or failed by an error.

        A step that a stop cut short is ``skipped``: it neither ended nor failed. That is sent after the acknowledgement;
        otherwise a task whose last step it is would count as done before it is reported as interrupted.
        """
        if error is None:
            return [calls.update_step(self.task_id, step, "done", summary=summary)]
        if isinstance(error, GeneratorExit):  # a generator that nobody went on with: neither ended nor failed
            return [calls.update_step(self.task_id, step, "skipped", summary=summary or _LEFT)]
        if not self._is_own_stop(error):
            return [calls.update_step(self.task_id, step, "failed", summary=describe(error))]
        self._cut_short.append((step, summary or _STOPPED))
        return []

    def heartbeat(self, summary: str | None) -> Call[Beat]:
        """Returns the call for a sign of life."""
        return calls.heartbeat(self.task_id, summary=summary)

    def end(self, error: BaseException | None) -> list[Call[Accepted]]:
        """The task ends: acknowledged after a stop, interrupted by Ctrl-C or cancellation, else done or failed."""
        if self._is_own_stop(error) or (error is None and self.raised):
            summary = self.summary or _STOPPED
            skipped = [calls.update_step(self.task_id, step, "skipped", summary=why) for step, why in self._cut_short]
            return [calls.ack_interrupt(self.task_id, interrupt_id=self._raised_id, summary=summary), *skipped]
        if error is None or (isinstance(error, SystemExit) and not error.code):
            return [calls.update_task(self.task_id, "done", summary=self.summary)]
        if isinstance(error, GeneratorExit):
            return [calls.update_task(self.task_id, "interrupted", summary=self.summary or _LEFT)]
        if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
            return [calls.update_task(self.task_id, "interrupted", summary=type(error).__name__)]
        return [calls.update_task(self.task_id, "failed", summary=describe(error))]

    def suppresses(self, error: BaseException | None) -> bool:
        """Whether the block suppresses this error: the task's own stop, which is acknowledged."""
        return self._is_own_stop(error)

    def receive(self, stop: StopState) -> bool:
        """Takes a stop state from the daemon; returns whether it is a new request."""
        self.stop = stop
        if not stop.interrupt_requested or stop.interrupt_id in self._announced:
            return False
        self._announced.add(stop.interrupt_id)
        return True

    def raise_if_stop_requested(self) -> None:
        """Raises the stop if one is requested; an unknown state is not raised.

        Raises:
            SoftStop: A stop is requested.
        """
        if self.stop.interrupt_requested:
            stop = self.stop
            self.raised, self._raised_id = True, stop.interrupt_id
            raise SoftStop(self.task_id, stop.interrupt_id, stop.mode, stop.reason, stop.requested_at)

    def _is_own_stop(self, error: BaseException | None) -> bool:
        return isinstance(error, SoftStop) and error.task_id == self.task_id
