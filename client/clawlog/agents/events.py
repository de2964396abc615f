"""The events of Claude Code's hooks, in whose shape most agents report: Codex, Gemini, Qwen, Copilot and Cursor, too.

What an agent calls otherwise, its module renames (``Dialect``). Inputs and outputs of tools never get beyond this module,
except a plan's titles and a question to a person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from clawlog.agents import members
from clawlog.agents.agent import PlannedStep, Report, StepChange

TASK_NOTIFICATION = "<task-notification>"
"""How the prompt begins by which an agent tells itself that something in the background has ended."""

_INTERRUPTED = ("aborted", "cancelled", "interrupted", "user_abort")
_FAILED = ("error", "failed")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an agent differs.

    Attributes:
        events: Claude Code's name for each of the agent's own events; those with the same name need not be here.
        members: Claude Code's name for members that have another one.
        plan: Returns the list of steps that a use of a tool has written: the tool, its input; None where it has written none.
        step: The same for tools that write one step at a time: the tool, its input, its result.
        asks: The tools that ask a person, and of which no other event says so.
        is_failed: Whether a tool's result says that it failed; None where it does not say.
        version: Returns the agent's version: the payload, the environment.
    """

    events: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, str] = field(default_factory=dict)
    plan: Callable[[str, Any], tuple[PlannedStep, ...] | None] = lambda _tool, _input: None
    step: Callable[[str, Any, Any], StepChange | None] = lambda _tool, _input, _result: None
    asks: frozenset[str] = frozenset()
    is_failed: Callable[[Mapping[str, Any]], bool | None] = lambda _payload: None
    version: Callable[[Mapping[str, Any], Mapping[str, str]], str | None] = lambda _payload, _env: None


def reader(dialect: Dialect) -> Callable[[str, Mapping[str, Any], Mapping[str, str]], Sequence[Report]]:
    """Returns an agent's ``read``."""

    def read(event: str, payload: Mapping[str, Any], env: Mapping[str, str]) -> Sequence[Report]:
        payload = {dialect.members.get(name, name): value for name, value in payload.items()}
        call = _call(payload)
        name = dialect.events.get(event, event)
        if call is None or (handler := _HANDLERS.get(name)) is None:
            return ()
        version = dialect.version(payload, env)
        return [
            replace(
                report, session_id=call.session_id, cwd=call.cwd, agent_version=version, subagent_id=call.subagent_id
            )
            for report in handler(_Event(name, payload, dialect, call.subagent_id))
        ]  # fmt: skip

    return read


@dataclass(frozen=True, slots=True)
class _Call:
    session_id: str
    cwd: str | None
    subagent_id: str | None


@dataclass(frozen=True, slots=True)
class _Event:
    name: str
    payload: Mapping[str, Any]
    dialect: Dialect
    subagent_id: str | None

    @property
    def tool(self) -> str | None:
        return members.text(self.payload, "tool_name")


def _call(payload: Mapping[str, Any]) -> _Call | None:
    session_id = members.text(payload, "session_id", "conversation_id")
    if session_id is None:
        return None
    cwd = members.text(payload, "cwd")
    if cwd is None and (roots := members.items(payload.get("workspace_roots"))) and isinstance(roots[0], str):
        cwd = roots[0]
    if (parent := members.text(payload, "parent_agent_id")) is not None:
        return _Call(parent, cwd, members.text(payload, "agent_id") or session_id)
    return _Call(session_id, cwd, members.text(payload, "agent_id"))


def _report(event: Any, **said: Any) -> Report:
    return Report(event, "", **said)


def _session_start(event: _Event) -> Sequence[Report]:
    source = members.text(event.payload, "source")
    if source == "compact":  # in the middle of a session
        return ()
    return [_report("session.started", resumed=None if source is None else source == "resume")]


def _prompt(event: _Event) -> Sequence[Report]:
    prompt = members.text(event.payload, "prompt")
    if prompt is None or event.subagent_id is not None or not prompt.strip() or prompt.startswith(TASK_NOTIFICATION):
        return ()
    return [_report("prompt", prompt=prompt)]


def _before_tool(event: _Event) -> Sequence[Report]:
    before = _report("tool.before", tool=event.tool)
    if event.tool not in event.dialect.asks:
        return [before]
    asked = members.question(event.payload.get("tool_input"))
    return [before, _report("waiting", tool=event.tool, question=asked)]


def _after_tool(event: _Event) -> Sequence[Report]:
    given, tool, dialect = event.payload.get("tool_input"), event.tool or "", event.dialect
    failed = True if event.name == "PostToolUseFailure" else dialect.is_failed(event.payload)
    after = _report("tool.after", tool=event.tool, failed=failed)
    if failed or event.subagent_id is not None:  # a subagent's list is not the session's
        return [after]
    if (plan := dialect.plan(tool, given)) is not None:
        return [after, _report("plan", plan=plan)]
    if (step := dialect.step(tool, given, event.payload.get("tool_response"))) is not None:
        return [after, _report("plan", step=step)]
    return [after]


def _permission(event: _Event) -> Sequence[Report]:
    return [_report("waiting", tool=event.tool, question=members.question(event.payload.get("tool_input")))]


def _notification(event: _Event) -> Sequence[Report]:
    if members.text(event.payload, "notification_type") not in ("permission_prompt", "ToolPermission"):
        return ()
    details = event.payload.get("details")
    return [_report("waiting", tool=event.tool or members.text(details, "toolName", "tool_name", "type"))]


def _stop(event: _Event) -> Sequence[Report]:
    if any(map(_goes_on, members.items(event.payload.get("background_tasks")))):
        return ()
    status = members.text(event.payload, "status")
    if status in _INTERRUPTED:
        return [_report("turn.ended", reason="interrupted")]
    if status in _FAILED or event.name == "StopFailure":
        return [_report("turn.ended", failed=True, reason="error")]
    return [_report("turn.ended", reason="completed")]


def _goes_on(task: Any) -> bool:
    """Whether what runs in the background brings the agent back by itself: a subagent does, a server does not."""
    kind = members.text(task, "type")
    is_agent = "agent" in kind if kind is not None else members.text(task, "agent_type") is not None
    return is_agent and members.text(task, "status") == "running"


def _subagent_stop(event: _Event) -> Sequence[Report]:
    return [_report("turn.ended", reason="completed")] if event.subagent_id is not None else ()


def _subagent_start(event: _Event) -> Sequence[Report]:
    return [_report("session.started", tool=members.text(event.payload, "agent_type"))] if event.subagent_id is not None else ()


_HANDLERS: Mapping[str, Callable[[_Event], Sequence[Report]]] = {
    "SessionStart": _session_start,
    "UserPromptSubmit": _prompt,
    "PreToolUse": _before_tool,
    "PostToolUse": _after_tool,
    "PostToolUseFailure": _after_tool,
    "PermissionRequest": _permission,
    "Notification": _notification,
    "Stop": _stop,
    "StopFailure": _stop,
    "Interrupt": lambda _: [_report("turn.ended", reason="interrupted")],
    "SessionEnd": lambda event: [_report("session.ended", reason=members.text(event.payload, "reason"))],
    "SubagentStart": _subagent_start,
    "SubagentStop": _subagent_stop,
}
