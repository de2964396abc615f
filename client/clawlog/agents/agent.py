"""What this project knows of a coding agent: an agent is one module with one value of this class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from clawlog.agents.installation import Change
from clawlog.protocol.types import StepStatus

AgentEventName = Literal[
    "session.started", "prompt", "plan", "tool.before", "tool.after", "waiting", "turn.ended", "session.ended"
]


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of an agent's own plan, as ``task.plan`` takes it."""

    title: str
    status: StepStatus


@dataclass(frozen=True, slots=True)
class StepChange:
    """What an agent says of one step of its plan, where it never says the whole; the hook keeps the list.

    Attributes:
        key: The agent's own id of the step.
        title: Its title; None leaves it as it is.
        status: Its status, as ``task.plan`` takes it; None leaves it as it is.
        is_removed: Whether the step leaves the plan.
    """

    key: str
    title: str | None = None
    status: StepStatus | None = None
    is_removed: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What one call of an agent's hook says, in the words of ``agent.event``; None where the agent does not say it.

    Attributes:
        event: What happened.
        session_id: The agent's own id of the session.
        cwd: The session's working folder.
        resumed: Whether an earlier session goes on.
        prompt: What a person said, whole; who sends it cuts it to its first line.
        plan: The agent's list of steps, whole.
        step: One step of it, in place of the whole; what is sent is the whole.
        tool: The tool's name, never its input; of a subagent that begins, its kind.
        failed: Whether the tool, or the turn, failed.
        question: What the agent asks a person.
        reason: Why a turn or a session ended, in one word: ``completed``, ``interrupted``, or the agent's own.
        agent_version: The agent's version.
        subagent_id: The subagent that this is about.
    """

    event: AgentEventName
    session_id: str
    cwd: str | None = None
    resumed: bool | None = None
    prompt: str | None = None
    plan: tuple[PlannedStep, ...] | None = None
    step: StepChange | None = None
    tool: str | None = None
    failed: bool | None = None
    question: str | None = None
    reason: str | None = None
    agent_version: str | None = None
    subagent_id: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where hooks are to be installed.

    Attributes:
        env: The environment.
        hooks: The folder of the hook, see ``clawlog.agents.hooks_folder``.
        project: The project's root where only that one is meant; None for all of the user's sessions.
        with_plans: Whether the agent's plan tool is to be turned on where it is off.
        opened: A folder that the agent's own sandbox is to let its commands write to; None for none.
    """

    env: Mapping[str, str]
    hooks: str
    project: str | None = None
    with_plans: bool = False
    opened: str | None = None


@dataclass(frozen=True, slots=True)
class McpServer:
    """The server of the Model Context Protocol that agents are to start.

    Attributes:
        env: The environment.
        program: Its program, by a whole path.
        arguments: The program's arguments.
        variables: What of the environment it needs, for agents that do not hand theirs on.
        project: As of ``Place``.
        is_allowed: Whether the agent is to let its model use the tools without asking a person each time.
    """

    env: Mapping[str, str]
    program: str
    arguments: tuple[str, ...]
    variables: Mapping[str, str]
    project: str | None = None
    is_allowed: bool = False


@dataclass(frozen=True, slots=True)
class Agent:
    """One coding agent.

    Attributes:
        name: Its name on the wire, such as ``claude-code``.
        title: Its name for people, such as ``Claude Code``.
        programs: What its program is called on PATH.
        folder: Returns where its settings are; that the folder is there means that the agent was used here.
        changes: Returns what its settings need. Raises ``NotOffered`` where the agent has no such place (``--project``).
        mcp: Returns what its settings need to start a server of the Model Context Protocol. Raises as ``changes``.
        read: Returns what one call of its hook says: the native event's name, its payload, the hook's environment.
        note: What a person must do once after the installation, if anything, such as Codex's trust question.
    """

    name: str
    title: str
    programs: tuple[str, ...]
    folder: Callable[[Mapping[str, str]], str]
    changes: Callable[[Place], Sequence[Change]]
    mcp: Callable[[McpServer], Sequence[Change]]
    read: Callable[[str, Mapping[str, Any], Mapping[str, str]], Sequence[Report]]
    note: str | None = None


class NotOffered(Exception):  # noqa: N818 - names what is the case
    """The agent has no place for what is wanted; the text says which."""
