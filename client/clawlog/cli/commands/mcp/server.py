"""The server: what the official SDK calls. It alone imports it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from mcp import types
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server

from clawlog.cli import version
from clawlog.cli.commands.mcp.answers import Answer
from clawlog.cli.commands.mcp.session import Agent, Session
from clawlog.cli.commands.mcp.tools import INSTRUCTIONS, TOOLS, Tool
from clawlog.protocol.summary import any_line

NAME = "clawlog"

_ALWAYS_LOADED = {"anthropic/alwaysLoad": True}
"""Claude Code hides tools behind a search unless they ask for this; what is to be reported must not have to be looked for."""

_MAX_NAME_CHARS = 64
_CLIENTS = {"codex-mcp-client": "codex"}
"""How agents introduce themselves, where that is neither their name nor ends in ``-mcp-client``."""


def serve(env: Mapping[str, str]) -> None:
    """Serves stdin and stdout until stdin ends."""
    asyncio.run(_serve(make(Session(env, os.getppid()))))


def make(session: Session) -> Server[object]:
    """Returns the server of a conversation."""
    in_order = asyncio.Lock()

    async def on_list_tools(_: ServerRequestContext[object], __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_listed(tool) for tool in TOOLS.values()])

    async def on_call_tool(ctx: ServerRequestContext[object], params: types.CallToolRequestParams) -> types.CallToolResult:
        agent = _agent(ctx)
        async with in_order:  # calls that an agent makes at once take effect in the order in which it made them
            answer = await asyncio.to_thread(session.call, params.name, params.arguments or {}, agent)
        return _result(answer)

    return Server(
        NAME,
        version=version.installed(),
        title="ClawLog",
        instructions=INSTRUCTIONS,
        on_list_tools=on_list_tools,
        on_call_tool=on_call_tool,
    )


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
    return Agent(_CLIENTS.get(name, name.removesuffix("-mcp-client")) or None, any_line(info.version, _MAX_NAME_CHARS) or None)
