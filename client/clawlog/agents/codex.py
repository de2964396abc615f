"""Codex CLI."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from clawlog.agents import commands, folders, members
from clawlog.agents.agent import Agent, Place, PlannedStep
from clawlog.agents.events import Dialect, reader
from clawlog.agents.installation import Change, TomlMember

NAME = "codex"
EVENTS = (
    "SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PermissionRequest", "Stop", "Interrupt", "SessionEnd",
)  # fmt: skip

_folder = folders.in_home(".codex", "CODEX_HOME")


def _changes(place: Place) -> Sequence[Change]:
    folder = _folder(place.env) if place.project is None else os.path.join(place.project, ".codex")
    changes: list[Change] = [*commands.entries(os.path.join(folder, "hooks.json"), place.hooks, NAME, EVENTS)]
    if place.with_plans:
        changes.append(TomlMember(os.path.join(folder, "config.toml"), ("tools", "update_plan"), {"enabled": True}))
    return changes


def _plan(tool: str, given: Any) -> tuple[PlannedStep, ...] | None:
    return members.plan(members.member(given, "plan"), "step") if tool == "update_plan" else None


AGENT = Agent(
    name=NAME,
    title="Codex",
    programs=("codex",),
    folder=_folder,
    changes=_changes,
    read=reader(Dialect(plan=_plan, asks=frozenset({"request_user_input"}))),
    note="Codex runs no hook that it was not told to trust: start it once, and answer its question about hooks with yes",
)
