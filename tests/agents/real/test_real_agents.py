"""Three of the real programs with the real hook, daemon and backend; all seven in every scenario by ``make agents``.

A session differs with each agent; what else there is rests on the same hook, and is tried where it differs most.
"""

from __future__ import annotations

import pytest

from agents.real import cache
from agents.real.registry import SCENARIOS, run
from support.sandbox import why_not

WHO = {
    "session": ("claude-code", "codex", "gemini-cli"),
    "stop": ("claude-code", "codex"),
    "killed": ("gemini-cli",),  # whose program starts itself a second time
    "two": ("claude-code",),
    "daemon-killed": ("codex",),
    "waits": ("codex",),  # which asks otherwise than the rest
    "settings": ("codex",),  # TOML beside JSON
    "sandbox": ("codex",),  # another is tried in tests/process/sandbox
    "mcp": ("claude-code", "codex"),
}

pytestmark = pytest.mark.agents


@pytest.mark.timeout(150)
@pytest.mark.parametrize(("agent", "scenario"), [(agent, scenario) for scenario, agents in WHO.items() for agent in agents])
def test_a_real_agent(agent: str, scenario: str) -> None:
    if reason := cache.missing(agent) or (why_not() if scenario == "sandbox" else None):
        pytest.skip(reason)
    result = run(agent, scenario)
    assert not result.failed, "\n".join(f"{name}: {seen}" for name, seen in result.failed.items())
    assert result.shown


def test_every_scenario_is_played_by_some_agent() -> None:
    assert set(WHO) == set(SCENARIOS) - {"cost"}
