"""``clawlog.track``: a loop as a step of the task that it is in, or as a task of its own, with its progress."""

from __future__ import annotations

import contextlib
import dis
import os
import sys
import time
from collections.abc import AsyncIterable, Iterable, Sized
from dataclasses import replace
from types import CodeType
from typing import Any, Generic, Self, TypeVar, cast

from clawlog.connection.values import Progress
from clawlog.tasks.asynchronous import AsyncTask
from clawlog.tasks.base import BaseTask, Inside, innermost_task, inside
from clawlog.tasks.blocking import Task
from clawlog.tasks.conversation import Conversation, Start
from clawlog.tasks.exceptions import Unseen, describe
from clawlog.tasks.failures import warn
from clawlog.tasks.innermost import Entry
from clawlog.tasks.lifecycle import Description, Lifecycle, Loop
from clawlog.tasks.pacing import count
from clawlog.tasks.steps import OpenStep, current_step

T = TypeVar("T")

_now = time.monotonic


def track(
    items: Iterable[T] | AsyncIterable[T],
    title: str,
    *,
    total: float | None = None,
    unit: str | None = None,
    task: BaseTask | None = None,
) -> Track[T]:
    """Goes through items, and reports the loop: as a step of the task that it is in, else as a task of its own.

    For ``for`` and ``async for``. The step or task is ``done`` when the items are at their end, and failed when they, or the
    loop's body, raise. A loop that is left early says so ("left after 3 of 10"): the step is ``skipped``, a task of its own
    ``interrupted``. An item counts as done when the next one is asked for.

    An iterator is not told what ended its loop: that is read from the interpreter's state, and where it does not show, the loop
    was left. With ``with clawlog.track(…) as items`` around the loop it is certain, and the summary names the exception.

    It raises no stop: call ``clawlog.current_task().checkpoint()`` where one may take effect.

    Args:
        items: What to go through; what has no length is counted all the same.
        title: The step's or task's; a step that is not in the plan is added to it.
        total: How many items there are, where they do not know it themselves.
        unit: Of what, such as ``files``, at most 20 characters.
        task: The task, where it is not the one around the loop, such as in another thread.
    """
    return Track(items, title, total=total, unit=unit, task=task)


class Track(Loop, Generic[T]):
    """What ``clawlog.track`` gives: an iterator, an asynchronous iterator, and a context manager for either."""

    def __init__(
        self,
        items: Iterable[T] | AsyncIterable[T],
        title: str,
        *,
        total: float | None,
        unit: str | None,
        task: BaseTask | None,
    ) -> None:
        self._items = items
        self._title = title
        self._nothing = _nothing(_length(items) if total is None else total, unit)
        self._around = None if task is None else inside(task)
        self._own: Task | AsyncTask | None = None
        self._counted: OpenStep | Lifecycle | None = None
        self._entry: Entry[OpenStep] | None = None
        self._iterator: Any = None
        self._consumer: CodeType | None = None
        self._handed_out = 0
        self._next_at = 0.0
        self._is_over = False

    # ── Blocking ───────────────────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        self._iterator = iter(cast("Iterable[T]", self._items))
        around = self._around = self._around or innermost_task.get()
        if around is not None:
            around.post(self._step_in(around).begins)
        else:
            self._own = Task(Description(self._title), on_stop=None, strict=False, client=None)
            self._counts_for(self._own)
            self._own.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        return self._end(GeneratorExit() if error is None else error, self._done_when_left())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if self._iterator is None:
            self._consumer = sys._getframe(1).f_code  # noqa: SLF001 - the standard library's own name
            self.__enter__()
        if self._is_over:
            raise StopIteration
        if _now() >= self._next_at and self._around is not None and self._counted is not None:
            self._around.post(self._newest(self._counted))
        try:
            item: T = next(self._iterator)
        except BaseException as error:
            self._end(None if isinstance(error, StopIteration) else error, self._handed_out)
            raise
        self._handed_out += 1
        return item

    def _end(self, error: BaseException | None, done: int) -> bool:
        """Ends the step or task; returns whether an error is its own stop."""
        if not self._concludes(error, done):
            return False
        if isinstance(self._own, Task):
            return self._own.__exit__(type(error), error, None)
        if self._around is not None and isinstance(step := self._counted, OpenStep):
            self._around.post(lambda: step.ends(error))
        return False

    # ── Asyncio ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def __aenter__(self) -> Self:
        self._iterator = aiter(self._items) if isinstance(self._items, AsyncIterable) else _InTurn(self._items)
        around = self._around = self._around or innermost_task.get()
        if around is not None:
            await _report(around, self._step_in(around).begins)
        else:
            self._own = AsyncTask(Description(self._title), on_stop=None, strict=False, client=None)
            self._counts_for(self._own)
            await self._own.__aenter__()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        return await self._end_async(GeneratorExit() if error is None else error, self._done_when_left())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._iterator is None:
            self._consumer = sys._getframe(1).f_code  # noqa: SLF001 - as above
            await self.__aenter__()
        if self._is_over:
            raise StopAsyncIteration
        if _now() >= self._next_at and self._around is not None and self._counted is not None:
            await _report(self._around, self._newest(self._counted))
        try:
            item: T = await anext(self._iterator)
        except BaseException as error:
            await self._end_async(None if isinstance(error, StopAsyncIteration) else error, self._handed_out)
            raise
        self._handed_out += 1
        return item

    async def _end_async(self, error: BaseException | None, done: int) -> bool:
        if not self._concludes(error, done):
            return False
        if isinstance(self._own, AsyncTask):
            return await self._own.__aexit__(type(error), error, None)
        if self._around is not None and isinstance(step := self._counted, OpenStep):
            await _report(self._around, lambda: step.ends(error))
        return False

    # ── Left by its loop ───────────────────────────────────────────────────────────────────────────────────────────

    def __del__(self) -> None:
        if self._iterator is None or self._is_over:
            return
        with contextlib.suppress(Exception):  # there is nobody to whom it could be raised
            done = self._done_when_left()
            was_raised = self._was_raised_over()
            error = Unseen(f"an exception, {_left(done, self._nothing.total)}") if was_raised else GeneratorExit()
            if self._concludes(error, done) and self._around is not None:
                if self._own is not None:
                    self._around.abandon(error)
                elif isinstance(step := self._counted, OpenStep):
                    self._around.post(lambda: step.ends(error))

    def ends_with_task(self, error: BaseException | None) -> Conversation[None]:
        """Ends the step before its task: whoever still holds the iterator does not go on with it."""
        left_by = error or GeneratorExit()
        if self._concludes(left_by, self._done_when_left()) and isinstance(self._counted, OpenStep):
            yield from self._counted.ends(left_by)

    def _done_when_left(self) -> int:
        """How many are done while the last one that was handed out is being worked on."""
        return max(self._handed_out - 1, 0)

    def _was_raised_over(self) -> bool:
        """Whether the loop drops its iterator because its body raised, and not because of ``break`` or ``return``.

        Both drop it at once, in the frame of the loop, which stands at the instruction that raised, or at one that drops.
        """
        try:
            consumer = sys._getframe(2)  # noqa: SLF001 - as above
        except ValueError:
            return False
        is_the_loops = self._consumer in (None, consumer.f_code)
        instruction = dis.opname[consumer.f_code.co_code[consumer.f_lasti]]
        return is_the_loops and not instruction.startswith(_DROPPING)

    # ── What is counted ────────────────────────────────────────────────────────────────────────────────────────────

    def _step_in(self, around: Inside) -> OpenStep:
        step = self._counted = OpenStep(around.lifecycle, self._title, None, None)
        self._note(0)
        around.lifecycle.loops.add(self)
        self._next_at = step.paced.postpone()  # the first count goes with the step's beginning
        self._entry = current_step.enter(step)
        return step

    def _counts_for(self, own: Task | AsyncTask) -> None:
        self._around = inside(own)
        self._counted = self._around.lifecycle
        self._note(0)
        self._next_at = self._counted.paced.postpone()

    def _note(self, done: int) -> None:
        if self._counted is not None:
            self._counted.paced.note(replace(self._nothing, done=done), None)

    def _newest(self, counted: OpenStep | Lifecycle) -> Start[None]:
        """Counts all that was handed out as done, because one more is asked for; returns the report of it."""
        self._note(self._handed_out)
        self._next_at = counted.paced.postpone()
        return counted.reports_paced

    def _concludes(self, error: BaseException | None, done: int) -> bool:
        """Notes the end; returns whether it is to be reported: once, and by the process that began it."""
        if self._is_over or self._counted is None:
            return False
        self._is_over = True
        self._note(done)
        counted = self._counted
        if counted.summary is None and (error is None or isinstance(error, GeneratorExit)):
            if error is not None:
                counted.summary = _left(done, self._nothing.total)
            elif self._own is not None:
                counted.summary = f"{done} {self._nothing.unit or 'items'}"
        if self._entry is not None:
            current_step.leave(self._entry)
        return not isinstance(counted, OpenStep) or counted.pid == os.getpid()


class _InTurn(Generic[T]):
    """Items as ``async for`` wants them."""

    def __init__(self, items: Iterable[T]) -> None:
        self._iterator = iter(items)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return next(self._iterator)
        except StopIteration:
            raise StopAsyncIteration from None


_DROPPING = ("POP_", "END_", "STORE_", "DELETE_", "RETURN_", "YIELD_", "RESUME")
"""How the instructions begin that drop an iterator without an exception, or at which a generator stands that is closed."""


async def _report(task: Inside, start: Start[None]) -> None:
    if isinstance(task.task, AsyncTask):
        await task.report(start)
    else:
        task.post(start)


def _nothing(total: float | None, unit: str | None) -> Progress:
    """The count at the beginning."""
    try:
        return count(0, total, unit)
    except Exception as error:  # noqa: BLE001 - the promise is that the program's work goes on
        warn("a loop is counted without its total and unit: %s", describe(error))
        return count(0, None, None)


def _length(items: object) -> int | None:
    try:
        return len(items) if isinstance(items, Sized) else None
    except Exception:  # noqa: BLE001 - it is somebody else's code, and a count without a total will do
        return None


def _left(done: int, total: float | None) -> str:
    return f"left after {done}" if total is None else f"left after {done} of {total}"
