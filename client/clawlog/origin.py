"""What a program can say of where a new task comes from: its folder, the agent it runs under, the task it is a part of.

The daemon finds out the rest (host, user, project, branch). Each script call that creates a task loads this module, so it
imports next to nothing.
"""

import os

from clawlog import locations
from clawlog.protocol.vocabulary import MAX_METADATA_PAIRS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_AGENTS = (
    ("CODEX_SESSION_ID", "codex"),
    ("CODEX_THREAD_ID", "codex"),
    ("CLAUDECODE", "claude-code"),
    ("GEMINI_SESSION_ID", "gemini-cli"),
    ("QWEN_CODE_SESSION_ID", "qwen-code"),
    ("COPILOT_CLI", "copilot-cli"),
    ("OPENCODE_PID", "opencode"),
)
"""The variables that agents set for what they start. Others, such as ``CLAUDE_PROJECT_DIR``, are set by several of them."""

_SESSIONS = (
    ("CODEX_SESSION_ID", "codex"),
    ("CODEX_THREAD_ID", "codex"),
    ("CLAUDE_CODE_SESSION_ID", "claude-code"),
    ("GEMINI_SESSION_ID", "gemini-cli"),
    ("QWEN_CODE_SESSION_ID", "qwen-code"),
)
"""The variables in which agents name the session to what they start."""

_INTERPRETERS = ("python", "pypy", "sh", "bash", "dash", "zsh", "ksh", "node", "ruby", "perl")
"""Programs whose first argument is the program that is meant; a version may follow."""

_COMMAND_CHARS = 200


def folder() -> "str | None":
    """Returns the working folder; None where it is gone, or its name is no text."""
    try:
        path = os.getcwd()
        path.encode()
    except (OSError, UnicodeEncodeError):
        return None
    return path


def agent(env: "Mapping[str, str]") -> "str | None":
    """Returns the name of the agent that started this program; None where no known one did."""
    for variable, name in _AGENTS:
        if env.get(variable):
            return name
    return None


def command(words: "Sequence[str]") -> str:
    """Returns a command's program, and the script that it runs, by their names alone: arguments may hold secrets."""
    program, *rest = [*words, ""]
    name = os.path.basename(program)
    script = os.path.basename(rest[0]) if name.rstrip("0123456789.") in _INTERPRETERS and not rest[0].startswith("-") else ""
    shown = f"{name} {script}".rstrip()
    return shown.encode("utf-8", "replace").decode()[:_COMMAND_CHARS]


def metadata(pairs: "Mapping[str, str]", env: "Mapping[str, str]") -> dict[str, str]:
    """Returns a task's metadata: the caller's own pairs, and while there is room the agent's name and the caller's span."""
    found = dict(pairs)
    if "agent" not in found and len(found) < MAX_METADATA_PAIRS and (name := agent(env)) is not None:
        found["agent"] = name
    if env.get("TRACEPARENT") and len(found) < MAX_METADATA_PAIRS:
        from clawlog import trace_context  # noqa: PLC0415 - only there

        if (caller := trace_context.of_caller(env)) is not None:
            found.setdefault(trace_context.KEY, caller)
    return found


def parent(task_id: str, env: "Mapping[str, str]") -> "str | None":
    """Returns the task that a new one is a part of, as the environment says; None where it names none, or the new one."""
    named = env.get("CLAWLOG_TASK_ID") or own_task(env)
    return named if named and named != task_id else None


def own_task(env: "Mapping[str, str]") -> "str | None":
    """Returns the id of the task that the coding agent's session is in which this program runs; None outside of any.

    There is such a task where the agent's hooks are installed. A test compares it with ``protocol.agents.agent_task_id``.
    """
    found = [(agent, env[variable]) for variable, agent in _SESSIONS if env.get(variable)]
    if not found:
        return None
    try:
        from _sha1 import sha1  # type: ignore[import-not-found] # noqa: PLC0415 - hashlib would cost as much as a fifth of Python's start
    except ImportError:
        from hashlib import sha1  # noqa: PLC0415 - as above
    parts = ("clawlog agent session", locations.machine_id(), str(os.geteuid()), *found[0])
    digits = sha1("\0".join(parts).encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    text = f"{digits[:12]}5{digits[13:16]}{variant}{digits[17:32]}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
