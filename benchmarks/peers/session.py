"""A run: which measurement of whom in what order, how far it is, and when it has to end."""

from __future__ import annotations

import contextlib
import datetime as dt
import platform
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version

import msgspec
from rich.console import Console

from benchmarks.peers import environments, measures, results
from benchmarks.peers.catalogue import OURS, Peer
from benchmarks.peers.measures import Installed
from benchmarks.peers.results import Measured, Outage, Run

_FAILURES = (RuntimeError, OSError, ValueError, subprocess.SubprocessError)
_AT_ONCE = 16
"""Blocked processes only wait, so all of them can at the same time."""


@dataclass(frozen=True)
class Volume:
    """How much is measured.

    Attributes:
        runs: Pairs of short processes.
        updates: Updates from one process; a tenth of them where each is a process.
        bound_s: After how long a blocked process is ended.
        watched_s: How long an update is waited for when the server has returned.
    """

    runs: int = 11
    updates: int = 1000
    bound_s: float = 120.0
    watched_s: float = 15.0


class Session:
    """Measures peers, one after the other.

    Args:
        peers: Those that are wanted.
        volume: How much.
        deadline: The monotonic time after which nothing more is begun.
        console: Where it says how far it is.
    """

    def __init__(self, peers: Sequence[Peer], volume: Volume, deadline: float, console: Console) -> None:
        self._peers = peers
        self._volume = volume
        self._deadline = deadline
        self._console = console
        self._found: dict[str, Measured] = {}

    def run(self) -> Run:
        """Measures all that was asked for."""
        date = dt.datetime.now(dt.UTC).date().isoformat()
        installed = [each for peer in (OURS, *self._peers) if (each := self._install(peer)) is not None]
        self._with_servers(installed)
        self._outages(installed)
        volume = self._volume
        return Run(
            date, results.machine(), platform.python_version(), volume.bound_s, volume.watched_s, list(self._found.values())
        )

    def _install(self, peer: Peer) -> Installed | None:
        with self._told(f"{peer.name}: its environment"):
            try:
                python = environments.python(peer)
            except environments.Unavailable as error:
                self._found[peer.name] = Measured(peer.name, peer.version, skipped=str(error))
                return None
        self._found[peer.name] = Measured(peer.name, _version(peer))
        return Installed(peer, python)

    def _with_servers(self, installed: Sequence[Installed]) -> None:
        ours, *theirs = installed
        with measures.place(ours) as our_place, measures.server(our_place):
            for each in theirs:
                if not each.peer.needs_real_server:
                    self._one(our_place, each)
            self._note(ours.peer, "updates in a row", lambda: {"rate": measures.rate(our_place, self._volume.updates)})
            self._note(ours.peer, "memory", lambda: {"memory": measures.memory(our_place)})

    def _one(self, our_place: measures.Place, each: Installed) -> None:
        volume = self._volume

        def step() -> dict[str, object]:
            ours, found = measures.step(our_place, place, volume.runs)
            self._found[OURS.name] = msgspec.structs.replace(self._found[OURS.name], step=ours)
            return {"step": found}

        with measures.place(each) as place, measures.server(place):
            self._note(each.peer, "one step, in turn with ours", step)
            count = max(volume.updates // 10, 1) if each.peer.short else volume.updates
            self._note(each.peer, "updates in a row", lambda: {"rate": measures.rate(place, count)})
            if not each.peer.short:
                self._note(each.peer, "memory", lambda: {"memory": measures.memory(place)})

    def _outages(self, installed: Sequence[Installed]) -> None:
        """All at once: who is blocked only waits. Ours is the only one by itself, so that the others do not slow it down."""
        volume = self._volume
        asked = [(each, name) for each in installed if each.peer.server for name in ("refused", "hanging")]

        def measured(each: Installed, name: str) -> Outage:
            watched_s = Volume.watched_s if each.peer is OURS else volume.watched_s  # ours has something that will send it
            return measures.outage(each, hangs=name == "hanging", bound_s=volume.bound_s, watched_s=watched_s)

        for each, name in (pair for pair in asked if pair[0].peer is OURS):
            self._note(each.peer, f"its server {name}", lambda each=each, name=name: {name: measured(each, name)})
        if time.monotonic() > self._deadline:
            return
        with self._told("the others' servers away, all at once"), ThreadPoolExecutor(_AT_ONCE) as pool:
            others = [(each.peer, name, pool.submit(measured, each, name)) for each, name in asked if each.peer is not OURS]
            for peer, name, future in others:
                self._keep(peer, lambda name=name, future=future: {name: future.result()})

    def _note(self, peer: Peer, what: str, measure: Callable[[], dict[str, object]]) -> None:
        if time.monotonic() <= self._deadline:
            with self._told(f"{peer.name}: {what}"):
                self._keep(peer, measure)

    def _keep(self, peer: Peer, measure: Callable[[], dict[str, object]]) -> None:
        before = self._found[peer.name]
        try:
            self._found[peer.name] = msgspec.structs.replace(self._found[peer.name], **measure())
        except _FAILURES as error:
            told = f"{type(error).__name__}: {error}".splitlines()[0]
            self._found[peer.name] = msgspec.structs.replace(before, skipped=before.skipped or told)

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        with self._console.status(what) if self._console.is_terminal else contextlib.nullcontext():
            yield
        left_min = max(self._deadline - time.monotonic(), 0.0) / 60
        self._console.print(f"{what}  {time.monotonic() - started:.1f} s  ({left_min:.0f} min left)", highlight=False)


def _version(peer: Peer) -> str:
    if peer is OURS:
        return version("clawlog-status-sync")
    if peer.short:
        said = subprocess.run([peer.short[0], "--version"], capture_output=True, text=True, check=True).stdout
        return re.search(r"[\d.]+", said)[0]  # type: ignore[index]
    return peer.version or platform.python_version()
