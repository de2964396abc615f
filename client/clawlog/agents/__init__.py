"""Coding agents: where their settings are, what their hooks report, and how each is stopped. One module an agent."""

from __future__ import annotations

from clawlog.agents.hook_files import hook_files, hooks_folder

__all__ = ["hook_files", "hooks_folder"]
