"""A block in which a task waits for a person, in its two forms."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Self

from clawlog.tasks.conversation import Start
from clawlog.tasks.lifecycle import Lifecycle


class Wait:
    """What ``Task.waiting`` gives."""

    def __init__(self, task: Lifecycle, question: str, report: Callable[[Start[None]], object]) -> None:
        self._task = task
        self._question = question
        self._report = report
        self._pid = os.getpid()

    def __enter__(self) -> Self:
        self._pid = os.getpid()
        self._report(lambda: self._task.waits(self._question))
        return self

    def __exit__(self, *_: object) -> None:
        if self._pid == os.getpid():  # as of the task: a forked process ends what it began
            self._report(lambda: self._task.goes_on(self._question))


class AsyncWait:
    """What ``AsyncTask.waiting`` gives."""

    def __init__(self, task: Lifecycle, question: str, report: Callable[[Start[None]], Awaitable[object]]) -> None:
        self._task = task
        self._question = question
        self._report = report
        self._pid = os.getpid()

    async def __aenter__(self) -> Self:
        self._pid = os.getpid()
        await self._report(lambda: self._task.waits(self._question))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pid == os.getpid():  # as of the task: a forked process ends what it began
            await self._report(lambda: self._task.goes_on(self._question))
