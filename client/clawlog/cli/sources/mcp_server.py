"""What agents are to start so that they have ``clawlog mcp``, and which of them do."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping

from clawlog import exits
from clawlog.agents.agent import Agent, McpServer, NotOffered
from clawlog.agents.installation import OwnFile
from clawlog.cli.editing import changes, places
from clawlog.cli.editing.changes import Edit, State
from clawlog.cli.errors import CommandError, NotEditable

_PROGRAM = "clawlog"
_PATHS = ("CLAWLOG_STATE_DIR", "CLAWLOG_CONFIG")
_VARIABLES = ("CLAWLOG_SOCKET", *_PATHS, "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME")
"""By which the daemon is found."""


def server(env: Mapping[str, str], project: str | None = None, *, is_allowed: bool = False) -> McpServer:
    """Returns what agents are to start: this program, by the path that stays the same when it is upgraded.

    Raises:
        CommandError: It is not installed as a program.
    """
    own = os.path.join(os.path.dirname(sys.executable), _PROGRAM)
    found = shutil.which(_PROGRAM, path=env.get("PATH", os.defpath))
    if found is not None and (os.path.realpath(found) == os.path.realpath(own)):
        own = os.path.abspath(found)
    if not os.access(own, os.X_OK):
        raise CommandError(
            f"there is no program {own} for agents to start; install this project with pipx or pip", exits.UNAVAILABLE
        )
    variables = {name: os.path.abspath(env[name]) if name in _PATHS else env[name] for name in _VARIABLES if env.get(name)}
    return McpServer(env, own, ("mcp",), variables, project, is_allowed)


def possible(env: Mapping[str, str]) -> list[McpServer]:
    """Returns what agents may have been told to start.

    Raises:
        CommandError: It is not installed as a program.
    """
    return [server(env, is_allowed=is_allowed) for is_allowed in (True, False)]


def edits(agent: Agent, about: McpServer) -> list[Edit]:
    """Returns what has an agent start the server.

    Raises:
        NotOffered: It has no place for that.
    """
    return [each for each in agent.mcp(about) if not isinstance(each, OwnFile)]


def state(agent: Agent, env: Mapping[str, str]) -> State | None:
    """Returns whether an agent starts the server in all of the user's sessions.

    Returns:
        ``different`` where it starts another one by that name, or this one otherwise; None where its settings cannot be read.

    Raises:
        CommandError: The server is not installed as a program.
    """
    told: set[State] = set()
    for about in possible(env):
        try:
            told.add(_state(edits(agent, about)))
        except NotOffered:
            return "missing"
        except NotEditable:
            return None
    return "there" if "there" in told else "missing" if told == {"missing"} else "different"


def _state(wanted: list[Edit]) -> State:
    """Returns whether all is there. What lets its tools be used without a question is found without a server, too."""
    texts = [(places.read(each.path), each) for each in wanted]
    found = [changes.state(text, each) if text is not None else "missing" for text, each in texts]
    return "there" if all(each == "there" for each in found) else "missing" if found[0] == "missing" else "different"
