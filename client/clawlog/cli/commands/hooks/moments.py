"""A made-up session: what each agent gives its hook when one begins, is asked something, uses a tool, and ends.

The shapes are those that were recorded from the real agents; the tests hold them against what the agents' modules read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

PROMPT = "Trial of the hook"
TOOL = "Bash"


@dataclass(frozen=True, slots=True)
class Moment:
    """One call of the hook.

    Attributes:
        what: What happens, for people.
        event: The agent's name for it.
        payload: What the agent gives the hook.
        status: The task's status afterwards.
    """

    what: str
    event: str
    payload: Mapping[str, Any]
    status: str


_WHAT = (
    ("the session begins", "waiting"),
    ("a person's prompt", "running"),
    ("before a tool", "running"),
    ("after a tool", "running"),
    ("the turn ends", "waiting"),
    ("the session ends", "done"),
)


def session(agent: str, session_id: str, cwd: str) -> list[Moment]:
    """Returns a session in an agent's own words, in order."""
    told = _SESSIONS.get(agent, _claude)(session_id, cwd)
    return [
        Moment(what, event, payload, status)
        for (what, status), said in zip(_WHAT, told, strict=True)
        if said is not None
        for event, payload in [said]
    ]


_Told = list[tuple[str, Mapping[str, Any]] | None]


def _claude(session_id: str, cwd: str, *, names: Mapping[str, str] | None = None, **more: Any) -> _Told:
    """Claude Code's shape, which several agents share.

    Args:
        session_id: The session.
        cwd: Its folder.
        names: Names of events that differ.
        more: Members that the events have besides.
    """
    tool = {"tool_name": TOOL, "tool_input": {"command": "true"}, "tool_use_id": "call_1"}
    said: list[tuple[str, dict[str, Any]]] = [
        ("SessionStart", {"source": "startup"}),
        ("UserPromptSubmit", {"prompt": PROMPT}),
        ("PreToolUse", tool),
        ("PostToolUse", {**tool, "tool_response": ""}),
        ("Stop", {"stop_hook_active": False}),
        ("SessionEnd", {"reason": "other"}),
    ]
    named = [((names or {}).get(event, event), payload) for event, payload in said]
    return [
        (event, {"session_id": session_id, "cwd": cwd, "hook_event_name": event, **more, **payload}) for event, payload in named
    ]


def _codex(session_id: str, cwd: str) -> _Told:
    return _claude(session_id, cwd, model="gpt-5.5", permission_mode="default")


def _gemini(session_id: str, cwd: str) -> _Told:
    names = {"UserPromptSubmit": "BeforeAgent", "PreToolUse": "BeforeTool", "PostToolUse": "AfterTool", "Stop": "AfterAgent"}
    return _claude(session_id, cwd, names=names)


def _cursor(session_id: str, cwd: str) -> _Told:
    names = {
        "SessionStart": "sessionStart",
        "UserPromptSubmit": "beforeSubmitPrompt",
        "PreToolUse": "preToolUse",
        "PostToolUse": "postToolUse",
        "Stop": "stop",
        "SessionEnd": "sessionEnd",
    }
    told = _claude(session_id, cwd, names=names, conversation_id=session_id, generation_id="1", workspace_roots=[cwd])
    return [
        None if said is None else (said[0], {name: value for name, value in said[1].items() if name != "session_id"})
        for said in told
    ]


def _opencode(session_id: str, cwd: str) -> _Told:
    """What its plugin hands on; what comes after a tool the plugin writes down by itself."""

    def said(event: str, **more: Any) -> tuple[str, Mapping[str, Any]]:
        return event, {"cwd": cwd, "root": session_id, **more}

    info = {"id": session_id, "directory": cwd}
    return [
        said("event.session.created", input={"properties": {"sessionID": session_id, "info": info}}),
        said("chat.message", input={"sessionID": session_id}, output={"parts": [{"type": "text", "text": PROMPT}]}),
        said("tool.execute.before", input={"sessionID": session_id, "tool": TOOL}),
        None,
        said("event.session.idle", input={"properties": {"sessionID": session_id}}),
        said("dispose"),
    ]


def _openclaw(session_id: str, cwd: str) -> _Told:
    """What its plugin hands on; what comes after a tool the plugin writes down by itself."""

    def said(event: str, **given: Any) -> tuple[str, Mapping[str, Any]]:
        return event, {"input": given, "output": {"sessionKey": session_id, "trigger": "user", "workspaceDir": cwd}}

    return [
        said("session_start"),
        said("agent_turn_prepare", prompt=PROMPT),
        said("before_tool_call", toolName=TOOL),
        None,
        said("agent_end", success=True),
        said("session_end", reason="exit"),
    ]


_SESSIONS: Mapping[str, Callable[[str, str], _Told]] = {
    "codex": _codex,
    "gemini-cli": _gemini,
    "cursor": _cursor,
    "opencode": _opencode,
    "openclaw": _openclaw,
}
