"""``clawlog.task``: a task as a ``with`` block, and the other ways into one: ``async with``, a decorator, ``attach``."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import EllipsisType
from typing import Any, Self, TypeVar

from clawlog.async_client import AsyncClient
from clawlog.client import Client, InterruptWatch
from clawlog.connection import values
from clawlog.connection.results import StepHandle, StopState
from clawlog.connection.values import NewStep, PlannedStep
from clawlog.errors import BadAddress, ClawlogError
from clawlog.tasks import decorator
from clawlog.tasks.asynchronous import AsyncTask
from clawlog.tasks.base import FIRST_ANSWER_S, BaseTask
from clawlog.tasks.conversation import Attempt, Outcome, Start, hold
from clawlog.tasks.lifecycle import Description
from clawlog.tasks.steps import Step
from clawlog.tasks.waits import Wait

R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


def task(
    title: str,
    steps: Sequence[str | NewStep] = (),
    *,
    base_url: str | None = None,
    summary: str | None = None,
    watch_pid: int | EllipsisType | None = ...,
    lease_s: float | None = None,
    metadata: Mapping[str, str] | None = None,
    task_id: str | None = None,
    parent_task_id: str | EllipsisType | None = ...,
    on_stop: Callable[[StopState], None] | None = None,
    strict: bool = False,
    client: Client | AsyncClient | None = None,
) -> Task:
    """A task for ``with``: created on entry; on exit ``done``, ``failed``, or acknowledged after a stop.

    ``async with clawlog.task(…)`` gives an ``AsyncTask``. ``@clawlog.task(…)`` makes each call of a function, coroutine
    function or generator a task of its own, which ``clawlog.current_task()`` returns within.

    A ``SoftStop`` of this task's ``checkpoint()`` ends the block quietly: it is acknowledged and not raised further, and
    ``task.stopped`` is true afterwards (a decorated function returns None). Every other exception propagates, after the task
    is marked ``failed`` (or ``interrupted``, for Ctrl-C).

    Args:
        title: What the task does, 1 to 200 characters.
        steps: Titles in order, at most 200.
        base_url: The ClawLog backend; by default the daemon's setting.
        summary: One line about it.
        watch_pid: The process that shows whether the agent is alive: by default this one, where the daemon can see it;
            None for none.
        lease_s: How long one call counts as a sign of life where there is no process, 5 to 3,600 s.
        metadata: At most 20 pairs of your own; ``agent`` is added where one started this program, and the daemon adds others.
        task_id: An id of your own.
        parent_task_id: The task that this one is a part of; None for none. By default it is the task around it, else the one in
            ``CLAWLOG_TASK_ID``, unless that has ended, is not known, or has another backend.
        on_stop: Called once per requested stop, from ``checkpoint()``; of an ``AsyncTask`` from the event loop, as soon as the
            daemon pushes it.
        strict: Whether failures of the daemon raise. By default they are warnings of the logger ``clawlog``, events wait in
            the spool, and your work continues.
        client: A client to use, which is left open; by default the task has its own.
    """
    return Task(
        Description(title, steps, base_url, summary, watch_pid, lease_s, metadata, task_id, parent_task_id),
        on_stop=on_stop,
        strict=strict,
        client=client,
    )


def attach(
    task_id: str | None = None,
    *,
    on_stop: Callable[[StopState], None] | None = None,
    strict: bool = False,
    client: Client | AsyncClient | None = None,
) -> Task:
    """A task of another process, to report on: this one neither begins nor ends it.

    For ``with`` and ``async with``, as ``clawlog.task``. A step that is begun here is ended here. A ``SoftStop`` of its
    ``checkpoint()`` ends the block quietly; the acknowledgement is left to the process whose task it is.

    Args:
        task_id: Its id; by default the one in ``CLAWLOG_TASK_ID``, which ``clawlog run`` sets.
        on_stop: As of ``clawlog.task``.
        strict: As of ``clawlog.task``.
        client: As of ``clawlog.task``.
    """
    named = os.environ.get("CLAWLOG_TASK_ID") if task_id is None else task_id
    return Task(Description(task_id=named, is_own=False), on_stop=on_stop, strict=strict, client=client)


class Task(BaseTask):
    """What ``clawlog.task`` and ``clawlog.attach`` give."""

    def __init__(
        self,
        description: Description,
        *,
        on_stop: Callable[[StopState], None] | None,
        strict: bool,
        client: Client | AsyncClient | None,
    ) -> None:
        super().__init__(description, on_stop=on_stop, strict=strict)
        self._given_client = client
        self._client = client if isinstance(client, Client) else None
        self._watch: InterruptWatch | None = None
        self._watch_pid = os.getpid()

    def step(self, step: values.Step, summary: str | None = None, *, after: values.Step | None = None) -> Step:
        """Returns a step for ``with``: ``running`` on entry, ``done`` or ``failed`` on exit.

        A title that is not in the plan is added to it.

        Args:
            step: Its title, id, or position from 1.
            summary: One line for its start.
            after: The step that it follows, where it is added; by default the one that this program began last.
        """
        return Step(self._opened_step(step, summary, after), self._report, self._notes)

    def plan(self, steps: Sequence[str | NewStep | PlannedStep]) -> tuple[StepHandle, ...]:
        """Makes these steps the plan, whole and in this order; returns the task's steps as they are now.

        A step is recognised by its id, else by its title. One that had not ended and is not in the list is kept as ``skipped``.

        Args:
            steps: Titles, or steps with an id or a status; at most 200, ended ones included.
        """
        return self._report(lambda: self._lifecycle.changes_plan(steps)) or self.steps

    def progress(self, done: float, total: float | None = None, *, unit: str | None = None, summary: str | None = None) -> None:
        """Reports how far the step that the program is in has come; outside of a step, the task.

        It is cheap in a loop: only some of the calls are sent, at least 1 s apart and at most 10 s; the last one goes with the
        step's end.

        Args:
            done: How many are done, at least 0.
            total: How many there are, where that is known.
            unit: Of what, such as ``files``, at most 20 characters.
            summary: One line about what is being done.
        """
        counted = self._counted()
        if self._notes(counted, done, total, unit, summary):
            self._report(counted.reports_paced)

    def heartbeat(self, summary: str | None = None) -> None:
        """Sends a sign of life, with one line about the current work. The daemon needs none while this process runs."""
        self._report(lambda: self._lifecycle.beats(summary))

    def link(self, url: str, name: str | None = None) -> None:
        """Adds something to look at beside the task: a pull request, a log, a trace; at most 50.

        Args:
            url: Its address, http or https. One that is there already gets the new name.
            name: What it is called, at most 100 characters.
        """
        self._report(lambda: self._lifecycle.links(url, name))

    def waiting(self, question: str) -> Wait:
        """Returns a block in which the task waits for a person: not quiet, not lost; afterwards it runs again.

        Args:
            question: What the person is asked, in one line.
        """
        return Wait(self._lifecycle, question, self._report)

    def checkpoint(self) -> None:
        """Marks a safe boundary: raises if a stop is requested, from memory that the daemon keeps up to date.

        It takes no round trip (except the first one), and does not raise while the stop state is unknown.

        Raises:
            SoftStop: A person asked for a stop. Let it leave the ``with`` block.
        """
        self._read_stops()
        if self._lifecycle.paced.is_due():
            self._report(self._lifecycle.reports_paced)
        self._lifecycle.raise_if_stop_requested()

    def __call__(self, function: F) -> F:
        """Makes each call of a function a task of its own, of this description."""
        return decorator.decorated(function, self._again, self._again_async)

    def __enter__(self) -> Self:
        outer = self._begins_here()
        try:
            if not self._report(lambda: self._lifecycle.begins(outer)):
                self._lifecycle.is_refused()
            self._open_watch()
        except BaseException:
            self._leaves()
            self._close()
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        try:
            if self._leaves():
                self._report(lambda: self._lifecycle.ends(error))
        finally:
            self._close()  # in a forked process its own connections: those of its parent are closed there since the fork
        return self._lifecycle.suppresses(error)

    async def __aenter__(self) -> AsyncTask:
        self._as_async = self._again_async(None if self._lifecycle.refused else self.task_id)
        return await self._as_async.__aenter__()

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        return await self._as_async.__aexit__(kind, error, traceback)

    def _again(self) -> Task:
        return Task(self._description, on_stop=self._on_stop, strict=self._strict, client=self._given_client)

    def _again_async(self, task_id: str | None = None) -> AsyncTask:
        description = self._description if task_id is None else replace(self._description, task_id=task_id)
        return AsyncTask(description, on_stop=self._on_stop, strict=self._strict, client=self._given_client)

    def _report(self, start: Start[R]) -> R | None:
        """Holds a conversation with the daemon; returns what it ends in. Raises nothing, unless it is strict."""
        try:
            return hold(start, self._send)
        except Exception as error:  # noqa: BLE001 - the promise is that the program's work goes on
            self._failures.give_up(error)
            return None
        finally:
            if self._is_outside():
                self._close()

    _post = _report

    def _abandon(self, error: BaseException | None) -> None:
        self.__exit__(None, error, None)

    def _send(self, attempt: Attempt) -> Outcome:
        """Makes an attempt; a failure is handled as ``Failures`` says."""
        if self._lifecycle.refused:
            return None  # the task itself was refused, with a warning: the daemon does not know it
        try:
            client = self._connected()
            if not self._failures.should_try_daemon():
                return self._failures.outcome(attempt, None)
            return client.perform(attempt.call)
        except ClawlogError as error:
            if (without := attempt.call.without_implied(error)) is not None:
                return self._send(replace(attempt, call=without))
            return self._failures.outcome(attempt, error)

    def _connected(self) -> Client:
        if self._client is None:
            if self._given_client is not None:
                raise BadAddress("an AsyncClient serves `async with` alone: give a clawlog.Client for `with`")
            self._client = Client()
        self._failures.where = str(self._client.address)
        return self._client

    def _open_watch(self) -> None:
        if self._watch_pid != os.getpid():  # forked: the parent's watch is not this process's, nor is what it is about to read
            self._watch_pid, self._watch, self._reading = os.getpid(), None, threading.Lock()
        if self._watch is not None or not self._may_watch():
            return
        try:
            watch = self._connected().watch_interrupt(self.task_id, may_start=False)
        except ClawlogError as error:
            self._note_watch_lost(error)
            return
        try:
            watch.open()
            self._watch = watch
        except ClawlogError as error:
            watch.close()
            self._note_watch_lost(error)

    def _read_stops(self) -> None:
        """Reads the stop states that the daemon has pushed.

        While another thread does, or a frame below this one (a signal handler's), what is known counts.
        """
        self._open_watch()
        if not self._reading.acquire(blocking=False):
            return
        try:
            stops = self._pushed()
        finally:
            self._reading.release()
        for stop in stops:
            self._receive(stop)

    def _pushed(self) -> list[StopState]:
        found: list[StopState] = []
        watch = self._watch
        if watch is None:
            return found
        try:
            if self._heartbeat_is_due():
                watch.notify(self._lifecycle.heartbeat(None))
            while (stop := watch.next(0 if self._stop_known or found else FIRST_ANSWER_S)) is not None:
                found.append(stop)
        except Exception as error:  # noqa: BLE001 - what is not known is no reason to end the program's work
            self._close_watch()
            self._note_watch_lost(error)
        self._stop_known = True
        return found

    def _close(self) -> None:
        self._close_watch()
        if self._client is not None and self._client is not self._given_client:
            self._client.close()

    def _close_watch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
