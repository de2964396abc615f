"""Coding agents that report by themselves: their names, their events, and the files through which hook and daemon meet.

Below the state folder's ``run`` a session has two files, both named for its agent and for itself:

- ``signs/AGENT/SESSION``: the hook of a tool appends ``before TOOL`` or ``after TOOL``; the daemon reads it once a second and
  empties it. Where it is missing, the daemon does not know the session, and the hook reports with ``agent.event`` instead.
- ``agent-stops/AGENT/SESSION``: is there while the session is to be held. Three lines: the interrupt's id, what the agent is
  told, and the same as a JSON string with its quotes.
"""

from __future__ import annotations

import re

from clawlog.protocol.summary import clean

AGENTS = ("claude-code", "codex", "gemini-cli", "qwen-code", "copilot-cli", "opencode", "openclaw", "cursor")
"""The agents that are known by name."""

ENDED_BY_HOOK = frozenset({"claude-code", "gemini-cli", "qwen-code", "opencode"})
"""The agents whose loop a hook can end; the others can only be refused each tool."""

AGENT_EVENTS = ("session.started", "prompt", "plan", "tool.before", "tool.after", "waiting", "turn.ended", "session.ended")

SIGN_WORDS = ("before", "after")
"""How a line of signs begins: before a tool runs, and after it."""

SIGNS = "signs"
HOLDS = "agent-stops"
MAX_SIGNS_BYTES = 64 * 1024
"""The longest file of signs: what comes beyond is left out by the hook."""

AGENT_PATTERN = r"\A[a-z0-9-]{1,64}\Z"
"""The form of an agent's name, be it known or not."""

MAX_SESSION_CHARS = 1000
"""The longest id of a session."""

PROMPT_CHARS = 80
"""How much of a prompt is taken at most: the beginning of its first line, credentials masked."""

_NAMESPACE = "clawlog agent session"
_LOOKED_AT_CHARS = 4000
_PLAIN_SESSION = re.compile(r"\A(?!\.)[A-Za-z0-9._:-]{1,128}\Z")


def session_file(session_id: str) -> str:
    """Returns the name of a session's files: its id where that can be a file's name, else one made of its digest."""
    if _PLAIN_SESSION.match(session_id):
        return session_id
    import hashlib  # noqa: PLC0415 - most sessions' ids do without, and it takes a hook milliseconds

    return f"sha256-{hashlib.sha256(session_id.encode('utf-8', 'surrogatepass')).hexdigest()}"


def agent_task_id(machine_id: str, uid: int, agent: str, session_id: str) -> str:
    """Returns the id of a session's task: the same whoever works it out, and whenever.

    Args:
        machine_id: The machine's own id, see ``clawlog.locations.machine_id``.
        uid: The number of the user as whom the agent runs.
        agent: The agent's name.
        session_id: The agent's own id of the session.
    """
    return _derived(_NAMESPACE, machine_id, str(uid), agent, session_id)


def creation_event_id(task_id: str) -> str:
    """Returns the id of the event by which a session's task is created: a task that is created anew is known for the same."""
    return _derived(_NAMESPACE, "created", task_id)


def first_line(prompt: str) -> str:
    """Returns what is taken of a prompt: the beginning of its first line that holds anything, credentials masked."""
    # Cut before it is cleaned, too: a prompt may hold whole files.
    for line in prompt[:_LOOKED_AT_CHARS].splitlines():
        text, _ = clean(line[:_LOOKED_AT_CHARS], max_chars=PROMPT_CHARS)
        if text:
            return text
    return ""


def _derived(*parts: str) -> str:
    """A UUID of version 5's form, without the ``uuid`` module: it would cost a script a third of its run time."""
    import hashlib  # noqa: PLC0415 - as above

    joined = "\0".join(parts).encode("utf-8", "surrogatepass")
    digits = hashlib.sha1(joined, usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    text = f"{digits[:12]}5{digits[13:16]}{variant}{digits[17:32]}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
