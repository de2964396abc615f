"""What the agents' tools are called, and what they take: how a turn becomes calls of the tools that a request offers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from support.models.script import SUBAGENT, Turn, play

Arguments = dict[str, Any]
Plan = Sequence[tuple[str, str]]
CODE_MODE = "exec"
"""The tool of free form to which Codex gives JavaScript that uses the others, with its newer models."""


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a tool: its name and its arguments; a text where the tool takes free text."""

    tool: str
    arguments: Arguments | str


@dataclass(frozen=True, slots=True)
class Offer:
    """The tools that a request offers, by name, and those among them that take free text."""

    names: frozenset[str]
    free_form: frozenset[str] = frozenset()

    @property
    def code_mode(self) -> bool:
        return CODE_MODE in self.free_form

    @property
    def usable(self) -> frozenset[str]:
        """Those that a turn may use; what code mode's tool reaches is not listed."""
        return self.names | {"exec_command", "update_plan"} if self.code_mode else self.names


# ── Plans ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _claude_tasks(plan: Plan) -> list[Use]:
    """Claude Code: a call for each step, which is known by its number later on."""
    if any(status == "completed" for _, status in plan):
        return [
            Use("TaskUpdate", {"taskId": str(number), "status": status})
            for number, (_, status) in enumerate(plan, start=1)
            if status != "pending"
        ]
    return [Use("TaskCreate", {"subject": title, "description": title, "activeForm": title}) for title, _ in plan]


def _copilot_table(plan: Plan) -> list[Use]:
    """Copilot CLI: a table of its own database."""
    words = {"completed": "done"}
    rows = [f"('s{number}', '{title}', '{words.get(status, status)}')" for number, (title, status) in enumerate(plan)]
    query = f"INSERT OR REPLACE INTO todos (id, title, status) VALUES {', '.join(rows)}"
    return [Use("sql", {"description": "Write the plan", "query": query})]


def _list(tool: str, member: str, step: Callable[[int, str, str], Arguments]) -> Callable[[Plan], list[Use]]:
    """A tool that takes the whole list at once."""
    return lambda plan: [Use(tool, {member: [step(number, *each) for number, each in enumerate(plan, start=1)]})]


_PLAN_TOOLS: Mapping[str, Callable[[Plan], list[Use]]] = {
    "TodoWrite": _list(
        "TodoWrite", "todos", lambda _, title, status: {"content": title, "status": status, "activeForm": title}
    ),
    "TaskCreate": _claude_tasks,
    "update_plan": _list("update_plan", "plan", lambda _, title, status: {"step": title, "status": status}),
    "write_todos": _list("write_todos", "todos", lambda _, title, status: {"description": title, "status": status}),
    "todowrite": _list(
        "todowrite", "todos", lambda n, title, status: {"id": str(n), "content": title, "status": status, "priority": "low"}
    ),
    "todo_write": _list("todo_write", "todos", lambda n, title, status: {"id": str(n), "content": title, "status": status}),
    "sql": _copilot_table,
}

SEARCH = Use("ToolSearch", {"query": "select:TaskCreate,TaskUpdate", "max_results": 5})
"""Claude Code lends its plan tools to a model that asks for them."""


def lends_plan_tool(offer: Offer) -> bool:
    """Whether a plan tool must be asked for, once."""
    return SEARCH.tool in offer.usable and not offer.usable & _PLAN_TOOLS.keys()


# ── Others ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _described(command: str) -> Arguments:
    return {"command": command, "description": "Run it"}


_SHELL_TOOLS: Mapping[str, Callable[[str], Arguments]] = {
    "exec_command": lambda command: {"cmd": command},
    "run_shell_command": lambda command: {**_described(command), "is_background": False},
    "Bash": _described,
    "bash": _described,
    "shell_command": _described,
    "exec": _described,
}


def _claude_like(prompt: str) -> Arguments:
    return {"description": "Look around", "prompt": prompt, "subagent_type": "general-purpose"}


_SUBAGENT_TOOLS: Mapping[str, Callable[[str], Arguments]] = {
    "Agent": _claude_like,
    "Task": _claude_like,
    "agent": _claude_like,
    "task": lambda prompt: {
        "description": "Look around",
        "prompt": prompt,
        "subagent_type": "general",
        "agent_type": "general-purpose",
        "name": "looker",
    },
    "spawn_agent": lambda prompt: {"message": prompt, "task_name": "look"},
    "invoke_agent": lambda prompt: {"agent_name": "generalist", "prompt": prompt},
}


def _question(text: str) -> Arguments:
    options = [{"label": word, "description": word} for word in ("Yes", "No")]
    asked = {"question": text, "header": "Go on", "id": "q", "type": "choice", "multiSelect": False, "options": options}
    return {"questions": [asked]}


_QUESTION_TOOLS = dict.fromkeys(("AskUserQuestion", "request_user_input", "ask_user", "question"), _question)


def _first(known: Iterable[str], offer: Offer) -> str | None:
    return next((name for name in known if name in offer.usable), None)


def _used(known: Mapping[str, Callable[[str], Arguments]], offer: Offer, text: str) -> list[Use]:
    """The use of the tool that this agent has for something; none where it has none."""
    name = _first(known, offer)
    return [] if name is None else [Use(name, known[name](text))]


_REPORTS = {"complete_task": lambda text: {"result": {"response": text}}}
"""With which a subagent of Gemini CLI ends: words alone do not end it."""


MCP_SERVER = "clawlog"
"""The server of the Model Context Protocol whose tools a script may name by their bare names."""


def _by_name(name: str, arguments: Arguments, offer: Offer) -> Use:
    """A use of a tool by its name, or by what the agent has made of it where it is a server's."""
    if name in offer.usable:
        return Use(name, arguments)
    ending = tuple(f"{MCP_SERVER}{each}{name}" for each in ("__", "_", "-"))
    known = next((each for each in sorted(offer.usable) if each.endswith(ending)), None)
    if known is not None:
        return Use(known, arguments)
    if SEARCH.tool in offer.usable:  # Claude Code hides what came late
        return Use(SEARCH.tool, {"query": f"+{MCP_SERVER}", "max_results": 20})
    if "tool_describe" in offer.names:  # OpenClaw and Qwen Code have a tool that calls what they do not show
        return Use("tool_call", {"id": f"{MCP_SERVER}__{name}", "args": arguments})
    if "tool_call" in offer.names:
        return Use("tool_call", {"name": f"mcp__{MCP_SERVER}__{name}", "arguments": arguments})
    if "tool_search" in offer.names:  # Codex names the server beside the tool
        return Use(f"mcp__{MCP_SERVER}.{name}", arguments)
    return Use(name, arguments)


def uses(turn: Turn, offer: Offer) -> list[Use]:
    """What a turn uses, with the tools that are offered; what the agent has no tool for is left out."""
    found: list[Use] = []
    if turn.plan and (name := _first(_PLAN_TOOLS, offer)):
        found += _PLAN_TOOLS[name](turn.plan)
    for command in turn.shell:
        found += _used(_SHELL_TOOLS, offer, command)
    found += [_by_name(name, dict(arguments), offer) for name, arguments in turn.calls]
    if turn.ask is not None:
        found += _used(_QUESTION_TOOLS, offer, turn.ask)
    if turn.subagent is not None:
        found += _used(_SUBAGENT_TOOLS, offer, f"{turn.subagent} {play(SUBAGENT)}")
    if turn.report is not None:
        found += _used(_REPORTS, offer, turn.report)
    return found
