"""A whole daemon in this process, on a clock that can run many thousand times as fast as the world's.

The event loop waits on the same clock: its timers, time limits and pauses all pass at that speed, and nothing knows of it.
"""

from __future__ import annotations

import asyncio
import logging
import selectors
import threading
import time

from clawlogd import app, assembly, configuration
from faults.daemon import Daemon


class FastClock:
    """A clock whose speed can be set, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._real = time.monotonic()
        self._shown = 1000.0
        self._wall_offset_s = time.time() - self._shown
        self._speed = 1.0

    @property
    def speed(self) -> float:
        """How many of its seconds pass in one of the world's."""
        return self._speed

    def run_at(self, speed: float) -> None:
        """Sets its speed from now on."""
        shown = self.monotonic()
        with self._lock:
            self._shown, self._real, self._speed = shown, time.monotonic(), speed

    def monotonic(self) -> float:
        """Seconds from an arbitrary start."""
        with self._lock:
            return self._shown + (time.monotonic() - self._real) * self._speed

    def wall_ms(self) -> int:
        """Milliseconds since 1970: no steps, no suspend."""
        return int((self.monotonic() + self._wall_offset_s) * 1000)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: FastClock) -> None:
        self._clock = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        return self._clock.monotonic()


class _Selector(selectors.DefaultSelector):
    def __init__(self, clock: FastClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # Not longer than a moment at once: the speed may be set while it waits.
        real = 0.02 if timeout is None else min(timeout / self._clock.speed, 0.02)
        return super().select(real)


class DaemonOnFastClock:
    """The daemon, in a thread.

    Args:
        like: Says where its state, its socket and its settings are.
        clock: Its time.

    Attributes:
        logged: The events that it logged.
    """

    def __init__(self, like: Daemon, clock: FastClock) -> None:
        self._clock = clock
        self._settings = configuration.load({}, {}, like.config_path).settings
        self._where = assembly.Environment(env={}, state_dir=like.state_dir, socket_path=like.socket_path, clock=clock)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="daemon-on-fast-clock", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shutdown: app.ShutdownSignal | None = None
        self._error: BaseException | None = None
        self.logged: list[str] = []

    def __enter__(self) -> DaemonOnFastClock:
        self._thread.start()
        while not self._ready.wait(0.05):
            if not self._thread.is_alive():
                raise RuntimeError("the daemon ended at its start") from self._error
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._shutdown is not None:
            self._loop.call_soon_threadsafe(self._shutdown.request)
        self._thread.join(30)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        handler = _Collecting(self.logged)
        logger = logging.getLogger("clawlogd")
        logger.addHandler(handler)
        logger.propagate = False
        try:
            with asyncio.Runner(loop_factory=lambda: _Loop(self._clock)) as runner:
                runner.run(self._main())
        except BaseException as error:  # noqa: BLE001 - told to whoever stops it
            self._error = error
        finally:
            logger.removeHandler(handler)
            logger.propagate = True

    async def _main(self) -> None:
        self._loop, self._shutdown = asyncio.get_running_loop(), app.ShutdownSignal()
        await app.run(self._settings, self._where, self._shutdown, lambda _: self._ready.set())


class _Collecting(logging.Handler):
    def __init__(self, into: list[str]) -> None:
        super().__init__()
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        self._into.append(record.getMessage())
