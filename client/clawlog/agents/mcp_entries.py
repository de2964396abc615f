"""What an agent's settings need so that it starts ``clawlog mcp`` as a server of the Model Context Protocol."""

from __future__ import annotations

from collections.abc import Mapping

from clawlog.agents.agent import McpServer
from clawlog.agents.installation import JSON, JsonMember

NAME = "clawlog"
"""What the server is called in every agent's settings."""


def program(server: McpServer) -> dict[str, JSON]:
    """Returns the program and its arguments, in the words that most agents have for them."""
    return {"command": server.program, "args": list(server.arguments)}


def with_variables(server: McpServer) -> dict[str, JSON]:
    """Returns the same for an agent that hands its environment on in part, or has one of its own."""
    variables: dict[str, JSON] = dict(server.variables)
    return {**program(server), **({"env": variables} if variables else {})}


def trust(server: McpServer) -> dict[str, JSON]:
    """Returns by what Gemini CLI, and what is made from it, ask for none of its tools."""
    return {"trust": True} if server.is_allowed else {}


def member(path: str, value: Mapping[str, JSON], *above: str) -> JsonMember:
    """Returns the server as a member of a JSON file.

    Args:
        path: The file.
        value: What the agent is told of the server.
        above: The names that lead to it; by default ``mcpServers``.
    """
    return JsonMember(path, (*(above or ("mcpServers",)), NAME), dict(value))
