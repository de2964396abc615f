"""What the blocking and the asyncio form of a task have in common."""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, NoReturn

from clawlog.connection import values
from clawlog.connection.results import StepHandle, StopPhase, StopState
from clawlog.tasks.conversation import Start
from clawlog.tasks.failures import Failures, warn
from clawlog.tasks.innermost import Entry, Innermost
from clawlog.tasks.lifecycle import Description, Lifecycle
from clawlog.tasks.metadata import Metadata
from clawlog.tasks.pacing import count
from clawlog.tasks.steps import OpenStep, current_step

FIRST_ANSWER_S = 2.0
"""How long the first checkpoint waits for the first stop state; later ones only read what has come."""

HEARTBEAT_S = 10.0
"""A checkpoint is a sign of life; it is sent as a heartbeat at most once in this time, without waiting for a reply."""

WATCH_RETRY_S = 1.0
"""How long to wait before a lost watch is opened again."""


@dataclass(frozen=True, slots=True, eq=False)
class Inside:
    """A task as this package's other parts report on it.

    Attributes:
        task: The task.
        lifecycle: Its state.
        report: Makes a report; an asyncio task's is to be awaited.
        post: Makes one from where nobody can wait for it: in order with all others, and at the latest before the task's end.
        abandon: Ends the task from where nobody can wait for it, by the error that left its block.
    """

    task: BaseTask
    lifecycle: Lifecycle
    report: Callable[[Start[Any]], Any]
    post: Callable[[Start[Any]], None]
    abandon: Callable[[BaseException | None], None]


def inside(task: BaseTask) -> Inside:
    """Returns the inner side of a task."""
    return task._inside  # noqa: SLF001 - the one door to it


innermost_task: Innermost[Inside] = Innermost("clawlog.current_task")


class BaseTask(ABC):
    """A task's public state, and what both forms share.

    Args:
        description: What the task is.
        on_stop: Called once per requested stop.
        strict: Whether failures of the daemon raise.
    """

    def __init__(self, description: Description, *, on_stop: Callable[[StopState], None] | None, strict: bool) -> None:
        self._description = description
        self._metadata = Metadata(lambda pairs: self._post(lambda: self._lifecycle.annotates(pairs)), self._give_up)
        self._lifecycle = Lifecycle(description, self._metadata)
        self._failures = Failures(os.environ, strict=strict, about=self._lifecycle)
        self._on_stop = on_stop
        self._strict = strict
        self._next_watch_at = 0.0
        self._next_heartbeat_at = 0.0
        self._stop_known = False
        self._pid = os.getpid()
        self._reading = threading.Lock()
        self._inside = Inside(self, self._lifecycle, self._report, self._post, self._abandon)
        self._entry: Entry[Inside] | None = None
        if self._lifecycle.refused:
            self._failures.give_up(ValueError("no task to attach to: give its id, or set CLAWLOG_TASK_ID"))

    @property
    def task_id(self) -> str:
        """The task's id."""
        return self._lifecycle.task_id

    @property
    def id(self) -> str:
        """The same as ``task_id``."""
        return self._lifecycle.task_id

    @property
    def title(self) -> str:
        """What it does; empty for one that was attached to and that the daemon does not know."""
        return self._lifecycle.title

    @property
    def url(self) -> str | None:
        """Its page; None before it begins, and where its backend is not known to have one."""
        return self._lifecycle.url

    @property
    def steps(self) -> tuple[StepHandle, ...]:
        """Its steps, in order, as this program knows them."""
        return self._lifecycle.plan.steps

    @property
    def metadata(self) -> MutableMapping[str, str]:
        """Its metadata: what is changed in this mapping is reported."""
        return self._metadata

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

    def __repr__(self) -> str:
        try:
            return f"<clawlog.{type(self).__name__} {self._described()}>"
        except Exception:  # noqa: BLE001 - of a title or id that is no text
            return f"<clawlog.{type(self).__name__}>"

    def _described(self) -> str:
        status = self._lifecycle.status or ("not begun" if self._lifecycle.is_own else "of another process")
        step = current_step.get()
        within = f" in step {step.name!r}" if step is not None and step.task is self._lifecycle else ""
        page = "" if self.url is None else f" {self.url}"
        return f"{self.title!r} {self.task_id} {status}{within}{page}"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a task cannot be sent to another process: send it the task_id, and report there with clawlog.attach()")

    @abstractmethod
    def _report(self, start: Start[Any]) -> Any:
        """As ``Inside.report``."""

    @abstractmethod
    def _post(self, start: Start[Any]) -> None:
        """As ``Inside.post``."""

    @abstractmethod
    def _abandon(self, error: BaseException | None) -> None:
        """As ``Inside.abandon``."""

    def _opened_step(self, step: values.Step, summary: str | None, after: values.Step | None) -> OpenStep:
        return OpenStep(self._lifecycle, step, summary, after)

    def _counted(self) -> OpenStep | Lifecycle:
        """What a progress is of: the step that the caller is in, else the task."""
        step = current_step.get()
        return step if step is not None and step.task is self._lifecycle else self._lifecycle

    def _give_up(self, error: Exception) -> None:
        self._failures.give_up(error)

    def _notes(
        self, counted: OpenStep | Lifecycle, done: float, total: float | None, unit: str | None, summary: str | None
    ) -> bool:
        """As ``Notes``."""
        try:
            counted.paced.note(count(done, total, unit), summary)
        except Exception as error:  # noqa: BLE001 - the promise is that the program's work goes on
            self._failures.give_up(error)
            return False
        return counted.paced.is_due()

    def _begins_here(self) -> Lifecycle | None:
        """Enters the block; returns the task around it."""
        self._pid = os.getpid()
        outer = innermost_task.get()
        self._entry = innermost_task.enter(self._inside)
        return None if outer is None or outer is self._inside else outer.lifecycle

    def _leaves(self) -> bool:
        """Leaves the block; returns whether the task ends with it.

        A process that was forked from the one that began it may report on it, and never ends it; nor does one that attached.
        """
        if self._entry is not None:
            innermost_task.leave(self._entry)
        return self._lifecycle.is_own and self._pid == os.getpid()

    def _is_outside(self) -> bool:
        """Whether its block was left, or never entered: then a report keeps no connection, which nobody would close."""
        return self._entry is None or not self._entry.is_open

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
        ready = self._failures.should_try_daemon() and time.monotonic() >= self._next_watch_at
        return ready and not self._lifecycle.refused

    def _note_watch_lost(self, error: Exception) -> None:
        self._next_watch_at = time.monotonic() + WATCH_RETRY_S
        self._lifecycle.receive(StopState(StopPhase.UNKNOWN))
        warn("stops of %s cannot be seen for now: %s", self.task_id, error)
