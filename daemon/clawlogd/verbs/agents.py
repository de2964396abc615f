"""``agent.event``: what the hooks of coding agents report, each of which makes a session a task."""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable
from typing import Annotated, get_args

import msgspec
from msgspec import Meta

from clawlog import locations
from clawlog.protocol import vocabulary
from clawlog.protocol.agents import AGENT_PATTERN, MAX_SESSION_CHARS, agent_task_id, first_line
from clawlog.protocol.ids import new_uuid
from clawlog.protocol.types import StepStatus
from clawlogd.agents.report import AgentEvent, PlannedStep, Report
from clawlogd.agents.sessions import Answer, Taken, take
from clawlogd.clock import parse_rfc3339
from clawlogd.context import CallContext
from clawlogd.errors import InvalidValue
from clawlogd.model import WatchedProcess
from clawlogd.outbox.identity import Intent
from clawlogd.services import Services
from clawlogd.text import clean_text
from clawlogd.verbs.changes import watched_process
from clawlogd.verbs.fields import EventId, Flag, Folder, Params, Pid, hint, one_of
from clawlogd.verbs.verb import Durable, Verb

_MAX_PLANNED = 1000
_TIME_HINT = "expected one such as 2026-01-02T03:04:05.678Z"
_MAX_WORD_CHARS = 100

_machine_id = functools.cache(locations.machine_id)

_Text = Annotated[str, hint("expected text")]
_SubagentId = Annotated[str, Meta(max_length=MAX_SESSION_CHARS), hint(f"expected at most {MAX_SESSION_CHARS} characters")]


class AgentStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step of an agent's own plan."""

    title: _Text
    status: StepStatus | None = None


class AgentReport(Params, frozen=True):
    """``agent.event``."""

    agent: Annotated[
        str, Meta(pattern=AGENT_PATTERN), hint("expected 1 to 64 small letters, digits or hyphens, such as claude-code")
    ]
    session_id: Annotated[
        str, Meta(min_length=1, max_length=MAX_SESSION_CHARS), hint(f"expected 1 to {MAX_SESSION_CHARS} characters")
    ]
    event: Annotated[AgentEvent, hint(one_of(get_args(AgentEvent)))]
    cwd: Folder | None = None
    pid: Pid | None = None
    resumed: Flag | None = None
    prompt: _Text | None = None
    plan: (
        Annotated[
            list[AgentStep],
            Meta(max_length=_MAX_PLANNED),
            hint(
                f"expected at most {_MAX_PLANNED} objects with title and, if known, status "
                f"({', '.join(vocabulary.STEP_STATUSES)})"
            ),
        ]
        | None
    ) = None
    tool: _Text | None = None
    failed: Flag | None = None
    question: _Text | None = None
    reason: _Text | None = None
    agent_version: _Text | None = None
    subagent_id: _SubagentId | None = None
    at: Annotated[str, hint(_TIME_HINT)] | None = None
    event_id: EventId | None = None

    @property
    def task_id(self) -> str:
        """The id of the task of this daemon's own user, as whom most agents run."""
        return own_task_id(self.agent, self.session_id)


def own_task_id(agent: str, session_id: str, uid: int | None = None) -> str:
    """The id of a session's task.

    Args:
        agent: The agent's name.
        session_id: The agent's own id of the session.
        uid: As whom the agent runs; None for this daemon's own user.
    """
    return agent_task_id(_machine_id(), os.geteuid() if uid is None else uid, agent, session_id)


def event(services: Services, params: AgentReport, context: CallContext) -> Durable | msgspec.Struct | Awaitable[Durable]:
    """Takes in what a hook reports. An agent is answered whether it may go on, and never that its task has ended."""
    taken = take(services, _report(params, context), context)
    if not isinstance(taken, Taken):
        return _later(taken)
    return Durable(taken.reply) if taken.durable else taken.answer


async def _later(take_in: Callable[[], Awaitable[Taken]]) -> Durable:
    return Durable((await take_in()).reply)


def _report(params: AgentReport, context: CallContext) -> Report:
    word = clean_text(params.reason, _MAX_WORD_CHARS) if params.reason else None
    version = clean_text(params.agent_version, _MAX_WORD_CHARS) if params.agent_version else None
    return Report(
        agent=params.agent,
        session_id=params.session_id,
        task_id=own_task_id(params.agent, params.session_id, context.peer.uid),
        event=params.event,
        at_ms=min(_at_ms(params.at, context), context.at_ms),
        event_id=params.event_id or new_uuid(),
        cwd=params.cwd,
        process=_process(params.pid, context),
        prompt=first_line(params.prompt) if params.prompt else None,
        plan=None if params.plan is None else tuple(PlannedStep(each.title, each.status) for each in params.plan),
        tool=params.tool,
        failed=bool(params.failed),
        question=params.question,
        reason=word,
        agent_version=version,
        subagent_id=params.subagent_id,
    )


def _at_ms(text: str | None, context: CallContext) -> int:
    if text is None:
        return context.at_ms
    try:
        return parse_rfc3339(text)
    except (ValueError, OverflowError):
        raise InvalidValue("at", "is not a time with an offset from UTC", _TIME_HINT) from None


def _process(pid: int | None, context: CallContext) -> WatchedProcess | None:
    """The agent's process; one that has ended, or that is not seen here, is no reason to refuse what its hook reports."""
    try:
        return watched_process(pid, context)
    except InvalidValue:
        return None


def _reports(services: Services, params: AgentReport) -> Intent:
    del services, params
    return Intent(None)


EVENT = Verb("agent.event", AgentReport, Answer, event, intent=_reports)
