"""The daemon's long-lived tasks, each under its name. They run until they are cancelled.

An exception concerns its own task alone, where that is isolated: it is noted for ``daemon.status``, and the task begins anew
after a pause. Of a task that the daemon cannot be without it brings the daemon down; so does any task that returns, for nobody
would do its work from then on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup

from clawlogd.faults import Faults
from clawlogd.logs import Log

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_log = Log("app")


class EndedUnexpectedly(Exception):  # noqa: N818 - names what happened, as in clawlogd.errors
    """A task returned that runs until it is cancelled."""


class Supervisor:
    """Runs long-lived tasks. They end when they are cancelled; any other end is a fault of the daemon.

    Args:
        group: Runs them.
        faults: Where the faults of isolated tasks are noted.
    """

    def __init__(self, group: TaskGroup, faults: Faults) -> None:
        self._group = group
        self._faults = faults

    def spawn(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        """Starts a task that the daemon cannot be without. Returns what ends it in good order.

        Args:
            name: What its unexpected end is logged under.
            work: Runs until cancelled.
        """
        scope = anyio.CancelScope()
        self._group.start_soon(self._guard, name, work, scope, name=name)
        return scope.cancel

    def spawn_isolated(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        """Starts a task whose exceptions are its own: it begins anew after a pause, which grows while it goes on failing.

        Returns what ends it in good order.

        Args:
            name: What a fault is noted under.
            work: Runs until cancelled.
        """

        async def again_and_again() -> None:
            pause_s = _FIRST_PAUSE_S
            while True:
                started = anyio.current_time()
                try:
                    await work()
                except Exception as error:  # noqa: BLE001 - it concerns this task alone
                    self._faults.note(name, _innermost(error))
                else:
                    return
                if anyio.current_time() - started > _LONGEST_PAUSE_S:
                    pause_s = _FIRST_PAUSE_S
                await anyio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

        return self.spawn(name, again_and_again)

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


def _innermost(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup) and isinstance(error.exceptions[0], Exception):
        error = error.exceptions[0]
    return error


@asynccontextmanager
async def supervised(faults: Faults) -> AsyncIterator[Supervisor]:
    """A supervisor, whose tasks are cancelled and have ended when the block is left.

    Args:
        faults: Where the faults of isolated tasks are noted.
    """
    async with anyio.create_task_group() as group:
        try:
            yield Supervisor(group, faults)
        finally:
            group.cancel_scope.cancel()
