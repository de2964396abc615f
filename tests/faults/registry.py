"""The faults by name, what each needs, and how one is run: the same for pytest and for ``make faults``."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults.oracle import Verdict
from faults.rig import Rig
from support.postgres_cluster import programs

Scenario = Callable[[Rig], None]
Need = Callable[[], str | None]
"""Why something that a fault needs is not there; None when it is."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is brought about.

    Attributes:
        name: What it is, for people.
        scenario: Brings it about, ends it and waits for the recovery.
        needs: What must be there.
        timeout_s: The longest that the quick form may take.
        quick: Whether it has a quick form.
    """

    name: str
    scenario: Scenario
    needs: tuple[Need, ...] = ()
    timeout_s: float = 60.0
    quick: bool = True

    def missing(self) -> str | None:
        """Why it cannot be brought about here; None when it can."""
        return next((reason for need in self.needs if (reason := need())), None)


@dataclass(frozen=True, slots=True)
class Report:
    """What a fault did.

    Attributes:
        verdict: The oracle's.
        recovery_s: From the end of the fault until all had arrived.
        took_s: The whole scenario.
        notes: Figures of the scenario's own.
    """

    verdict: Verdict
    recovery_s: float | None
    took_s: float
    notes: dict[str, Any]


FAULTS: list[Fault] = []


def fault(name: str, *needs: Need, timeout_s: float = 60.0, quick: bool = True) -> Callable[[Scenario], Scenario]:
    """Enters a scenario under the name of its fault."""

    def enter(scenario: Scenario) -> Scenario:
        FAULTS.append(Fault(name, scenario, needs, timeout_s, quick))
        return scenario

    return enter


def run(which: Fault, *, long: bool = False, progress: Callable[[str], None] = lambda _: None) -> Report:
    """Brings a fault about, and judges."""
    started = time.monotonic()
    with Rig(long=long, progress=progress) as rig:
        which.scenario(rig)
        return Report(rig.verdict(), rig.recovery_s, time.monotonic() - started, rig.notes)


# ── What faults need ───────────────────────────────────────────────────────────────────────────────────────────────


def program(name: str) -> Need:
    """A program on the path."""
    return lambda: None if shutil.which(name) else f"{name} is not installed"


def root() -> str | None:
    """The right to mount."""
    return None if os.geteuid() == 0 else "only root may mount a file system"


def postgresql() -> str | None:
    """The programs of a PostgreSQL server."""
    return None if programs() else "PostgreSQL is not installed"


def strace() -> str | None:
    """strace, and the right to attach it to a process that is not its own child."""
    if reason := program("strace")():
        return reason
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    allowed = os.geteuid() == 0 or not scope.exists() or scope.read_text().strip() == "0"
    return None if allowed else "only root may attach strace here"


def faketime_library() -> Path | None:
    """Where libfaketime is (the one for programs with threads)."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    named = ctypes.util.find_library("faketimeMT")
    return found[0] if found else Path(named) if named else None


def faketime() -> str | None:
    """libfaketime."""
    return None if faketime_library() else "libfaketime is not installed"
