"""Three of the real programs with the real hook, daemon and backend; all seven by ``make agents``."""

from __future__ import annotations

import pytest

from agents.real import cache
from agents.real.registry import run
from agents.real.sandboxes import SANDBOXED
from support.sandbox import why_not

AGENTS = ("claude-code", "codex", "gemini-cli")
SCENARIOS = ("session", "stop", "killed", "two", "daemon-killed", "waits", "settings", "sandbox", "mcp")

pytestmark = pytest.mark.agents


@pytest.mark.timeout(150)
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("agent", AGENTS)
def test_a_real_agent(agent: str, scenario: str) -> None:
    if scenario == "sandbox" and agent not in SANDBOXED:
        pytest.skip("it has no sandbox of the kernel's")
    if reason := cache.missing(agent) or (why_not() if scenario == "sandbox" else None):
        pytest.skip(reason)
    result = run(agent, scenario)
    assert not result.failed, "\n".join(f"{name}: {seen}" for name, seen in result.failed.items())
    assert result.shown
