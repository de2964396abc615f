"""An event loop whose time jumps to the next timer: single-threaded, without a socket, the same at each run."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

_serial = itertools.count()


class SimTask(asyncio.Task[Any]):
    """A task whose hash is its number: sets of tasks are walked in the order of their birth, wherever they lie in memory."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._number = next(_serial)
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self._number


class NothingLeft(Exception):  # noqa: N818 - names what is the case
    """Nothing is due any more, and what is awaited never comes."""


class SimLoop(asyncio.BaseEventLoop):
    """The loop.

    What the standard loop does at each turn for sockets, debugging and other threads is left out, for that is most of what an
    idle hour costs.

    Attributes:
        now: The monotonic time, in seconds.
        execute: Carries out what is given to an executor, see ``disk``.
        on_task: Called with each new task.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []  # a heap; of one time, in the order of their making
        self._made = itertools.count()
        self._readers: dict[int, tuple[Callable[..., object], tuple[Any, ...], contextvars.Context]] = {}
        self.execute: Callable[[Callable[..., Any], tuple[Any, ...]], asyncio.Future[Any]] | None = None
        self.on_task: Callable[[SimTask], None] = lambda _: None
        self.set_task_factory(self._make_task)  # type: ignore[arg-type]

    def time(self) -> float:
        """The simulated monotonic time."""
        return self.now

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """As every loop's."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heappush(self._timers, (when, next(self._made), timer))
        return timer

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """As every loop's."""
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """As every loop's."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is passed over when its time comes."""

    def _run_once(self) -> None:
        """Instead of waiting, lets the time pass; then runs what is ready."""
        ready, timers = self._ready, self._timers  # type: ignore[attr-defined]
        if not ready and not self._stopping:  # type: ignore[attr-defined]
            while timers and timers[0][2].cancelled():
                heappop(timers)
            if not timers:
                raise NothingLeft
            self.now = max(self.now, timers[0][0])
        while timers and timers[0][0] <= self.now:
            timer = heappop(timers)[2]
            if not timer.cancelled():
                ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:  # noqa: SLF001 - as the standard loop does
                handle._run()  # noqa: SLF001

    def _process_events(self, event_list: object) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def _make_task(self, loop: SimLoop, coroutine: Any, **kwargs: Any) -> SimTask:
        task = SimTask(coroutine, loop=loop, **kwargs)
        self.on_task(task)
        return task

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """No thread: the work is done on the loop, when the simulated disk has its turn for it."""
        assert self.execute is not None, "nothing executes"
        return self.execute(func, args)

    def add_reader(self, fd: int, callback: Callable[..., object], *args: Any) -> None:  # type: ignore[override]
        """A descriptor of the simulation's own: a process's, which becomes readable when it ends."""
        self._readers[fd] = (callback, args, contextvars.copy_context())

    def remove_reader(self, fd: int) -> bool:  # type: ignore[override]
        """Forgets a descriptor."""
        return self._readers.pop(fd, None) is not None

    def make_readable(self, fd: int) -> None:
        """Something has come at a descriptor."""
        if fd in self._readers:
            callback, args, context = self._readers[fd]
            self.call_soon(callback, *args, context=context)

    def live_timers(self) -> list[asyncio.TimerHandle]:
        """The timers that have not been cancelled."""
        return [timer for _, _, timer in self._timers if not timer.cancelled()]
