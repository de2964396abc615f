"""Agents and scenarios by name, and how one is run: the same for pytest and for ``make agents``."""

from __future__ import annotations

import time
from collections.abc import Callable

from agents.real import scenarios
from agents.real.cost import cost
from agents.real.mcp import mcp
from agents.real.sandboxes import sandbox
from agents.real.scenarios import Progress, Result
from agents.real.settings import settings
from agents.real.waits import waits

Scenario = Callable[[str, Result, Progress], None]

SCENARIOS: dict[str, Scenario] = {
    "session": scenarios.session,
    "stop": scenarios.stop,
    "killed": scenarios.killed,
    "two": scenarios.two,
    "daemon-killed": scenarios.daemon_killed,
    "waits": waits,
    "settings": settings,
    "sandbox": sandbox,
    "mcp": mcp,
    "cost": cost,
}


def run(agent: str, scenario: str, progress: Progress = lambda _: None) -> Result:
    """Runs a scenario with an agent; an error within it is a failure of its result."""
    result = Result()
    started = time.monotonic()
    try:
        SCENARIOS[scenario](agent, result, progress)
    except Exception as error:  # noqa: BLE001 - the other scenarios go on
        text = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])
        result.failed[scenario] = text
    result.figures["took, s"] = time.monotonic() - started
    return result
