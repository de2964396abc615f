"""GitHub Copilot CLI. It is asked for Claude Code's events, by their names: what it then gives has Claude Code's shape."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from clawlog.agents import commands, folders, mcp_entries, members
from clawlog.agents.agent import Agent, McpServer, Place
from clawlog.agents.events import Dialect, reader
from clawlog.agents.installation import JSON, Change, OwnFile

NAME = "copilot-cli"
EVENTS = ("SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Notification", "Stop", "SessionEnd")

_OWN_NAMES = {
    "sessionStart": "SessionStart",
    "userPromptSubmitted": "UserPromptSubmit",
    "preToolUse": "PreToolUse",
    "postToolUse": "PostToolUse",
    "postToolUseFailure": "PostToolUseFailure",
    "subagentStart": "SubagentStart",
    "subagentStop": "SubagentStop",
    "agentStop": "Stop",
    "sessionEnd": "SessionEnd",
}
"""Its own events. ``permissionRequest`` is no sign of waiting: it comes before each tool, also where all are allowed.
``Notification`` is one: it comes where a person is asked, in a terminal."""

_OWN_MEMBERS = {
    "sessionId": "session_id",
    "agentId": "agent_id",
    "parentAgentId": "parent_agent_id",
    "toolName": "tool_name",
    "toolArgs": "tool_input",
    "toolResult": "tool_result",
}

_folder = folders.in_home(".copilot", "COPILOT_HOME")


def _changes(place: Place) -> Sequence[Change]:
    folder = _folder(place.env) if place.project is None else os.path.join(place.project, ".github")
    hooks = {
        event: [{"type": "command", "command": _command(place.hooks, event), "timeout": commands.TIMEOUT_S}] for event in EVENTS
    }
    content = json.dumps({"version": 1, "hooks": hooks}, indent=2) + "\n"
    return [OwnFile(os.path.join(folder, "hooks", "clawlog.json"), content.encode("utf-8"))]


def _command(hooks: str, event: str) -> str:
    """A command that is there, too, where the hook is not: Copilot takes every status but 0 for a refusal."""
    return f"[ ! -x {commands.program(hooks)} ] || {commands.command(hooks, NAME, event)}"


def _is_failed(payload: Mapping[str, Any]) -> bool | None:
    word = members.text(payload.get("tool_result"), "result_type", "resultType")
    return None if word is None else word != "success"


def _version(_: Mapping[str, Any], env: Mapping[str, str]) -> str | None:
    return env.get("COPILOT_CLI_BINARY_VERSION") or None


def _mcp(server: McpServer) -> Sequence[Change]:
    folder = _folder(server.env) if server.project is None else os.path.join(server.project, ".github")
    name = "mcp-config.json" if server.project is None else "mcp.json"
    value: dict[str, JSON] = {"type": "local", **mcp_entries.program(server), "tools": ["*"]}
    return [mcp_entries.member(os.path.join(folder, name), value)]


AGENT = Agent(
    name=NAME,
    title="GitHub Copilot CLI",
    programs=("copilot",),
    folder=_folder,
    changes=_changes,
    mcp=_mcp,
    read=reader(Dialect(events=_OWN_NAMES, members=_OWN_MEMBERS, is_failed=_is_failed, version=_version)),
)
