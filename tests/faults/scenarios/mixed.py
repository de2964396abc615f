"""Everything at once: kills, hang-ups, cut connections, a full disk and a stepped clock, at two backends, by all ways in.

The draws come from seeds that are kept; what they meet depends on the machine's pace, so a run is like the last one, and not
the same. ``CLAWLOG_TEST_MIXED_SEEDS`` (numbers, separated by commas) and ``CLAWLOG_TEST_MIXED_S`` (seconds for each seed) try
others.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import zmq

from faults.mixed.callers import MixedCaller
from faults.mixed.troubles import Troubles
from faults.mixed.ways import ScriptWay, SpoolWay, UnixWay, Way, ZeromqWay
from faults.mixed.world import World
from faults.oracle import Change
from faults.registry import fault, postgresql
from faults.rig import Rig
from support.spooling import files

SEEDS = (20261126, 20261127, 20261128)
SECONDS = (6.0, 205.0)
"""For each seed, in the quick form (which tries the first alone) and in the long one."""

_CALLERS = 8
_REPLY_S = 2.0
_SETTLES_S = 180.0


@fault("everything at once, at two backends, by all ways in", timeout_s=90.0)
def mixed(rig: Rig) -> None:
    """With each backend's database in a file."""
    _mixed(rig, World(rig), SEEDS[: rig.scale(1, len(SEEDS))])


@fault("everything at once, at two backends over PostgreSQL, by all ways in", postgresql, quick=False)
def mixed_over_postgresql(rig: Rig) -> None:
    """With both databases at one server, which ends, too."""
    _mixed(rig, World(rig, over_postgresql=True), SEEDS[:1])


def _mixed(rig: Rig, world: World, kept: Sequence[int]) -> None:
    given = os.environ.get("CLAWLOG_TEST_MIXED_SEEDS")
    seeds = [int(each) for each in given.split(",")] if given else kept
    seconds = float(os.environ.get("CLAWLOG_TEST_MIXED_S") or rig.scale(*SECONDS))
    rig.notes["seeds"] = ", ".join(map(str, seeds))
    with world:
        applied: list[Change] = []
        rig.history = lambda: applied
        for number, seed in enumerate(seeds):
            if number:
                for backend in world.backends:  # the last seed's history was read
                    backend.process.start()
            courses = _try(rig, world, seed, seconds)
            applied[:] = _history(world)
            verdict = rig.verdict()
            guilty = [(task, course) for task, course in courses.items() if any(task in each for each in verdict.examples)]
            assert verdict.holds, f"seed {seed}: {verdict}; how it came about: {guilty}"
        text = rig.daemon.log_path.read_text()
        assert "Traceback" not in text
        assert "Logging error" not in text
        assert '"event": "fault"' not in text
        rig.notes["undecided"] = rig.verdict().undecided
        rig.notes["starts refused for want of room"] = world.refused_starts
        rig.daemon.kill()  # its disk is about to go


def _try(rig: Rig, world: World, seed: int, seconds: float) -> dict[str, list[str]]:
    """Lets things go wrong for a while, ends that, and waits until all has arrived. Returns what was tried, by task."""
    troubles = Troubles(world, random.Random(seed), patient=rig.long)
    callers = [
        MixedCaller(
            number,
            seed=seed,
            ways=_ways(rig, world, seed + number),
            places={backend.name: backend.base_url for backend in world.backends},
            ledger=rig.ledger,
            pause_s=0.05,
        )
        for number in range(_CALLERS)
    ]
    for caller in callers:
        caller.start()
    try:
        troubles.run(seconds, partial(_watch, rig, callers))
        troubles.end()
        rig.until(rig.daemon.serves, "the daemon serves", timeout_s=_SETTLES_S)
        rig.until(lambda: all(each.is_back() for each in world.backends), "the backends answer", timeout_s=_SETTLES_S)
        rig.accept_more(_CALLERS, timeout_s=_SETTLES_S)
    finally:
        troubles.end()
        for caller in callers:
            caller.stop()
        for caller in callers:
            caller.join(60.0)
    for caller in callers:
        caller.check()
        assert not caller.is_alive(), f"{caller.name} still waits"
    _settle(rig)
    _note(rig, callers, troubles)
    return {task: course for caller in callers for task, course in caller.courses.items()}


def _watch(rig: Rig, callers: Sequence[MixedCaller], text: str) -> None:
    """Says how far it is, and goes no further without one of the callers."""
    rig.progress(text)
    for caller in callers:
        caller.check()


def _settle(rig: Rig) -> None:
    rig.until(lambda: not files(rig.daemon.state_dir), "the spool is drained")
    outbox = rig.recover(timeout_s=_SETTLES_S)["outbox"]
    assert (outbox["dead_letters"], outbox["lost"], outbox["spool_set_aside"]) == (0, 0, 0), outbox


def _ways(rig: Rig, world: World, seed: int) -> dict[str, tuple[Way, float]]:
    draw = random.Random(seed)
    return {
        "unix": (UnixWay(rig.daemon.socket_path, _REPLY_S, draw), 0.35),
        "req": (ZeromqWay(world.endpoint, zmq.REQ, _REPLY_S, draw), 0.15),
        "dealer": (ZeromqWay(world.endpoint, zmq.DEALER, _REPLY_S, draw), 0.15),
        "script": (ScriptWay(world.env), 0.25),
        "spool": (SpoolWay(world.env), 0.1),
    }


def _history(world: World) -> Iterator[Change]:
    for backend in world.backends:
        backend.process.stop()
        yield from backend.history()


def _note(rig: Rig, callers: Sequence[MixedCaller], troubles: Troubles) -> None:
    found: Counter[str] = Counter(troubles.counts)
    for caller in callers:
        found += caller.calls
        found["scripts' calls in the spool"] += caller.spooled_by_scripts
        found["refused"] += caller.refused
        found["unanswered"] += caller.unanswered
    notes: dict[str, Any] = rig.notes
    for name, count in found.items():
        notes[name] = notes.get(name, 0) + count
