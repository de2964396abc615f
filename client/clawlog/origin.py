"""What a program can say of where a new task comes from: its folder, the agent it runs under, the task it is a part of.

The daemon finds out the rest (host, user, project, branch). Each script call that creates a task loads this module, so it
imports next to nothing.
"""

import os

from clawlog.protocol.vocabulary import MAX_METADATA_PAIRS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_AGENTS = (
    ("CLAUDECODE", "claude-code"),
    ("GEMINI_SESSION_ID", "gemini-cli"),
    ("QWEN_CODE_SESSION_ID", "qwen-code"),
    ("COPILOT_CLI", "copilot-cli"),
    ("OPENCODE_PID", "opencode"),
)
"""The variables that agents set for what they start. Others, such as ``CLAUDE_PROJECT_DIR``, are set by several of them."""

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
    """Returns a task's metadata: the caller's own pairs, and the agent's name where there is none and there is room."""
    name = None if "agent" in pairs or len(pairs) >= MAX_METADATA_PAIRS else agent(env)
    return dict(pairs) if name is None else {**pairs, "agent": name}


def parent(task_id: str, env: "Mapping[str, str]") -> "str | None":
    """Returns the task that a new one is a part of, as the environment says; None where it names none, or the new one."""
    named = env.get("CLAWLOG_TASK_ID")
    return named if named and named != task_id else None
