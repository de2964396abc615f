"""``clawlog.async_task``: a task as an ``async with`` block; the twin of ``blocking``, on the same lifecycle."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import EllipsisType
from typing import Self, TypeVar

from clawlog.async_client import AsyncClient, AsyncInterruptWatch
from clawlog.connection import calls
from clawlog.connection.calls import Call, NewStep
from clawlog.connection.results import Accepted, StopState
from clawlog.errors import BadAddress, ClawlogError, DaemonUnreachable
from clawlog.tasks.base import FIRST_ANSWER_S, BaseTask
from clawlog.tasks.failures import LOGGER
from clawlog.tasks.lifecycle import Description, Lifecycle

T = TypeVar("T")
Report = Callable[[], Sequence[Call[Accepted]]]


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
    on_stop: Callable[[StopState], None] | None = None,
    strict: bool = False,
    client: AsyncClient | None = None,
) -> AsyncTask:
    """A task for ``async with``: created on entry; on exit ``done``, ``failed``, or acknowledged after a stop.

    A ``SoftStop`` of this task's ``checkpoint()`` ends the block quietly: it is acknowledged and not raised further, and
    ``task.stopped`` is true afterwards. Every other exception propagates, after the task is marked ``failed`` (or
    ``interrupted``, for Ctrl-C).

    Args:
        title: What the task does, 1 to 200 characters.
        steps: Titles in order, at most 200.
        base_url: The ClawLog backend; by default the daemon's setting.
        summary: One line about it.
        watch_pid: The process that shows whether the agent is alive: by default this one, where the daemon can see it;
            None for none.
        lease_s: How long one call counts as a sign of life where there is no process, 5 to 3,600 s.
        metadata: At most 20 pairs of your own.
        task_id: An id of your own.
        on_stop: Called once per requested stop, from the event loop, as soon as the daemon pushes it.
        strict: Whether failures of the daemon raise. By default they are warnings of the logger ``clawlog``, events wait in
            the spool, and your work continues.
        client: A client to use, which is left open; by default the task has its own.
    """
    return AsyncTask(
        Description(title, steps, base_url, summary, watch_pid, lease_s, metadata, task_id),
        on_stop=on_stop,
        strict=strict,
        client=client,
    )


class AsyncTask(BaseTask):
    """What ``clawlog.async_task`` gives."""

    def __init__(
        self, description: Description, *, on_stop: Callable[[StopState], None] | None, strict: bool, client: AsyncClient | None
    ) -> None:
        super().__init__(description, on_stop=on_stop, strict=strict)
        self._owns_client = client is None
        self._client = client or self._new_client()
        if self._client is not None:
            self._failures.where = str(self._client.address)
        self._watch: AsyncInterruptWatch | None = None

    def step(self, step: calls.Step, summary: str | None = None) -> AsyncStep:
        """Returns a step for ``async with``: ``running`` on entry, ``done`` or ``failed`` on exit.

        Args:
            step: Its title, id, or position from 1.
            summary: One line for its start.
        """
        return AsyncStep(self._lifecycle, self._report, step, summary)

    async def heartbeat(self, summary: str | None = None) -> None:
        """Sends a sign of life, with one line about the current work. The daemon needs none while this process runs."""
        await self._report(lambda: [self._lifecycle.heartbeat(summary)])

    async def checkpoint(self) -> None:
        """Marks a safe boundary: raises if a stop is requested, from memory that the daemon keeps up to date.

        It takes no round trip (except the first one), and does not raise while the stop state is unknown.

        Raises:
            SoftStop: A person asked for a stop. Let it leave the ``async with`` block.
        """
        await self._read_stops()
        self._lifecycle.raise_if_stop_requested()

    async def __aenter__(self) -> Self:
        self._begins_here()
        try:
            created = await self._report(lambda: [self._lifecycle.creation()])
        except BaseException:
            await self._close()
            raise
        if created is None:
            self._refused = True
        else:
            self._lifecycle.created(created)
            await self._open_watch()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if self._is_from_here():
            try:
                await self._report(lambda: self._lifecycle.end(error))
            finally:
                await self._close()
        return self._lifecycle.suppresses(error)

    async def _report(self, make: Callable[[], Sequence[Call[T]]]) -> T | None:
        """As its blocking twin."""
        result = None
        try:
            for call in make():
                result = await self._send(call)
        except Exception as error:  # noqa: BLE001 - the promise is that the program's work goes on
            self._failures.give_up(error)
        return result

    async def _send(self, call: Call[T]) -> T | None:
        """Performs a call; a failure is handled as ``Failures`` says."""
        if self._refused:
            return None  # the task itself was refused, with a warning: the daemon does not know it
        if not self._failures.should_try_daemon():
            return await self._handle(call, None)
        try:
            if self._client is None:
                raise DaemonUnreachable("CLAWLOG_SOCKET does not name a daemon")
            return await self._client.perform(call)
        except ClawlogError as error:
            if (without := call.without_implied(error)) is not None:
                return await self._send(without)
            return await self._handle(call, error)

    async def _handle(self, call: Call[T], error: ClawlogError | None) -> T | None:
        try:
            handled = asyncio.get_running_loop().run_in_executor(None, self._failures.handle, call, error)
        except RuntimeError:  # the interpreter or the loop is at its end, and starts no threads any more
            return self._failures.handle(call, error)
        return await handled

    def _new_client(self) -> AsyncClient | None:
        try:
            return AsyncClient()
        except BadAddress as error:
            self._failures.give_up(error)
            return None

    def _receive(self, stop: StopState) -> None:
        """Called from the event loop, where nobody could catch what ``on_stop`` raises."""
        try:
            super()._receive(stop)
        except Exception:  # noqa: BLE001 - it is the program's own function, and is logged whole
            LOGGER.exception("on_stop of %s failed", self.task_id)

    async def _open_watch(self) -> None:
        if self._watch is None and self._client is not None and self._may_watch():
            self._watch = self._client.watch_interrupt(self.task_id, on_change=self._receive, may_start=False)
            try:
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
        if self._owns_client and self._client is not None:
            await self._client.close()

    async def _close_watch(self) -> None:
        if self._watch is not None:
            await self._watch.close()
            self._watch = None


class AsyncStep:
    """What ``AsyncTask.step`` gives.

    Attributes:
        summary: One line to report with its end.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        report: Callable[[Report], Awaitable[object]],
        step: calls.Step,
        summary: str | None,
    ) -> None:
        self._lifecycle = lifecycle
        self._report = report
        self._pid = os.getpid()
        self._step = step
        self._opening_summary = summary
        self.summary: str | None = None

    async def update(self, summary: str) -> None:
        """Reports the step's progress in one line."""
        await self._report(lambda: [self._lifecycle.step_begins(self._step, summary)])

    async def __aenter__(self) -> Self:
        self._pid = os.getpid()
        await self._report(lambda: [self._lifecycle.step_begins(self._step, self._opening_summary)])
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._pid == os.getpid():  # as of the task: a forked process ends what it began
            await self._report(lambda: self._lifecycle.step_ends(self._step, error, self.summary))
