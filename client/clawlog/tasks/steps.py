"""One step of a task, from its beginning to its end: which calls it makes, without I/O, and its two forms as a block."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any, Self

from clawlog.connection import calls, values
from clawlog.connection.call import Call
from clawlog.connection.results import AddedStep
from clawlog.connection.values import Progress
from clawlog.errors import Refused
from clawlog.protocol.errors import UNKNOWN_STEP
from clawlog.protocol.ids import new_uuid
from clawlog.protocol.types import StepStatus
from clawlog.tasks.conversation import Attempt, Conversation, Start, Unreached
from clawlog.tasks.exceptions import describe
from clawlog.tasks.innermost import Entry, Innermost
from clawlog.tasks.lifecycle import LEFT, STOPPED, Lifecycle
from clawlog.tasks.pacing import Paced

_UNKNOWN = frozenset({UNKNOWN_STEP})


class OpenStep:
    """The state of one step while its program is at it.

    Args:
        task: Its task.
        step: Its title, id, or position from 1, as the program names it.
        summary: One line for its start.
        after: The step that it follows, where it has to be added.

    Attributes:
        task: Its task.
        paced: The newest count and line.
        summary: One line to report with its end.
        pid: The process that began it, and alone ends it.
    """

    def __init__(self, task: Lifecycle, step: values.Step, summary: str | None, after: values.Step | None) -> None:
        self.task = task
        self.paced = Paced()
        self.summary: str | None = None
        self.pid = os.getpid()
        self._named = step
        self._reference = step
        self._opening_summary = summary
        self._after = after
        self._is_told_in_lines = False
        self._is_refused = False

    @property
    def name(self) -> values.Step:
        """As the program names it."""
        return self._named

    def begins(self) -> Conversation[None]:
        """It begins. One that the plan does not have is added to it first."""
        self.pid = os.getpid()
        known = self.task.plan.find(self._named)
        if known is not None:
            self._reference = known.step_id
            self.task.plan.begins(known.step_id)
        elif isinstance(self._named, str):
            # Another process may have added it: the daemon knows. What no daemon can say is decided here.
            call = self._update("running", self._opening_summary, self.paced.progress)
            began = yield Attempt(call, answers=_UNKNOWN, keep=False)
            if began is not Unreached.UNREACHED and not isinstance(began, Refused):
                return
            yield from self._is_added(self._named)
        yield from self._tells("running", self._opening_summary)

    def _is_added(self, title: str) -> Conversation[None]:
        after = self.task.plan.last_begun if self._after is None else self._after
        call = calls.add_step(self.task.task_id, title, step_id=new_uuid(), after=after)
        added: AddedStep | None = yield Attempt(call)
        if added is None:
            self._is_refused = True
        elif added.step is None:
            self._is_told_in_lines = True
        else:
            self._reference = added.step.step_id
            self.task.plan.add(added.step)
            self.task.plan.begins(added.step.step_id)

    def reports(self, summary: str) -> Conversation[None]:
        """It goes on, with one line about that."""
        yield from self._tells("running", summary)

    def reports_paced(self) -> Conversation[None]:
        """The newest count and line; what is true for now alone is not kept for a daemon that is away."""
        progress, summary = self.paced.take()
        if not self._is_refused:
            yield Attempt(self._call("running", summary, progress), keep=False)

    def ends(self, error: BaseException | None) -> Conversation[None]:
        """It ends: done, failed by the error that left its block, or skipped by a stop or where nobody went on with it."""
        summary = self.summary
        if self.task.is_own_stop(error):
            self.task.cut_short(self._reference, summary or STOPPED)
        elif isinstance(error, GeneratorExit):
            yield from self._tells("skipped", summary or LEFT)
        elif error is not None:
            yield from self._tells("failed", describe(error))
        else:
            yield from self._tells("done", summary)

    def _tells(self, status: StepStatus, summary: str | None) -> Conversation[None]:
        if not self._is_refused:
            yield Attempt(self._call(status, summary, self.paced.progress))

    def _call(self, status: StepStatus, summary: str | None, progress: Progress | None) -> Call[Any]:
        if self._is_told_in_lines:
            line = f"{self._named}: {summary or status}"
            return calls.heartbeat(self.task.task_id, summary=line, progress=progress)
        return self._update(status, summary, progress)

    def _update(self, status: StepStatus, summary: str | None, progress: Progress | None) -> Call[Any]:
        return calls.update_step(self.task.task_id, self._reference, status, summary=summary, progress=progress)


current_step: Innermost[OpenStep] = Innermost("clawlog.current_step")


Notes = Callable[[OpenStep | Lifecycle, float, float | None, str | None, str | None], bool]
"""Takes a count and a line of a step or a task; returns whether it is time to report them. Raises only where it is strict."""


class BaseStep:
    """What both forms of a step have in common."""

    def __init__(self, opened: OpenStep) -> None:
        self._opened = opened
        self._entry: Entry[OpenStep] | None = None

    @property
    def summary(self) -> str | None:
        """One line to report with its end."""
        return self._opened.summary

    @summary.setter
    def summary(self, text: str | None) -> None:
        self._opened.summary = text

    def _enters(self) -> None:
        self._entry = current_step.enter(self._opened)

    def _leaves(self) -> bool:
        """Leaves the block; returns whether this process ends the step, as of a task: a forked one ends what it began."""
        if self._entry is not None:
            current_step.leave(self._entry)
        return self._opened.pid == os.getpid()


class Step(BaseStep):
    """What ``Task.step`` gives."""

    def __init__(self, opened: OpenStep, report: Callable[[Start[None]], object], notes: Notes) -> None:
        super().__init__(opened)
        self._report = report
        self._notes = notes

    def update(self, summary: str) -> None:
        """Reports how the step goes on, in one line."""
        self._report(lambda: self._opened.reports(summary))

    def progress(self, done: float, total: float | None = None, *, unit: str | None = None, summary: str | None = None) -> None:
        """Reports how far the step has come; as ``Task.progress``, cheap in a loop."""
        if self._notes(self._opened, done, total, unit, summary):
            self._report(self._opened.reports_paced)

    def __enter__(self) -> Self:
        self._report(self._opened.begins)
        self._enters()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._leaves():
            self._report(lambda: self._opened.ends(error))


class AsyncStep(BaseStep):
    """What ``AsyncTask.step`` gives."""

    def __init__(self, opened: OpenStep, report: Callable[[Start[None]], Awaitable[object]], notes: Notes) -> None:
        super().__init__(opened)
        self._report = report
        self._notes = notes

    async def update(self, summary: str) -> None:
        """Reports how the step goes on, in one line."""
        await self._report(lambda: self._opened.reports(summary))

    async def progress(
        self, done: float, total: float | None = None, *, unit: str | None = None, summary: str | None = None
    ) -> None:
        """Reports how far the step has come; as ``AsyncTask.progress``, cheap in a loop."""
        if self._notes(self._opened, done, total, unit, summary):
            await self._report(self._opened.reports_paced)

    async def __aenter__(self) -> Self:
        await self._report(self._opened.begins)
        self._enters()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._leaves():
            await self._report(lambda: self._opened.ends(error))
