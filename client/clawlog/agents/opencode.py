"""OpenCode: a plugin within its own process, which hands on what it is given in the hook's way.

The payload is ``{"input": …, "output": …}``, the two arguments of the plugin's function, cut down by the plugin to what is read
here; ``root`` is the session to which a subagent's session belongs, ``cwd`` the project's folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from clawlog import locations
from clawlog.agents import mcp_entries, members
from clawlog.agents.agent import Agent, McpServer, NotOffered, Place, Report
from clawlog.agents.installation import JSON, Change, OwnFile

NAME = "opencode"

_PLUGIN = """\
// Written by `clawlog install hooks`. The plugin itself lies with the hooks of the other agents.
export const Clawlog = async (context) => {
  try {
    const { plugin } = await import(%s)
    return await plugin(context)
  } catch {
    return {}
  }
}
"""


def _folder(env: Mapping[str, str]) -> str:
    return os.path.join(locations.config_dir(env), "opencode")


def _changes(place: Place) -> Sequence[Change]:
    if place.project is not None:
        raise NotOffered("a plugin for one project alone is not known for OpenCode; leave --project out")
    content = _PLUGIN % json.dumps(f"{place.hooks}/opencode.js")
    return [OwnFile(os.path.join(_folder(place.env), "plugin", "clawlog.js"), content.encode("utf-8"))]


def read(event: str, payload: Mapping[str, Any], env: Mapping[str, str]) -> Sequence[Report]:
    """Returns what one call of the plugin says."""
    del env
    given, output = payload.get("input"), payload.get("output")
    about = members.member(given, "properties") if event.startswith("event.") else given
    info = members.member(about, "info")
    session_id = members.text(about, "sessionID") or members.text(info, "id") or members.text(payload, "root")
    if session_id is None:
        return ()
    root = members.text(payload, "root") or members.text(info, "parentID") or session_id
    cwd = members.text(info, "directory") or members.text(given, "cwd") or members.text(payload, "cwd")
    version = members.text(info, "version") or members.text(payload, "version")
    subagent_id = session_id if root != session_id else None

    def report(name: Any, **said: Any) -> Sequence[Report]:
        return [Report(name, root, cwd=cwd, agent_version=version, subagent_id=subagent_id, **said)]

    match event:
        case "event.session.created":
            return report("session.started", resumed=None if subagent_id else False)
        case "chat.message" if subagent_id is None and (prompt := _prompt(output)) is not None:
            return report("prompt", prompt=prompt)
        case "event.todo.updated" if subagent_id is None:
            plan = members.plan(members.member(about, "todos"), "content")
            return () if plan is None else report("plan", plan=plan)
        case "tool.execute.before":
            return report("tool.before", tool=members.text(given, "tool"))
        case "tool.execute.after":
            return report("tool.after", tool=members.text(given, "tool"), failed=_is_failed(output))
        case "event.permission.asked" | "event.question.asked":
            return report("waiting", tool=members.text(about, "permission", "type"), question=members.question(about))
        case "event.session.idle":
            return report("turn.ended", **_ending(members.text(members.member(about, "error"), "name")))
        case "event.session.deleted":
            return report("session.ended", reason="deleted") if subagent_id is None else report("turn.ended", reason="deleted")
        case "dispose":
            return report("session.ended", reason="exit")
        case _:
            return ()


def _prompt(output: Any) -> str | None:
    texts = (
        members.text(part, "text")
        for part in members.items(members.member(output, "parts"))
        if members.member(part, "type") == "text" and not members.member(part, "synthetic")
    )
    prompt = next((found for found in texts if found is not None), None)
    if prompt is not None and len(prompt) > 2 and prompt[0] == prompt[-1] == '"':  # as `opencode run` hands on its argument
        return prompt[1:-1]
    return prompt


def _is_failed(output: Any) -> bool | None:
    status = members.member(output, "metadata", "exit")
    return status != 0 if isinstance(status, int) else None


def _ending(error: str | None) -> Mapping[str, Any]:
    if error is None:
        return {"reason": "completed"}
    return {"reason": "interrupted"} if error == "MessageAbortedError" else {"failed": True, "reason": "error"}


def _mcp(server: McpServer) -> Sequence[Change]:
    folder = _folder(server.env) if server.project is None else server.project
    value: dict[str, JSON] = {"type": "local", "command": [server.program, *server.arguments], "enabled": True}
    return [mcp_entries.member(os.path.join(folder, "opencode.json"), value, "mcp")]


AGENT = Agent(
    name=NAME,
    title="OpenCode",
    programs=("opencode",),
    folder=_folder,
    changes=_changes,
    mcp=_mcp,
    read=read,
)
