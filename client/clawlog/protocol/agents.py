"""Coding agents that report by themselves: their names, their events, and the files through which hook and daemon meet.

Below the state folder's ``run`` a session has two files, both named for its agent and for itself:

- ``signs/AGENT/SESSION``: the hook of a tool appends ``before TOOL`` or ``after TOOL``; the daemon reads it once a second and
  empties it. Where it is missing, the daemon does not know the session, and the hook reports with ``agent.event`` instead.
- ``agent-stops/AGENT/SESSION``: is there while the session is to be held. Three lines: the interrupt's id, what the agent is
  told, and the same as a JSON string with its quotes.
"""

from __future__ import annotations

import hashlib
import re

AGENTS = ("claude-code", "codex", "gemini-cli", "qwen-code", "copilot-cli", "opencode", "openclaw", "cursor")
"""The agents that are known by name."""

ENDED_BY_HOOK = frozenset({"claude-code", "gemini-cli", "qwen-code", "opencode"})
"""The agents whose loop a hook can end; the others can only be refused each tool."""

AGENT_EVENTS = ("session.started", "prompt", "plan", "tool.before", "tool.after", "waiting", "turn.ended", "session.ended")

SIGNS = "signs"
HOLDS = "agent-stops"
MAX_SIGNS_BYTES = 64 * 1024
"""The longest file of signs: what comes beyond is left out by the hook."""

_PLAIN_SESSION = re.compile(r"\A(?!\.)[A-Za-z0-9._:-]{1,128}\Z")


def session_file(session_id: str) -> str:
    """Returns the name of a session's files: its id where that can be a file's name, else one made of its digest."""
    if _PLAIN_SESSION.match(session_id):
        return session_id
    return f"sha256-{hashlib.sha256(session_id.encode('utf-8', 'surrogatepass')).hexdigest()}"
