"""What a run found, as it is stored."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import msgspec

STORED = Path(__file__).parent / "results.json"


class Step(msgspec.Struct, frozen=True):
    """One short process that reports one step: medians, each in turn with ours.

    Attributes:
        wall_s: From its start to its end.
        processor_s: What it and the processes that it waited for used; of ours also what the daemon used for it.
        ratio: Its time to ours, the median of the pairs.
        low: The smallest of these.
        high: The largest.
        runs: How many pairs.
    """

    wall_s: float
    processor_s: float
    ratio: float
    low: float
    high: float
    runs: int


class Rate(msgspec.Struct, frozen=True):
    """Updates one after the other from one process: how many were taken, in what time.

    Attributes:
        sent: How many were reported.
        taken: How many of these were durable at the end, as that peer means it.
        seconds: Until the last of them was.
    """

    sent: int
    taken: int
    seconds: float

    @property
    def per_s(self) -> float:
        """Those that were taken, in a second."""
        return self.taken / self.seconds


class Outage(msgspec.Struct, frozen=True):
    """One short process while its server is away.

    Attributes:
        blocked_s: How long it took.
        status: Its exit status; None where it had not ended at the bound, and was ended.
        arrived_after_s: How long after the server's return the update arrived; None where it did not.
    """

    blocked_s: float
    status: int | None
    arrived_after_s: float | None


class Memory(msgspec.Struct, frozen=True):
    """Resident memory while a client reports.

    Attributes:
        own_bytes: Of its process.
        helper_bytes: Of the processes that it started, or (ours) the daemon's.
    """

    own_bytes: int
    helper_bytes: int


class Measured(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was found of one way to report.

    Attributes:
        name: Which.
        version: Its version.
        skipped: Why it was not measured.
    """

    name: str
    version: str = ""
    skipped: str = ""
    step: Step | None = None
    rate: Rate | None = None
    refused: Outage | None = None
    hanging: Outage | None = None
    memory: Memory | None = None


class Run(msgspec.Struct, frozen=True):
    """A whole run.

    Attributes:
        date: When it began, as a day.
        machine: What kind of machine it ran on.
        python: The Python of all clients.
        bound_s: After how long a blocked process was ended.
        watched_s: For how long an update was waited for after the server's return.
        measured: What was found: ours first.
    """

    date: str
    machine: str
    python: str
    bound_s: float
    watched_s: float
    measured: list[Measured]

    def of(self, name: str) -> Measured | None:
        """Returns what was found of one of them."""
        return next((each for each in self.measured if each.name == name), None)


def machine() -> str:
    """Returns the kind of this machine: nothing by which it could be told from others like it."""
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{os.cpu_count()} processors, {memory_gib:.0f} GiB, {platform.machine()}, {platform.system()}"


def load(path: Path = STORED) -> Run:
    """Reads a stored run.

    Raises:
        OSError: There is none.
        msgspec.MsgspecError: It is not one.
    """
    return msgspec.json.decode(path.read_bytes(), type=Run)


def store(run: Run, path: Path = STORED) -> None:
    """Stores a run."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")
