"""The server: what the official SDK calls. It alone imports it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from mcp import types
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server

from clawlog import locations
from clawlog.cli.commands.mcp.answers import Answer
from clawlog.cli.commands.mcp.session import Agent, Session
from clawlog.cli.commands.mcp.tools import INSTRUCTIONS, TOOLS, Tool
from clawlog.protocol.agents import MAX_SESSION_CHARS
from clawlog.protocol.summary import any_line

NAME = "clawlog"

_ALWAYS_LOADED = {"anthropic/alwaysLoad": True}
"""Claude Code hides tools behind a search unless they ask for this; what is to be reported must not have to be looked for."""

_CODEX_VARIABLE = "CODEX_SESSION_ID"
"""In which Codex names the session to commands; to a server it does so with each call."""

_MAX_SESSIONS = 32
_MAX_NAME_CHARS = 64
_CLIENTS = {"codex-mcp-client": "codex", "openclaw-bundle-mcp": "openclaw"}
"""How agents introduce themselves, where that is neither their name nor ends in ``-mcp-client``."""

_NO_VERSION = "0.0."
"""How a version begins that says nothing of the agent's own (Qwen Code, OpenClaw)."""


def serve(env: Mapping[str, str]) -> None:
    """Serves stdin and stdout until stdin ends."""
    asyncio.run(_serve(make(env, os.getppid())))


def make(env: Mapping[str, str], parent_pid: int) -> Server[object]:
    """Returns the server.

    Args:
        env: The environment variables.
        parent_pid: The process that started this one.
    """
    in_order = asyncio.Lock()
    sessions = _Sessions(env, parent_pid)

    async def on_list_tools(_: ServerRequestContext[object], __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_listed(tool) for tool in TOOLS.values()])

    async def on_call_tool(ctx: ServerRequestContext[object], params: types.CallToolRequestParams) -> types.CallToolResult:
        agent = _agent(ctx)
        async with in_order:  # calls that an agent makes at once take effect in the order in which it made them
            session = sessions.of(_session_id(ctx, agent))
            answer = await asyncio.to_thread(session.call, params.name, params.arguments or {}, agent)
        return _result(answer)

    return Server(
        NAME,
        version=locations.installed_version(),
        title="ClawLog",
        instructions=INSTRUCTIONS,
        on_list_tools=on_list_tools,
        on_call_tool=on_call_tool,
    )


class _Sessions:
    """The conversations of this process: one, but where an agent says with each call to which of its sessions it belongs."""

    def __init__(self, env: Mapping[str, str], parent_pid: int) -> None:
        self._env = env
        self._parent_pid = parent_pid
        self._known: dict[str | None, Session] = {}

    def of(self, session_id: str | None) -> Session:
        """Returns the conversation of a session."""
        if session_id not in self._known:
            own = {} if session_id is None else {_CODEX_VARIABLE: session_id}
            self._known[session_id] = Session({**self._env, **own}, self._parent_pid)
            if len(self._known) > _MAX_SESSIONS:
                self._known.pop(next(iter(self._known)))
        return self._known[session_id]


async def _serve(server: Server[object]) -> None:
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def _listed(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.parameters.schema_for_agents(),
        annotations=types.ToolAnnotations(read_only_hint=tool.only_reads, destructive_hint=False, open_world_hint=False),
        _meta=_ALWAYS_LOADED,
    )


def _result(answer: Answer) -> types.CallToolResult:
    content: list[types.ContentBlock] = [types.TextContent(type="text", text=each) for each in answer.paragraphs]
    return types.CallToolResult(content=content, structured_content=answer.structure, is_error=answer.failed)


def _agent(ctx: ServerRequestContext[object]) -> Agent:
    """The agent, as it introduces itself."""
    about = ctx.session.client_params
    if about is None:
        return Agent()
    info = about.client_info
    name = any_line(info.name, _MAX_NAME_CHARS)
    version_ = any_line(info.version, _MAX_NAME_CHARS)
    is_known = version_ and not version_.startswith(_NO_VERSION)
    return Agent(_CLIENTS.get(name, name.removesuffix("-mcp-client")) or None, version_ if is_known else None)


def _session_id(ctx: ServerRequestContext[object], agent: Agent) -> str | None:
    """The agent's own id of the session that calls, as far as it is said."""
    told = (ctx.meta or {}).get("sessionId") if agent.name == "codex" else None
    return told if isinstance(told, str) and 0 < len(told) <= MAX_SESSION_CHARS else None
