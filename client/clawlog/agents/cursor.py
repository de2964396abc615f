"""Cursor, by its documentation alone: there is no package of it to try."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from clawlog.agents import commands, folders, mcp_entries, members
from clawlog.agents.agent import Agent, McpServer, Place
from clawlog.agents.events import Dialect, reader
from clawlog.agents.installation import Change, JsonEntry

NAME = "cursor"
_CLAUDE_NAMES = {
    "sessionStart": "SessionStart",
    "beforeSubmitPrompt": "UserPromptSubmit",
    "preToolUse": "PreToolUse",
    "postToolUse": "PostToolUse",
    "postToolUseFailure": "PostToolUseFailure",
    "subagentStart": "SubagentStart",
    "subagentStop": "SubagentStop",
    "stop": "Stop",
    "sessionEnd": "SessionEnd",
}
EVENTS = tuple(name for name in _CLAUDE_NAMES if not name.startswith("subagent"))

_folder = folders.in_home(".cursor")


def _changes(place: Place) -> Sequence[Change]:
    folder = _folder(place.env) if place.project is None else os.path.join(place.project, ".cursor")
    # Without a time-out: sources differ on its unit, and two milliseconds would end every call.
    return [
        JsonEntry(
            os.path.join(folder, "hooks.json"),
            ("hooks", event),
            {"command": commands.command(place.hooks, NAME, event)},
            new={"version": 1},
        )
        for event in EVENTS
    ]


def _version(payload: Mapping[str, Any], _: Mapping[str, str]) -> str | None:
    return members.text(payload, "cursor_version")


def _mcp(server: McpServer) -> Sequence[Change]:
    folder = _folder(server.env) if server.project is None else os.path.join(server.project, ".cursor")
    return [mcp_entries.member(os.path.join(folder, "mcp.json"), mcp_entries.with_variables(server))]


AGENT = Agent(
    name=NAME,
    title="Cursor",
    programs=("cursor-agent", "cursor"),
    folder=_folder,
    changes=_changes,
    mcp=_mcp,
    read=reader(Dialect(events=_CLAUDE_NAMES, version=_version)),
)
