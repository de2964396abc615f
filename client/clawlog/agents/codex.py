"""Codex CLI."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from clawlog.agents import commands, folders, mcp_entries, members
from clawlog.agents.agent import Agent, McpServer, Place, PlannedStep
from clawlog.agents.events import Dialect, reader
from clawlog.agents.installation import JSON, Change, TomlMember

NAME = "codex"
EVENTS = (
    "SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PermissionRequest", "Stop", "Interrupt", "SessionEnd",
)  # fmt: skip

_HANDED_ON = (
    "CLAWLOG_SOCKET", "CLAWLOG_STATE_DIR", "CLAWLOG_CONFIG", "CLAWLOG_BASE_URL", "CLAWLOG_TASK_ID", "CLAWLOG_AUTOSTART",
    "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME",
)  # fmt: skip
"""The variables by which a server finds the daemon: Codex hands on hardly more of its environment than HOME and PATH."""

_folder = folders.in_home(".codex", "CODEX_HOME")


def _changes(place: Place) -> Sequence[Change]:
    folder = _folder(place.env) if place.project is None else os.path.join(place.project, ".codex")
    changes: list[Change] = [*commands.entries(os.path.join(folder, "hooks.json"), place.hooks, NAME, EVENTS)]
    if place.with_plans:
        changes.append(TomlMember(os.path.join(folder, "config.toml"), ("tools", "update_plan"), {"enabled": True}))
    if place.opened is not None:
        where = ("sandbox_workspace_write", "writable_roots")
        changes.append(TomlMember(os.path.join(folder, "config.toml"), where, [place.opened]))
    return changes


def _plan(tool: str, given: Any) -> tuple[PlannedStep, ...] | None:
    return members.plan(members.member(given, "plan"), "step") if tool == "update_plan" else None


def _mcp(server: McpServer) -> Sequence[Change]:
    folder = _folder(server.env) if server.project is None else os.path.join(server.project, ".codex")
    value: JSON = {**mcp_entries.program(server), "env_vars": list(_HANDED_ON)}
    return [TomlMember(os.path.join(folder, "config.toml"), ("mcp_servers", mcp_entries.NAME), value)]


AGENT = Agent(
    name=NAME,
    title="Codex",
    programs=("codex",),
    folder=_folder,
    changes=_changes,
    mcp=_mcp,
    read=reader(Dialect(plan=_plan, asks=frozenset({"request_user_input"}))),
    note="Codex runs no hook that it was not told to trust: start it once, and answer its question about hooks with yes",
)
