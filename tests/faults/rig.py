"""What a scenario works on: a faulty backend, a real daemon, agents, the ledger of what was promised, and the clock.

A scenario brings a fault about under load, ends it, and calls ``recover``; then ``verdict`` judges.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from faults.backend import FaultyBackend
from faults.daemon import Daemon
from faults.load import Agent, Load
from faults.oracle import Change, Ledger, Verdict, judge

T = TypeVar("T")

RECOVERY_S = 60.0
"""The longest that a scenario waits for everything to arrive once its fault is over."""


class Rig:
    """One scenario's world, on temporary state.

    Args:
        long: Whether the long form is wanted.
        progress: Told now and then how far the scenario is.

    Attributes:
        history: Gives what the backends applied, for the oracle; by default what the faulty one did.
    """

    def __init__(self, *, long: bool = False, progress: Callable[[str], None] = lambda _: None) -> None:
        self.long = long
        self.progress = progress
        self.ledger = Ledger()
        self.backend = FaultyBackend()
        self.reported_gone = 0
        self.recovery_s: float | None = None
        self.notes: dict[str, Any] = {}
        self.history: Callable[[], Iterable[Change]] = lambda: tuple(self.backend.history)
        self._folder = tempfile.TemporaryDirectory(prefix="clf-")
        self.folder = Path(self._folder.name)
        self._daemons: list[Daemon] = []
        self.daemon = self.make_daemon()

    def __enter__(self) -> Rig:
        self.backend.up()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for daemon in self._daemons:
            if error is not None:
                error.add_note(f"so far: {self.notes}")
                error.add_note(f"the daemon's log ends with:\n{daemon.log_tail()}")
            daemon.kill()
        self.backend.close()
        self._folder.cleanup()

    def scale(self, quick: T, long: T) -> T:
        """The one or the other, by the form of the run."""
        return long if self.long else quick

    def make_daemon(self, **options: Any) -> Daemon:
        """Makes a daemon over a state folder of its own; the first one is ``self.daemon``."""
        folder = options.pop("folder", None) or self.folder / f"d{len(self._daemons)}"
        folder.mkdir(exist_ok=True)
        made = Daemon(folder, self.backend.base_url, **options)
        self._daemons.append(made)
        return made

    @contextlib.contextmanager
    def load(
        self,
        *,
        agents: int = 4,
        events: int | None = None,
        together: int = 1,
        per_task: int = 10,
        pause_s: float = 0.0,
        base_url: str | None = None,
    ) -> Iterator[Load]:
        """Agents at work; they are stopped at the end of the block.

        Args:
            agents: How many at once.
            events: How many each sends; None to go on until the end of the block.
            together: How many requests each sends before it reads the replies.
            per_task: How many changes each makes to one task.
            pause_s: How long each rests between requests.
            base_url: The address that their tasks name, if not the backend's own.
        """
        load = Load(
            [
                Agent(
                    socket_path=self.daemon.socket_path,
                    ledger=self.ledger,
                    base_url=base_url or self.backend.base_url,
                    events=events,
                    together=together,
                    per_task=per_task,
                    pause_s=pause_s,
                )
                for _ in range(agents)
            ]
        )
        try:
            yield load
        finally:
            load.stop()

    def send(
        self,
        events: int,
        *,
        agents: int = 4,
        together: int = 1,
        per_task: int = 10,
        base_url: str | None = None,
        timeout_s: float = 60.0,
    ) -> Load:
        """Has agents send a share each, and returns when they have."""
        with self.load(agents=agents, events=events, together=together, per_task=per_task, base_url=base_url) as load:
            load.finish(timeout_s)
        return load

    def accept_more(self, count: int, timeout_s: float = 30.0) -> None:
        """Waits until so many more events have been accepted.

        Raises:
            TimeoutError: They have not.
        """
        if not self.ledger.wait_for(self.ledger.accepted_count + count, timeout_s):
            raise TimeoutError(f"{count} more events were not accepted within {timeout_s} s")

    def until(self, condition: Callable[[], T], what: str, timeout_s: float = 30.0, pause_s: float = 0.02) -> T:
        """Polls a condition until it holds, and returns what it gave.

        Raises:
            TimeoutError: It did not.
        """
        deadline = time.monotonic() + timeout_s
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {timeout_s} s: {what}")
            time.sleep(pause_s)
        return value

    def recover(self, daemon: Daemon | None = None, timeout_s: float = RECOVERY_S) -> dict[str, Any]:
        """Called when the fault is over: waits until nothing is pending, notes how long that took, returns the status.

        Raises:
            TimeoutError: Something is still pending.
        """
        which = daemon or self.daemon
        started = time.monotonic()

        def drained() -> dict[str, Any] | None:
            status = which.status()
            self.progress(f"{status['outbox']['pending']} pending")
            return None if status["outbox"]["pending"] else status

        status = self.until(drained, "everything delivered", timeout_s)
        self.recovery_s = (self.recovery_s or 0.0) + time.monotonic() - started
        return status

    def verdict(self) -> Verdict:
        """What the oracle says of all that happened."""
        return judge(self.ledger, self.history(), reported_gone=self.reported_gone)
