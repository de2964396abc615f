"""Gemini CLI."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from clawlog.agents import commands, folders, mcp_entries, members
from clawlog.agents.agent import Agent, McpServer, NotOffered, Place, PlannedStep
from clawlog.agents.events import Dialect, reader
from clawlog.agents.installation import Change

NAME = "gemini-cli"
_CLAUDE_NAMES = {
    "SessionStart": "SessionStart",
    "BeforeAgent": "UserPromptSubmit",
    "BeforeTool": "PreToolUse",
    "AfterTool": "PostToolUse",
    "AfterAgent": "Stop",
    "SessionEnd": "SessionEnd",
    "Notification": "Notification",
}
EVENTS = tuple(_CLAUDE_NAMES)
"""Those before and after each model call are left out: they carry the whole conversation."""


def _folder(env: Mapping[str, str]) -> str:
    if chosen := env.get("GEMINI_CLI_HOME"):  # stands for the home folder, not for the one in it
        return os.path.join(os.path.abspath(chosen), ".gemini")
    return folders.in_home(".gemini")(env)


def _changes(place: Place) -> Sequence[Change]:
    if place.project is not None:
        raise NotOffered("hooks for one project alone are not known for Gemini CLI; leave --project out")
    return commands.entries(
        os.path.join(_folder(place.env), "settings.json"), place.hooks, NAME, EVENTS,
        timeout=commands.TIMEOUT_S * 1000, around={"matcher": "*"}, within={"name": "clawlog"},
    )  # fmt: skip


def _plan(tool: str, given: Any) -> tuple[PlannedStep, ...] | None:
    return members.plan(members.member(given, "todos"), "description") if tool == "write_todos" else None


def _mcp(server: McpServer) -> Sequence[Change]:
    folder = _folder(server.env) if server.project is None else os.path.join(server.project, ".gemini")
    return [
        mcp_entries.member(os.path.join(folder, "settings.json"), {**mcp_entries.program(server), **mcp_entries.trust(server)})
    ]


AGENT = Agent(
    name=NAME,
    title="Gemini CLI",
    programs=("gemini",),
    folder=_folder,
    changes=_changes,
    mcp=_mcp,
    read=reader(Dialect(events=_CLAUDE_NAMES, plan=_plan, asks=frozenset({"ask_user"}))),
)
