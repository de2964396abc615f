"""What ``clawlog run`` was asked to do."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What is to be done.

    Attributes:
        command: What to run, with its arguments.
        title: The task's title.
        base_url: Its backend; None for the daemon's setting.
        stop_signal: What asks the command to stop.
        grace_s: How long it may take over that before it is killed.
        summary_from_output: Whether its last line of output is the heartbeat's summary.
        quiet: Whether nothing is said of the task on a terminal.
    """

    command: Sequence[str]
    title: str
    base_url: str | None
    stop_signal: signal.Signals
    grace_s: float
    summary_from_output: bool
    quiet: bool = False
