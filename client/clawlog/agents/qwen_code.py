"""Qwen Code."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from clawlog.agents import commands, folders, mcp_entries, members
from clawlog.agents.agent import Agent, McpServer, NotOffered, Place, PlannedStep
from clawlog.agents.events import Dialect, reader
from clawlog.agents.installation import Change, JsonMember

NAME = "qwen-code"
EVENTS = (
    "SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolUseFailure", "PermissionRequest",
    "Notification", "SubagentStart", "SubagentStop", "Stop", "SessionEnd",
)  # fmt: skip

_folder = folders.in_home(".qwen")


def _changes(place: Place) -> Sequence[Change]:
    if place.project is not None:
        raise NotOffered("hooks for one project alone are not known for Qwen Code; leave --project out")
    path = os.path.join(_folder(place.env), "settings.json")
    changes: list[Change] = [*commands.entries(path, place.hooks, NAME, EVENTS)]
    if place.with_plans:
        changes.append(JsonMember(path, ("tools", "todoWrite", "enabled"), value=True))
    return changes


def _plan(tool: str, given: Any) -> tuple[PlannedStep, ...] | None:
    return members.plan(members.member(given, "todos"), "content") if tool == "todo_write" else None


def _version(_: Mapping[str, Any], env: Mapping[str, str]) -> str | None:
    return env.get("QWEN_CODE_STARTUP_VERSION") or None


def _mcp(server: McpServer) -> Sequence[Change]:
    folder = _folder(server.env) if server.project is None else os.path.join(server.project, ".qwen")
    return [
        mcp_entries.member(os.path.join(folder, "settings.json"), {**mcp_entries.program(server), **mcp_entries.trust(server)})
    ]


AGENT = Agent(
    name=NAME,
    title="Qwen Code",
    programs=("qwen",),
    folder=_folder,
    changes=_changes,
    mcp=_mcp,
    read=reader(Dialect(plan=_plan, asks=frozenset({"ask_user_question"}), version=_version)),
)
