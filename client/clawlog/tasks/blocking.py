"""``clawlog.task``: a task as a ``with`` block."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from types import EllipsisType
from typing import Self, TypeVar

from clawlog.client import Client, InterruptWatch
from clawlog.connection import calls
from clawlog.connection.calls import Call, NewStep
from clawlog.connection.results import Accepted, StopState
from clawlog.errors import BadAddress, ClawlogError, DaemonUnreachable
from clawlog.tasks.base import FIRST_ANSWER_S, BaseTask
from clawlog.tasks.lifecycle import Description, Lifecycle

T = TypeVar("T")
Report = Callable[[], Sequence[Call[Accepted]]]


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
    on_stop: Callable[[StopState], None] | None = None,
    strict: bool = False,
    client: Client | None = None,
) -> Task:
    """A task for ``with``: created on entry; on exit ``done``, ``failed``, or acknowledged after a stop.

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
        on_stop: Called once per requested stop, from the next ``checkpoint()``, before it raises.
        strict: Whether failures of the daemon raise. By default they are warnings of the logger ``clawlog``, events wait in
            the spool, and your work continues.
        client: A client to use, which is left open; by default the task has its own.
    """
    return Task(
        Description(title, steps, base_url, summary, watch_pid, lease_s, metadata, task_id),
        on_stop=on_stop,
        strict=strict,
        client=client,
    )


class Task(BaseTask):
    """What ``clawlog.task`` gives."""

    def __init__(
        self, description: Description, *, on_stop: Callable[[StopState], None] | None, strict: bool, client: Client | None
    ) -> None:
        super().__init__(description, on_stop=on_stop, strict=strict)
        self._owns_client = client is None
        self._client = client or self._new_client()
        if self._client is not None:
            self._failures.where = str(self._client.address)
        self._watch: InterruptWatch | None = None
        self._watch_pid = os.getpid()

    def step(self, step: calls.Step, summary: str | None = None) -> Step:
        """Returns a step for ``with``: ``running`` on entry, ``done`` or ``failed`` on exit.

        Args:
            step: Its title, id, or position from 1.
            summary: One line for its start.
        """
        return Step(self._lifecycle, self._report, step, summary)

    def heartbeat(self, summary: str | None = None) -> None:
        """Sends a sign of life, with one line about the current work. The daemon needs none while this process runs."""
        self._report(lambda: [self._lifecycle.heartbeat(summary)])

    def checkpoint(self) -> None:
        """Marks a safe boundary: raises if a stop is requested, from memory that the daemon keeps up to date.

        It takes no round trip (except the first one), and does not raise while the stop state is unknown.

        Raises:
            SoftStop: A person asked for a stop. Let it leave the ``with`` block.
        """
        self._read_stops()
        self._lifecycle.raise_if_stop_requested()

    def __enter__(self) -> Self:
        self._begins_here()
        try:
            created = self._report(lambda: [self._lifecycle.creation()])
        except BaseException:
            self._close()
            raise
        if created is None:
            self._refused = True
        else:
            self._lifecycle.created(created)
            self._open_watch()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if self._is_from_here():
            try:
                self._report(lambda: self._lifecycle.end(error))
            finally:
                self._close()
        return self._lifecycle.suppresses(error)

    def _report(self, make: Callable[[], Sequence[Call[T]]]) -> T | None:
        """Makes calls and performs them in order; returns the last one's result. Raises nothing, unless it is strict.

        Args:
            make: Makes them, of what the program gave: any of that may be of the wrong kind.
        """
        result = None
        try:
            for call in make():
                result = self._send(call)
        except Exception as error:  # noqa: BLE001 - the promise is that the program's work goes on
            self._failures.give_up(error)
        return result

    def _send(self, call: Call[T]) -> T | None:
        """Performs a call; a failure is handled as ``Failures`` says."""
        if self._refused:
            return None  # the task itself was refused, with a warning: the daemon does not know it
        if not self._failures.should_try_daemon():
            return self._failures.handle(call, None)
        try:
            if self._client is None:
                raise DaemonUnreachable("CLAWLOG_SOCKET does not name a daemon")
            return self._client.perform(call)
        except ClawlogError as error:
            if (without := call.without_implied(error)) is not None:
                return self._send(without)
            return self._failures.handle(call, error)

    def _new_client(self) -> Client | None:
        try:
            return Client()
        except BadAddress as error:
            self._failures.give_up(error)
            return None

    def _open_watch(self) -> None:
        if self._watch_pid != os.getpid():  # forked: the parent's watch is not this process's, nor is what it is about to read
            self._watch_pid, self._watch, self._reading = os.getpid(), None, threading.Lock()
        if self._watch is None and self._client is not None and self._may_watch():
            watch = self._client.watch_interrupt(self.task_id, may_start=False)
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
        if self._owns_client and self._client is not None:
            self._client.close()

    def _close_watch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()


class Step:
    """What ``Task.step`` gives.

    Attributes:
        summary: One line to report with its end.
    """

    def __init__(self, lifecycle: Lifecycle, report: Callable[[Report], object], step: calls.Step, summary: str | None) -> None:
        self._lifecycle = lifecycle
        self._report = report
        self._pid = os.getpid()
        self._step = step
        self._opening_summary = summary
        self.summary: str | None = None

    def update(self, summary: str) -> None:
        """Reports the step's progress in one line."""
        self._report(lambda: [self._lifecycle.step_begins(self._step, summary)])

    def __enter__(self) -> Self:
        self._pid = os.getpid()
        self._report(lambda: [self._lifecycle.step_begins(self._step, self._opening_summary)])
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._pid == os.getpid():  # as of the task: a forked process ends what it began
            self._report(lambda: self._lifecycle.step_ends(self._step, error, self.summary))
