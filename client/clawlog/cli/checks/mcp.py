"""Checks `clawlog mcp`: which of the agents here start it, and whether it would start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from clawlog.agents.agent import Agent
from clawlog.cli.checks.findings import Finding, fault, ok, warning
from clawlog.cli.editing.changes import State
from clawlog.cli.errors import CommandError
from clawlog.cli.sources import mcp_library, mcp_server

SetUp = Literal["installed", "outdated", "missing", "unknown"]

_SET_UP: Mapping[State | None, SetUp] = {"there": "installed", "different": "outdated", "missing": "missing", None: "unknown"}


def set_up(agent: Agent, env: Mapping[str, str]) -> SetUp:
    """Returns whether an agent is set up to start it in all of the user's sessions."""
    try:
        state = mcp_server.state(agent, env)
    except CommandError:  # nothing could be told of without a program
        return "missing"
    return _SET_UP[state]


def served(agents: Sequence[tuple[str, str, SetUp]]) -> Iterator[Finding]:
    """Checks it for the agents that are here.

    Args:
        agents: Of each its name, its name for people, and whether it is set up.
    """
    if not agents:
        return
    installed = [title for _, title, state in agents if state == "installed"]
    outdated = [(name, title) for name, title, state in agents if state == "outdated"]
    for name, title in outdated:
        advice = f"see what differs: clawlog install mcp {name} --dry-run"
        yield warning("mcp", f"{title}: its server `clawlog` is not as `clawlog install mcp` would write it", advice)
    if not installed and not outdated:
        yield ok("mcp", "no agent here starts `clawlog mcp` (`clawlog install mcp` would make them)")
    elif (problem := mcp_library.problem()) is not None:
        names = ", ".join([*installed, *(title for _, title in outdated)])
        yield fault("mcp", f"{problem}, and agents start it: {names}", mcp_library.remedy())
    elif installed:
        yield ok("mcp", f"`clawlog mcp` is started by {', '.join(installed)}")
