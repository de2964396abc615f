"""One report of an agent's hook, as everything here works on it: parsed, bounded, with the privacy that its backend wants."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from clawlog.protocol.addresses import is_this_machine
from clawlog.protocol.summary import clean
from clawlog.protocol.types import StepStatus
from clawlog.protocol.vocabulary import MAX_TITLE_CHARS
from clawlogd.model import WatchedProcess
from clawlogd.settings import Settings
from clawlogd.text import clean_summary, clean_text

AgentEvent = Literal["session.started", "prompt", "plan", "tool.before", "tool.after", "waiting", "turn.ended", "session.ended"]

_MAX_TOOL_CHARS = 64
_NAME = re.compile(r"[\w.:/@-]+")


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of an agent's own plan; no status leaves it as it is."""

    title: str
    status: StepStatus | None


@dataclass(frozen=True, slots=True)
class Report:
    """What one call of a hook says.

    Attributes:
        agent: The agent's name.
        session_id: The agent's own id of the session.
        task_id: The id of the session's task.
        event: What happened.
        at_ms: When the hook began, in milliseconds since 1970: reports may overtake each other.
        event_id: The id of what comes of it.
        cwd: The session's working folder.
        process: The agent's process; None where it is not known, or serves several sessions.
        prompt: What a person said: the beginning of its first line alone, credentials masked.
        plan: The agent's list of steps, whole.
        tool: The tool.
        failed: Whether the tool, or the turn, failed.
        question: What the agent asks a person.
        reason: Why a turn or a session ended.
        agent_version: The agent's version.
        subagent_id: The subagent that this is about.
    """

    agent: str
    session_id: str
    task_id: str
    event: AgentEvent
    at_ms: int
    event_id: str
    cwd: str | None = None
    process: WatchedProcess | None = None
    prompt: str | None = field(default=None, repr=False)
    plan: tuple[PlannedStep, ...] | None = field(default=None, repr=False)
    tool: str | None = None
    failed: bool = False
    question: str | None = field(default=None, repr=False)
    reason: str | None = None
    agent_version: str | None = None
    subagent_id: str | None = None

    @property
    def is_tool(self) -> bool:
        """Whether it is about a tool, and so a sign of life and no more."""
        return self.event in {"tool.before", "tool.after"}


class Wording:
    """What of an agent's words may be shown at a backend, and how.

    Args:
        settings: Those in force.
        base_url: The backend.
    """

    def __init__(self, settings: Settings, base_url: str) -> None:
        self._settings = settings
        self.is_local = is_this_machine(base_url)
        self.shares_prompts = settings.agents.share_prompts or self.is_local

    def prompt(self, report: Report) -> str | None:
        """The first line of a prompt; None where it may not be shown, or shows nothing."""
        return (report.prompt or None) if self.shares_prompts else None

    def tool(self, text: str | None) -> str | None:
        """What is shown of a tool: its name."""
        if not text:
            return None
        if self._settings.agents.share_tools:
            return clean_summary(text, self._settings.summary)[0]
        found = _NAME.search(text)
        return None if found is None else found[0][:_MAX_TOOL_CHARS]

    def question(self, report: Report) -> str:
        """What a person has to answer."""
        if report.question and self.shares_prompts:
            line, _ = clean_summary(report.question, self._settings.summary)
            if line:
                return line
        tool = self.tool(report.tool)
        return f"may it use {tool}?" if tool else "it asks a question"

    def planned(self, report: Report) -> list[PlannedStep]:
        """The agent's list, each title fit to be shown; steps that show nothing are left out."""
        cleaned = [(clean(each.title, max_chars=MAX_TITLE_CHARS)[0], each.status) for each in report.plan or ()]
        return [PlannedStep(title, status) for title, status in cleaned if title]


def title_without_prompt(project: str | None, agent: str, at_ms: int) -> str:
    """The title of a session of which no prompt may be shown: where it works, and since when."""
    at = datetime.fromtimestamp(at_ms / 1000).astimezone()
    return f"{clean_text(project or agent, MAX_TITLE_CHARS - 8)} · {at:%H:%M}"
