"""The daemon's long-lived tasks, each under its name: one that ends by itself brings the daemon down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup

from clawlogd.logs import Log

_log = Log("app")


class EndedUnexpectedly(Exception):  # noqa: N818 - names what happened, as in clawlogd.errors
    """A task returned that runs until it is cancelled."""


class Supervisor:
    """Runs long-lived tasks. They end when they are cancelled; any other end is a fault of the daemon.

    Args:
        group: Runs them.
    """

    def __init__(self, group: TaskGroup) -> None:
        self._group = group

    def spawn(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        """Starts a task. Returns what ends it in good order.

        Args:
            name: What its unexpected end is logged under.
            work: Runs until cancelled.
        """
        scope = anyio.CancelScope()
        self._group.start_soon(self._guard, name, work, scope, name=name)
        return scope.cancel

    async def _guard(self, name: str, work: Callable[[], Coroutine[Any, Any, None]], scope: anyio.CancelScope) -> None:
        try:
            with scope:
                await work()
            if scope.cancelled_caught:
                return
        except Exception as error:
            _log.error("task_failed", task=name, error=repr(error), exc_info=error)
            raise
        returned = EndedUnexpectedly(f"the task {name!r} returned, although it runs until it is cancelled")
        _log.error("task_failed", task=name, error=repr(returned))
        raise returned


@asynccontextmanager
async def supervised() -> AsyncIterator[Supervisor]:
    """A supervisor, whose tasks are cancelled and have ended when the block is left."""
    async with anyio.create_task_group() as group:
        try:
            yield Supervisor(group)
        finally:
            group.cancel_scope.cancel()
