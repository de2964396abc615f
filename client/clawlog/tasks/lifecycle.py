"""A task's lifecycle: which calls each of its events makes, and when a stop is raised. No I/O is done here."""

from __future__ import annotations

import asyncio
import os
import sys
import weakref
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

from clawlog import origin
from clawlog.connection import calls
from clawlog.connection.call import Call
from clawlog.connection.results import Beat, CreatedTask, Planned, StepHandle, StopPhase, StopState
from clawlog.connection.values import NewStep, PlannedStep, Step
from clawlog.errors import SoftStop
from clawlog.protocol.errors import UNKNOWN_TASK
from clawlog.protocol.ids import new_uuid
from clawlog.protocol.vocabulary import MAX_METADATA_PAIRS
from clawlog.tasks.conversation import Attempt, Conversation, is_lost
from clawlog.tasks.exceptions import Unseen, describe
from clawlog.tasks.metadata import Metadata
from clawlog.tasks.pacing import Paced
from clawlog.tasks.plan import Plan

STOPPED = "stopped at a safe boundary"
LEFT = "left before its end"


@dataclass(frozen=True, slots=True)
class Description:
    """The parameters of ``clawlog.task``; of ``clawlog.attach`` the id alone.

    Attributes:
        is_own: Whether the task is begun, and ended, by this object; else it is another one's.
    """

    title: str = ""
    steps: Sequence[str | NewStep] = ()
    base_url: str | None = None
    summary: str | None = None
    watch_pid: int | EllipsisType | None = ...
    lease_s: float | None = None
    metadata: Mapping[str, str] | None = None
    task_id: str | None = None
    parent_task_id: str | EllipsisType | None = ...
    is_own: bool = True


class Loop(ABC):
    """A loop that is a step of a task."""

    @abstractmethod
    def ends_with_task(self, error: BaseException | None) -> Conversation[None]:
        """Its task ends, by the error that left the task's block; the loop was left, or is left by the same."""


class Lifecycle:
    """The state of one task, as its program sees it.

    Args:
        description: What the task is.
        metadata: Its metadata, which learns what is known at the beginning.

    Attributes:
        task_id: The task's id, known from the start.
        title: What it does; empty where it is another one's, and not known yet.
        url: Its page, where the backend has one.
        base_url: Its backend, as far as it is known.
        status: As this program reported it; None before the beginning.
        refused: Whether the daemon did not take the task, so that nothing more is said of it.
        plan: Its steps.
        paced: The newest count and line, which its next heartbeat says.
        summary: The line to report with the task's end, if the program sets one.
        stop: The last known stop state.
        raised: Whether a stop was raised, so that the end of the block acknowledges it.
        loops: Its loops that nothing has ended yet.
    """

    def __init__(self, description: Description, metadata: Metadata) -> None:
        self._description = description
        self._metadata = metadata
        self.task_id = description.task_id or new_uuid()
        self.title = description.title
        self.url: str | None = None
        self.base_url = description.base_url or os.environ.get("CLAWLOG_BASE_URL")
        self.status: str | None = None
        self.refused = not description.is_own and not description.task_id
        self.plan = Plan()
        self.paced = Paced()
        self.summary: str | None = None
        self.stop = StopState(StopPhase.UNKNOWN)
        self.raised = False
        self.loops: weakref.WeakSet[Loop] = weakref.WeakSet()
        self._raised_id: str | None = None
        self._announced: set[str | None] = set()
        self._cut_short: list[tuple[Step, str]] = []
        self._questions: list[str] = []

    @property
    def is_own(self) -> bool:
        """Whether it is ended here."""
        return self._description.is_own

    def begins(self, outer: Lifecycle | None) -> Conversation[bool]:
        """The task begins: it is created; or, where it is another one's, asked for. Returns whether it may be reported on.

        Args:
            outer: The task that this program is in already.
        """
        if not self.is_own:
            yield from self._asks()
            return not self.refused
        call = self._creation(outer)
        created = yield Attempt(call)
        if is_lost(created):
            return False
        self.plan.replace(created.steps)
        self._metadata.know(call.params.get("metadata", {}))
        self.url, self.base_url, self.status = created.url, created.base_url or self.base_url, "running"
        return True

    def is_refused(self) -> None:
        """The daemon did not take it: nothing more is said of it."""
        self.refused, self.status = True, "refused"

    def _creation(self, outer: Lifecycle | None) -> Call[CreatedTask]:
        about = self._description
        folder = origin.folder()
        pairs = origin.metadata(about.metadata or {}, os.environ)
        if folder is not None and len(pairs) < MAX_METADATA_PAIRS:
            pairs.setdefault("command", origin.command([sys.executable, *sys.argv]))
        parent, is_implied = about.parent_task_id, None
        if isinstance(parent, EllipsisType):
            around = None if outer is None or outer.refused else outer.task_id
            parent = around or origin.parent(self.task_id, os.environ)
            is_implied = None if parent is None else True
        by_default = isinstance(about.watch_pid, EllipsisType)
        return calls.create_task(
            about.title,
            about.steps,
            task_id=self.task_id,
            base_url=self.base_url,
            summary=about.summary,
            watch_pid=os.getpid() if isinstance(about.watch_pid, EllipsisType) else about.watch_pid,
            implied=frozenset({"watch_pid"} if by_default else ()),
            lease_s=about.lease_s,
            metadata=pairs or None,
            cwd=folder,
            parent_task_id=parent,
            parent_implied=is_implied,
        )

    def _asks(self) -> Conversation[None]:
        """Learns what the daemon knows of another one's task; it may know nothing yet, and be told all the same."""
        known = yield Attempt(calls.get_task(self.task_id), answers=frozenset({UNKNOWN_TASK}), keep=False)
        if is_lost(known):
            return
        self.title, self.status, self.url = known.get("title", ""), known.get("status"), known.get("url")
        self.base_url = known.get("base_url", self.base_url)
        self._metadata.know(known.get("metadata", {}))
        found = known.get("steps", ())
        self.plan.replace([StepHandle(s["step_id"], s["position"], s["title"], s["status"]) for s in found])

    def changes_plan(self, steps: Sequence[str | NewStep | PlannedStep]) -> Conversation[tuple[StepHandle, ...]]:
        """The plan changes."""
        planned: Planned | None = yield Attempt(calls.plan_task(self.task_id, steps))
        if planned is not None and planned.steps:
            self.plan.replace(planned.steps)
        return self.plan.steps

    def links(self, url: str, name: str | None) -> Conversation[None]:
        """There is something to look at."""
        yield Attempt(calls.link_task(self.task_id, url, name=name))

    def annotates(self, pairs: Mapping[str, str | None]) -> Conversation[None]:
        """Its metadata changes."""
        yield Attempt(calls.annotate_task(self.task_id, pairs))

    def waits(self, question: str) -> Conversation[None]:
        """It waits for a person."""
        self._questions.append(question)
        yield Attempt(calls.update_task(self.task_id, "waiting", summary=question))

    def goes_on(self, question: str) -> Conversation[None]:
        """The wait for this question is over; one around it may go on."""
        if question in self._questions:
            self._questions.remove(question)
        if self._questions:
            yield Attempt(calls.update_task(self.task_id, "waiting", summary=self._questions[-1]))
        else:
            yield Attempt(calls.update_task(self.task_id, "running"))

    def heartbeat(self, summary: str | None) -> Call[Beat]:
        """Returns the call for a sign of life."""
        return calls.heartbeat(self.task_id, summary=summary)

    def beats(self, summary: str | None) -> Conversation[None]:
        """A sign of life, as its program gives it."""
        yield Attempt(self.heartbeat(summary))

    def reports_paced(self) -> Conversation[None]:
        """The newest count and line, as a heartbeat: what is true for now alone is not kept for a daemon that is away."""
        progress, summary = self.paced.take()
        yield Attempt(calls.heartbeat(self.task_id, summary=summary, progress=progress), keep=False)

    def cut_short(self, step: Step, summary: str) -> None:
        """A stop ended a step.

        It is ``skipped``: it neither ended nor failed. That is sent after the acknowledgement; otherwise a task whose last step
        it is would count as done before it is reported as interrupted.
        """
        self._cut_short.append((step, summary))

    def ends(self, error: BaseException | None) -> Conversation[None]:
        """The task ends: acknowledged after a stop, interrupted by Ctrl-C or cancellation, else done or failed."""
        for loop in list(self.loops):
            yield from loop.ends_with_task(error)
        if self.paced.progress is not None and self.paced.is_new:
            yield from self.reports_paced()
        for call in self._ending(error):
            yield Attempt(call)

    def _ending(self, error: BaseException | None) -> Sequence[Call[Any]]:
        if self.is_own_stop(error) or (error is None and self.raised):
            self.status = "interrupted"
            summary = self.summary or STOPPED
            skipped = [calls.update_step(self.task_id, step, "skipped", summary=why) for step, why in self._cut_short]
            return [calls.ack_interrupt(self.task_id, interrupt_id=self._raised_id, summary=summary), *skipped]
        if error is None or (isinstance(error, SystemExit) and not error.code):
            self.status = "done"
            return [calls.update_task(self.task_id, "done", summary=self.summary)]
        if isinstance(error, GeneratorExit):
            self.status = "interrupted"
            return [calls.update_task(self.task_id, "interrupted", summary=self.summary or LEFT)]
        if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
            self.status = "interrupted"
            return [calls.update_task(self.task_id, "interrupted", summary=type(error).__name__)]
        self.status = "failed"
        return [calls.update_task(self.task_id, "failed", summary=describe(error))]

    def suppresses(self, error: BaseException | None) -> bool:
        """Whether the block suppresses this error: the task's own stop, which is acknowledged."""
        return self.is_own_stop(error)

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

    def is_own_stop(self, error: BaseException | None) -> bool:
        """Whether an exception is a stop of this task."""
        return (isinstance(error, SoftStop) and error.task_id == self.task_id) or (isinstance(error, Unseen) and self.raised)
