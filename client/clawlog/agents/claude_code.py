"""Claude Code."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from clawlog import locations
from clawlog.agents import commands, folders, mcp_entries, members
from clawlog.agents.agent import Agent, McpServer, Place, PlannedStep, StepChange
from clawlog.agents.events import Dialect, reader
from clawlog.agents.installation import JSON, Change, JsonEntry, JsonMember

NAME = "claude-code"
EVENTS = (
    "SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolUseFailure", "PermissionRequest",
    "SubagentStart", "SubagentStop", "Stop", "StopFailure", "SessionEnd",
)  # fmt: skip

_VERSION = re.compile(r"\Aclaude-code_(\d+)-(\d+)-(\d+)")
_folder = folders.in_home(".claude", "CLAUDE_CONFIG_DIR")


def _settings(env: Mapping[str, str], project: str | None) -> str:
    # Of a project the file that is one's own: the other one is for all who work on it, and the hook's path is not.
    if project is None:
        return os.path.join(_folder(env), "settings.json")
    return os.path.join(project, ".claude", "settings.local.json")


def _changes(place: Place) -> Sequence[Change]:
    path = _settings(place.env, place.project)
    changes: list[Change] = [*commands.entries(path, place.hooks, NAME, EVENTS)]
    if place.with_plans:
        changes.append(JsonMember(path, ("env", "CLAUDE_CODE_ENABLE_TODO_TOOLS"), "1"))
    if place.opened is not None:
        changes.append(JsonEntry(path, ("sandbox", "filesystem", "allowWrite"), place.opened))
    return changes


def _plan(tool: str, given: Any) -> tuple[PlannedStep, ...] | None:
    return members.plan(members.member(given, "todos"), "content") if tool == "TodoWrite" else None


def _step(tool: str, given: Any, result: Any) -> StepChange | None:
    """Its plan tools say one step a call; a step's id comes with the result."""
    if tool == "TaskCreate":
        key, title = members.text(members.member(result, "task"), "id"), members.text(given, "subject")
        return None if key is None or title is None else StepChange(key, title, "pending")
    if tool == "TaskUpdate":
        key, word = members.text(given, "taskId"), members.text(given, "status")
        if key is None or members.member(result, "success") is False:
            return None
        title = members.text(given, "subject")
        if word == "deleted":
            return StepChange(key, is_removed=True)
        return None if word is title is None else StepChange(key, title, None if word is None else members.status(word))
    return None


def _version(_: Mapping[str, Any], env: Mapping[str, str]) -> str | None:
    found = _VERSION.match(env.get("AI_AGENT", ""))
    return None if found is None else ".".join(found.groups())


def _mcp(server: McpServer) -> Sequence[Change]:
    # Of a project the part of one's own file that is about it: the project's own file is for all who work on it.
    folder = _folder(server.env) if server.env.get("CLAUDE_CONFIG_DIR") else locations.home(server.env)
    path = os.path.join(folder, ".claude.json")
    above = ("mcpServers",) if server.project is None else ("projects", server.project, "mcpServers")
    # It waits for this one before its first turn, and does not hide its tools: the first thing to be reported is the task.
    value: dict[str, JSON] = {"type": "stdio", **mcp_entries.program(server), "alwaysLoad": True}
    changes: list[Change] = [mcp_entries.member(path, value, *above)]
    if server.is_allowed:
        changes.append(JsonEntry(_settings(server.env, server.project), ("permissions", "allow"), f"mcp__{mcp_entries.NAME}"))
    return changes


AGENT = Agent(
    name=NAME,
    title="Claude Code",
    programs=("claude",),
    folder=_folder,
    changes=_changes,
    mcp=_mcp,
    read=reader(Dialect(plan=_plan, step=_step, version=_version)),
)
