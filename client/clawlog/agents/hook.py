"""The rarer part of the hook: what the shell script ``files/hook`` starts in the background to report an event.

Nobody waits for it and nobody reads what it says, so it says nothing: whatever goes wrong, the agent goes on. It reads the
event from stdin (and from descriptor 4, where the script has read but its beginning), and sends ``agent.event`` as every other
client does: a daemon is started where none runs, and what may wait is spooled.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from clawlog.agents import processes
from clawlog.agents.agent import Agent, Report
from clawlog.protocol import agents

Mode = Literal["plain", "held", "signed"]
"""``held``: the script has answered the agent with a stop; ``signed``: it has left a sign of the tool's event already."""

_LIFETIME_S = 60
_STDIN_S = 2.0
_MAX_BYTES = 4 * 1024 * 1024
_HEAD_CHARS = 64 * 1024
_REST = 4
"""The descriptor of the hook's own stdin, where the script has taken the payload's beginning off it."""

_CLOCKS_AGREE_S = 60.0
_TEXT = r'"((?:[^"\\]|\\.)*)"'
_HEAD = re.compile(
    r'"(session_id|sessionId|conversation_id|cwd|tool_name|toolName|agent_id|agentId|parent_agent_id|parentAgentId)"\s*:\s*'
    + _TEXT
)
_PROMPT_TOOL = "prompt"


@dataclass(frozen=True, slots=True)
class Context:
    """One call of the hook.

    Attributes:
        agent: The agent's name.
        event: The event, as the agent calls it.
        state_dir: The daemon's state folder.
        pid: The agent's process; None where it is not known, or serves several sessions.
        mode: What the script has done.
        at: When the hook began, in seconds since 1970.
        env: The hook's environment.
    """

    agent: str
    event: str
    state_dir: str
    pid: int | None
    mode: Mode
    at: float
    env: Mapping[str, str]


def main(arguments: Sequence[str]) -> None:
    """Reports one event: ``AGENT EVENT STATE PID MODE``."""
    with contextlib.suppress(Exception):
        _leave_terminal()
        signal.alarm(_LIFETIME_S)
        context = _context(arguments)
        payload = parse(_read_input())
        if payload.get("held") is True:  # a plugin's word, which looks for the hold by itself
            context = replace(context, mode="held")
        if (agent := _agent(context.agent)) is not None:
            _send(context, payload, agent)


def _leave_terminal() -> None:
    """Leaves the agent's terminal, whose signals are not for this process, and which the script has had ignored until now."""
    with contextlib.suppress(OSError):
        os.setsid()
    for each in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(each, signal.SIG_DFL)  # a daemon that is started from here inherits what is ignored


def session_file(arguments: Sequence[str]) -> None:
    """Prints the name of the session's files, for an id that cannot be a file's name; the payload is on stdin."""
    with contextlib.suppress(Exception):
        payload = parse(_read_input())
        agent = _agent(arguments[0])
        reports = () if agent is None else agent.read(arguments[1], payload, os.environ)
        session_id = reports[0].session_id if reports else payload.get("session_id")
        if isinstance(session_id, str) and session_id:
            sys.stdout.write(agents.session_file(session_id))


def parse(content: bytes) -> Mapping[str, Any]:
    """Returns an event's payload; of one that is no whole JSON, what its beginning says."""
    text = content.decode("utf-8", "replace")
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        found: dict[str, Any] = {}
        for match in _HEAD.finditer(text[:_HEAD_CHARS]):
            with contextlib.suppress(ValueError):
                found.setdefault(match[1], json.loads(f'"{match[2]}"'))
        return found
    return payload if isinstance(payload, dict) else {}


def reports(context: Context, payload: Mapping[str, Any], agent: Agent) -> list[Report]:
    """Returns what is to be sent of one call."""
    if context.mode == "held":
        return _held(context, payload, agent)
    said = agent.read(context.event, payload, context.env)
    if context.mode == "signed":
        return [each for each in said if each.event not in ("tool.before", "tool.after")]
    return list(said)


def _send(context: Context, payload: Mapping[str, Any], agent: Agent) -> None:
    said = reports(context, payload, agent)
    if not said:
        return
    from clawlog.agents import delivery, session_plan  # noqa: PLC0415 - most of what is loaded, and often there is nothing to say

    at = _told_time(payload, context.at)
    sender = delivery.Sender(context.agent, context.state_dir, context.env, context.pid, at)
    for report in said:
        if report.step is None:
            sender.send(report, is_held=context.mode == "held")
            continue
        with session_plan.changed(context.state_dir, context.agent, report.session_id, report.step, at) as plan:
            if plan is not None:
                sender.send(replace(report, plan=plan))
    if any(report.event == "session.ended" for report in said):
        session_plan.forget(context.state_dir, context.agent, said[0].session_id)


def _held(context: Context, payload: Mapping[str, Any], agent: Agent) -> list[Report]:
    """A tool that was held back, or a prompt of the agent to itself: to the daemon both are a tool that wanted to run."""
    said = [each for each in agent.read(context.event, payload, context.env) if each.event == "tool.before"]
    if said:
        return said[:1]
    session_id = next((payload[name] for name in ("session_id", "conversation_id") if isinstance(payload.get(name), str)), None)
    return [] if session_id is None else [Report("tool.before", session_id, tool=_PROMPT_TOOL)]


def _agent(name: str) -> Agent | None:
    """Loads one agent's module alone."""
    if name not in agents.AGENTS:
        return _unnamed(name)
    found: Agent = importlib.import_module(f"clawlog.agents.{name.replace('-', '_')}").AGENT
    return found


def _unnamed(name: str) -> Agent:
    """An agent that is not known by name: whoever wrote the hook into its settings says that it reports as Claude Code does."""
    from clawlog.agents.events import Dialect, reader  # noqa: PLC0415 - for these alone

    return Agent(
        name=name, title=name, programs=(), folder=lambda _: "", changes=lambda _: (), mcp=lambda _: (), read=reader(Dialect())
    )


def _context(arguments: Sequence[str]) -> Context:
    agent, event, state_dir, pid, mode = arguments
    began = processes.started_at()
    known = os.environ.get({"claude-code": "CLAUDE_PID", "opencode": "OPENCODE_PID"}.get(agent, ""), "") or pid
    return Context(
        agent=agent,
        event=event,
        state_dir=state_dir,
        pid=processes.agent_of(int(known)) if known.isascii() and known.isdecimal() else None,
        mode="held" if mode == "held" else "signed" if mode == "signed" else "plain",
        at=began,
        env=os.environ,
    )


def _read_input() -> bytes:
    deadline = time.monotonic() + _STDIN_S
    content = _read(0, _MAX_BYTES, deadline)
    if not content.rstrip().endswith(b"}"):
        content += _read(_REST, _MAX_BYTES - len(content), deadline)
    return content


def _read(descriptor: int, max_bytes: int, deadline: float) -> bytes:
    """Reads to the end, within a bound and a time; what is beyond the bound is read, too, so that its writer succeeds."""
    chunks: list[bytes] = []
    length = 0
    with contextlib.suppress(OSError, ValueError):
        while select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            chunk = os.read(descriptor, 1 << 20)
            if not chunk:
                break
            if length < max_bytes:
                chunks.append(chunk[: max_bytes - length])
            length += len(chunk)
            if chunk.rstrip().endswith(b"}") and not select.select([descriptor], [], [], 0)[0] and _is_whole(b"".join(chunks)):
                break  # an agent may keep it open
    return b"".join(chunks)


def _is_whole(content: bytes) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True


def _told_time(payload: Mapping[str, Any], began: float) -> float:
    """Returns when it happened: by the agent's own word where that is near to when the hook began, else that."""
    told = payload.get("timestamp", payload.get("at"))
    at = began
    with contextlib.suppress(ValueError, OverflowError):
        if isinstance(told, str) and len(told) <= 40:
            at = datetime.fromisoformat(told).timestamp()
        elif isinstance(told, int | float) and not isinstance(told, bool):
            at = told / 1000
    return at if abs(at - began) <= _CLOCKS_AGREE_S else began
