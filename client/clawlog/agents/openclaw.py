"""OpenClaw: a plugin within its own process, which hands on what it is given in the hook's way.

The payload is ``{"input": …, "output": …}``, the event and its context, cut down by the plugin to what is read here. A session
is a ``sessionKey``, which stays the same over runs; a run is a turn.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from clawlog.agents import folders, mcp_entries, members
from clawlog.agents.agent import Agent, McpServer, NotOffered, Place, Report
from clawlog.agents.installation import JSON, Change, JsonEntry, JsonMember

NAME = "openclaw"

_folder = folders.in_home(".openclaw", "OPENCLAW_STATE_DIR")


def _changes(place: Place) -> Sequence[Change]:
    if place.project is not None:
        raise NotOffered("a plugin for one project alone is not known for OpenClaw; leave --project out")
    path = place.env.get("OPENCLAW_CONFIG_PATH") or os.path.join(_folder(place.env), "openclaw.json")
    entry: JSON = {"enabled": True, "hooks": {"allowConversationAccess": True}}
    return [
        JsonEntry(path, ("plugins", "load", "paths"), os.path.join(place.hooks, NAME)),
        JsonMember(path, ("plugins", "entries", "clawlog"), entry),
    ]


def read(event: str, payload: Mapping[str, Any], env: Mapping[str, str]) -> Sequence[Report]:
    """Returns what one call of the plugin says."""
    del env
    given, context = payload.get("input"), payload.get("output")
    session_id = members.text(context, "sessionKey") or members.text(given, "sessionKey")
    if session_id is None:
        return ()
    cwd = members.text(context, "workspaceDir") or members.text(payload, "cwd")
    version = members.text(payload, "version")

    def report(name: Any, **said: Any) -> Sequence[Report]:
        return [Report(name, session_id, cwd=cwd, agent_version=version, **said)]

    match event:
        case "session_start":
            return report("session.started", resumed=True if members.text(given, "resumedFrom") else None)
        case "agent_turn_prepare" if members.text(context, "trigger") in (None, "user"):
            prompt = members.text(given, "prompt")
            return () if prompt is None else report("prompt", prompt=prompt)
        case "before_tool_call":
            return report("tool.before", tool=members.text(given, "toolName"))
        case "after_tool_call":
            return report("tool.after", tool=members.text(given, "toolName"), failed=members.text(given, "error") is not None)
        case "agent_end":
            is_failed = members.member(given, "success") is False
            return report("turn.ended", failed=is_failed, reason="error" if is_failed else "completed")
        case "session_end":
            return report("session.ended", reason=members.text(given, "reason"))
        case _:
            return ()


def _mcp(server: McpServer) -> Sequence[Change]:
    if server.project is not None:
        raise NotOffered("servers for one project alone are not known for OpenClaw; leave --project out")
    path = server.env.get("OPENCLAW_CONFIG_PATH") or os.path.join(_folder(server.env), "openclaw.json")
    return [mcp_entries.member(path, mcp_entries.with_variables(server), "mcp", "servers")]


AGENT = Agent(
    name=NAME,
    title="OpenClaw",
    programs=("openclaw",),
    folder=_folder,
    changes=_changes,
    mcp=_mcp,
    read=read,
)
