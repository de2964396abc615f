"""All agents that are known by name."""

from __future__ import annotations

from collections.abc import Mapping

from clawlog.agents import claude_code, codex, copilot_cli, cursor, gemini_cli, openclaw, opencode, qwen_code
from clawlog.agents.agent import Agent

_MODULES = (claude_code, codex, gemini_cli, qwen_code, copilot_cli, opencode, openclaw, cursor)

AGENTS: Mapping[str, Agent] = {module.AGENT.name: module.AGENT for module in _MODULES}
"""In the order of ``protocol.agents.AGENTS``."""
