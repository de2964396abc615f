"""``clawlog.async_task``: a task as an ``async with`` block; the twin of ``blocking``, on the same lifecycle."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import EllipsisType
from typing import Any, Self, TypeVar

from clawlog.async_client import AsyncClient, AsyncInterruptWatch
from clawlog.client import Client
from clawlog.connection import values
from clawlog.connection.results import StepHandle, StopState
from clawlog.connection.values import NewStep, PlannedStep
from clawlog.errors import BadAddress, ClawlogError
from clawlog.tasks.base import FIRST_ANSWER_S, BaseTask
from clawlog.tasks.conversation import Attempt, Conversation, Outcome, Start, hold
from clawlog.tasks.failures import LOGGER
from clawlog.tasks.lifecycle import Description
from clawlog.tasks.steps import AsyncStep
from clawlog.tasks.waits import AsyncWait

R = TypeVar("R")

_LAST_WORD_S = 2.0
"""How long a report may take that holds the event loop up, because nobody can wait for it any more."""


def async_task(
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
    client: AsyncClient | None = None,
) -> AsyncTask:
    """A task for ``async with``: the same as ``async with clawlog.task(…)``, whose parameters it has.

    ``on_stop`` is called from the event loop, as soon as the daemon pushes a stop.
    """
    return AsyncTask(
        Description(title, steps, base_url, summary, watch_pid, lease_s, metadata, task_id, parent_task_id),
        on_stop=on_stop,
        strict=strict,
        client=client,
    )


class AsyncTask(BaseTask):
    """What ``async with clawlog.task(…)``, ``async with clawlog.attach(…)`` and ``clawlog.async_task`` give."""

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
        self._client = client if isinstance(client, AsyncClient) else None
        self._watch: AsyncInterruptWatch | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._posted: deque[Start[Any]] = deque()
        self._postman: asyncio.Task[None] | None = None

    def step(self, step: values.Step, summary: str | None = None, *, after: values.Step | None = None) -> AsyncStep:
        """Returns a step for ``async with``: ``running`` on entry, ``done`` or ``failed`` on exit.

        A title that is not in the plan is added to it.

        Args:
            step: Its title, id, or position from 1.
            summary: One line for its start.
            after: The step that it follows, where it is added; by default the one that this program began last.
        """
        return AsyncStep(self._opened_step(step, summary, after), self._report, self._notes)

    async def plan(self, steps: Sequence[str | NewStep | PlannedStep]) -> tuple[StepHandle, ...]:
        """Makes these steps the plan, whole and in this order; returns the task's steps as they are now.

        A step is recognised by its id, else by its title. One that had not ended and is not in the list is kept as ``skipped``.

        Args:
            steps: Titles, or steps with an id or a status; at most 200, ended ones included.
        """
        return await self._report(lambda: self._lifecycle.changes_plan(steps)) or self.steps

    async def progress(
        self, done: float, total: float | None = None, *, unit: str | None = None, summary: str | None = None
    ) -> None:
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
            await self._report(counted.reports_paced)

    async def heartbeat(self, summary: str | None = None) -> None:
        """Sends a sign of life, with one line about the current work. The daemon needs none while this process runs."""
        await self._report(lambda: self._lifecycle.beats(summary))

    async def link(self, url: str, name: str | None = None) -> None:
        """Adds something to look at beside the task: a pull request, a log, a trace; at most 50.

        Args:
            url: Its address, http or https. One that is there already gets the new name.
            name: What it is called, at most 100 characters.
        """
        await self._report(lambda: self._lifecycle.links(url, name))

    def waiting(self, question: str) -> AsyncWait:
        """Returns a block in which the task waits for a person: not quiet, not lost; afterwards it runs again.

        Args:
            question: What the person is asked, in one line.
        """
        return AsyncWait(self._lifecycle, question, self._report)

    async def checkpoint(self) -> None:
        """Marks a safe boundary: raises if a stop is requested, from memory that the daemon keeps up to date.

        It takes no round trip (except the first one), and does not raise while the stop state is unknown.

        Raises:
            SoftStop: A person asked for a stop. Let it leave the ``async with`` block.
        """
        await self._read_stops()
        if self._lifecycle.paced.is_due():
            await self._report(self._lifecycle.reports_paced)
        self._lifecycle.raise_if_stop_requested()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        outer = self._begins_here()
        try:
            if not await self._report(lambda: self._lifecycle.begins(outer)):
                self._lifecycle.is_refused()
            await self._open_watch()
        except BaseException:
            self._leaves()
            await self._close()
            raise
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        try:
            if self._leaves():
                await self._report(lambda: self._lifecycle.ends(error))
            elif self._pid == os.getpid():
                await self._deliver_posted()
        finally:
            if self._pid == os.getpid():
                await self._close()
        return self._lifecycle.suppresses(error)

    async def _report(self, start: Start[R]) -> R | None:
        """As its blocking twin, after what was posted before."""
        await self._deliver_posted()
        return await self._hold(start)

    async def _hold(self, start: Start[R]) -> R | None:
        try:
            conversation: Conversation[R] = start()
            outcome: Outcome = None
            while True:
                try:
                    attempt = conversation.send(outcome)
                except StopIteration as end:
                    result: R = end.value
                    return result
                outcome = await self._send(attempt)
        except Exception as error:  # noqa: BLE001 - the promise is that the program's work goes on
            self._failures.give_up(error)
            return None
        finally:
            if self._is_outside():
                await self._close()

    def _post(self, start: Start[Any]) -> None:
        self._posted.append(start)
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # another thread, or no loop at all: then the next report delivers it
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._send_postman)
        else:
            self._send_postman()

    def _send_postman(self) -> None:
        if self._postman is None or self._postman.done():
            self._postman = asyncio.get_running_loop().create_task(self._deliver(), name=f"report on {self.task_id}")

    async def _deliver_posted(self) -> None:
        while self._posted or (self._postman is not None and not self._postman.done()):
            self._send_postman()
            if self._postman is None or self._postman.get_loop() is not asyncio.get_running_loop():
                return
            await asyncio.wait([self._postman])
            if not self._postman.cancelled():
                self._postman.result()  # raises where the task is strict

    async def _deliver(self) -> None:
        while self._posted:
            await self._hold(self._posted.popleft())

    def _abandon(self, error: BaseException | None) -> None:
        """Holds the event loop up for once: it may be at its end, and would never come to what is left to it."""
        ends = self._leaves()
        try:
            if ends:
                with Client(None if self._client is None else str(self._client.address), timeout_s=_LAST_WORD_S) as client:
                    hold(lambda: self._lifecycle.ends(error), lambda attempt: self._send_at_once(client, attempt))
        except Exception as failure:  # noqa: BLE001 - as above
            self._failures.give_up(failure)
        with contextlib.suppress(RuntimeError):  # no event loop, which then has no connections either
            self._postman = asyncio.get_running_loop().create_task(self._close(), name=f"close {self.task_id}")

    def _send_at_once(self, client: Client, attempt: Attempt) -> Outcome:
        if self._lifecycle.refused:
            return None
        if not self._failures.should_try_daemon():
            return self._failures.outcome(attempt, None)
        try:
            return client.perform(attempt.call)
        except ClawlogError as error:
            return self._failures.outcome(attempt, error)

    async def _send(self, attempt: Attempt) -> Outcome:
        """Makes an attempt; a failure is handled as ``Failures`` says."""
        if self._lifecycle.refused:
            return None  # the task itself was refused, with a warning: the daemon does not know it
        try:
            client = self._connected()
            if not self._failures.should_try_daemon():
                return await self._handle(attempt, None)
            return await client.perform(attempt.call)
        except ClawlogError as error:
            if (without := attempt.call.without_implied(error)) is not None:
                return await self._send(replace(attempt, call=without))
            return await self._handle(attempt, error)

    async def _handle(self, attempt: Attempt, error: ClawlogError | None) -> Outcome:
        try:
            handled = asyncio.get_running_loop().run_in_executor(None, self._failures.outcome, attempt, error)
        except RuntimeError:  # the interpreter or the loop is at its end, and starts no threads any more
            return self._failures.outcome(attempt, error)
        return await handled

    def _connected(self) -> AsyncClient:
        if self._client is None:
            if self._given_client is not None:
                raise BadAddress("a clawlog.Client serves `with` alone: give an AsyncClient for `async with`")
            self._client = AsyncClient()
        self._failures.where = str(self._client.address)
        return self._client

    def _receive(self, stop: StopState) -> None:
        """Called from the event loop, where nobody could catch what ``on_stop`` raises."""
        try:
            super()._receive(stop)
        except Exception:  # noqa: BLE001 - it is the program's own function, and is logged whole
            LOGGER.exception("on_stop of %s failed", self.task_id)

    async def _open_watch(self) -> None:
        if self._watch is not None or not self._may_watch():
            return
        try:
            self._watch = self._connected().watch_interrupt(self.task_id, on_change=self._receive, may_start=False)
            await self._watch.open()
        except Exception as error:  # noqa: BLE001 - what is not known is no reason to end the program's work
            await self._close_watch()
            self._note_watch_lost(error)

    async def _read_stops(self) -> None:
        """Reads the stop states that the daemon has pushed."""
        await asyncio.sleep(0)  # lets the event loop read it
        await self._open_watch()
        if self._watch is None:
            return
        try:
            if self._heartbeat_is_due():
                await self._watch.notify(self._lifecycle.heartbeat(None))
            while (stop := await self._watch.next(0 if self._stop_known else FIRST_ANSWER_S)) is not None:
                self._receive(stop)
        except Exception as error:  # noqa: BLE001 - as above
            await self._close_watch()
            self._note_watch_lost(error)
        self._stop_known = True

    async def _close(self) -> None:
        await self._close_watch()
        if self._client is not None and self._client is not self._given_client:
            await self._client.close()

    async def _close_watch(self) -> None:
        if self._watch is not None:
            await self._watch.close()
            self._watch = None
