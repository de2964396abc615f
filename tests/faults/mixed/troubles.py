"""What goes wrong, for how long, and with what else at the same time."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from faults.mixed.world import MixedBackend, World
from faults.proxy import Cut, How

End = Callable[[], None]

_AT_ONCE = 3
_OFFSETS = ("+1h", "-1h", "+2h", "-2h", "+90s", "-90s", "+3s", "-3s", "+0", "+0")
_CALLER_WAITS_S = 20.0
"""For how long a script waits for a silent daemon before it writes its call down."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that can go wrong.

    Attributes:
        name: What it is, for the table.
        strikes: At what; two do not strike at the same thing at once.
        begin: Brings it about; returns what ends it.
        lasts_s: For how long, at the least and at the most.
        share: In how many of the rounds in which each comes once it comes.
    """

    name: str
    strikes: str
    begin: Callable[[], End]
    lasts_s: tuple[float, float]
    share: float = 1.0


class Troubles:
    """Brings troubles about, several at once.

    Args:
        world: Where.
        draw: Says which, when and for how long.
        patient: Whether there is time: for hang-ups that outlast even a script's patience, and for work between troubles.

    Attributes:
        counts: How often each came.
    """

    def __init__(self, world: World, draw: random.Random, *, patient: bool) -> None:
        self._world = world
        self._draw = draw
        self._active: dict[str, tuple[float, End]] = {}
        self._all = self._possible(patient=patient)
        self._eagerness = 0.1 if patient else 0.3
        self._deck: list[Trouble] = []  # each comes once before any comes again
        self.counts: Counter[str] = Counter()

    def run(self, seconds: float, progress: Callable[[str], None]) -> None:
        """Goes on for so long; what is wrong at the end of it stays so.

        Raises:
            AssertionError: The daemon ended by itself.
        """
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            for target in [target for target, (ends_at, _) in self._active.items() if ends_at <= now]:
                self._active.pop(target)[1]()
            self._world.supervise()
            if len(self._active) < _AT_ONCE and self._draw.random() < self._eagerness:
                self._begin()
            progress(f"{until - now:.0f} s left; wrong now: {', '.join(self._active) or 'nothing'}")
            time.sleep(self._draw.uniform(0.02, 0.2))  # the pace of the troubles

    def end(self) -> None:
        """Ends all that is wrong."""
        while self._active:
            self._active.popitem()[1][1]()
        self._world.supervise()

    def _begin(self) -> None:
        if not self._deck:
            dealt = [each for each in self._all if each.share >= self._draw.random()]
            self._deck = self._draw.sample(dealt, len(dealt))
        trouble = next((each for each in self._deck if each.strikes not in self._active), None)
        if trouble is not None:
            self._deck.remove(trouble)
            self.counts[trouble.name] += 1
            least_s, most_s = trouble.lasts_s
            lasts_s = min(most_s, least_s + self._draw.expovariate(4 / (most_s - least_s)))
            self._active[trouble.strikes] = (time.monotonic() + lasts_s, trouble.begin())

    def _possible(self, *, patient: bool) -> list[Trouble]:
        world, longest_s = self._world, 6.0 if patient else 1.5
        found = [
            Trouble("daemon killed", "daemon", self._kill_daemon, (0.0, longest_s)),
            Trouble("daemon killed", "daemon", self._kill_daemon, (0.0, 0.1)),
            Trouble("daemon ended in order", "daemon", self._stop_daemon, (0.0, longest_s)),
            Trouble("daemon hung", "daemon", self._hang_daemon, (0.1, longest_s)),
            Trouble("no room for its files", "files", world.limit_files, (0.2, longest_s)),
        ]
        if patient:
            found.append(Trouble("daemon hung", "daemon", self._hang_daemon, (_CALLER_WAITS_S, _CALLER_WAITS_S + 4.0), 0.3))
        for backend in world.backends:
            found += [
                Trouble("backend killed", backend.name, lambda it=backend: self._kill_backend(it), (0.0, longest_s)),
                Trouble("backend hung", backend.name, lambda it=backend: self._hang_backend(it), (0.1, longest_s)),
                Trouble("connections cut", f"link to {backend.name}", lambda it=backend: self._cut(it), (0.2, longest_s)),
            ]
        if world.cluster is not None:
            found += [
                Trouble("database killed", "database", lambda: self._end_database(signal.SIGQUIT), (0.0, longest_s)),
                Trouble("database ended in order", "database", lambda: self._end_database(signal.SIGINT), (0.0, longest_s)),
                Trouble("database's connections ended", "database", self._end_connections, (0.0, 0.1)),
            ]
        if world.filler is not None:
            found.append(Trouble("disk full", "disk", world.fill_disk, (0.2, longest_s)))
        if world.clock_offset is not None:
            found.append(Trouble("clock stepped", "clock", self._step_clock, (0.0, longest_s)))
        return found

    def _kill_daemon(self) -> End:
        self._world.kill_daemon()
        return self._world.start_daemon

    def _stop_daemon(self) -> End:
        process = self._world.daemon_process
        assert process is not None
        process.terminate()  # perhaps while it starts, or while it cannot write
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5.0)
        self._world.kill_daemon()
        return self._world.start_daemon

    def _hang_daemon(self) -> End:
        process = self._world.daemon_process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        if self._draw.random() < 0.3:

            def end() -> None:
                self._world.kill_daemon()
                self._world.start_daemon()

            return end
        return lambda: process.send_signal(signal.SIGCONT)

    def _kill_backend(self, backend: MixedBackend) -> End:
        backend.process.kill()
        return backend.process.spawn

    def _hang_backend(self, backend: MixedBackend) -> End:
        backend.process.send_signal(signal.SIGSTOP)
        if self._draw.random() < 0.3:

            def end() -> None:
                backend.process.kill()
                backend.process.spawn()

            return end
        return lambda: backend.process.send_signal(signal.SIGCONT)

    def _end_database(self, how: signal.Signals) -> End:
        assert self._world.cluster is not None
        self._world.cluster.stop(how)
        return self._world.cluster.start

    def _end_connections(self) -> End:
        assert self._world.cluster is not None
        theirs = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('batch', 'plain')"
        self._world.cluster.execute(theirs)
        return lambda: None  # each is replaced by a new one

    def _cut(self, backend: MixedBackend) -> End:
        draw = self._draw
        backend.link.order(
            Cut(draw.choice((draw.randrange(1500), 10**6)), draw.choice((draw.randrange(600), 10**6)), draw.choice(list(How)))
            for _ in range(draw.randint(0, 12))
        )
        return lambda: backend.link.order(())

    def _step_clock(self) -> End:
        self._world.set_clock(self._draw.choice(_OFFSETS))
        return lambda: None  # it stays so
