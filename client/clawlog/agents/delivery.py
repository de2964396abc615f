"""Sends an agent's report to the daemon, or keeps it for the next one."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from clawlog import locations, origin, spool
from clawlog.agents.agent import PlannedStep, Report
from clawlog.client import Client
from clawlog.connection import calls
from clawlog.connection.call import Call
from clawlog.connection.results import AgentAnswer
from clawlog.errors import ClawlogError, DaemonUnreachable, ProtocolViolation, Refused
from clawlog.protocol import agents, errors, summary, vocabulary

_TIMEOUT_S = 3.0
_OF_TOOLS = ("tool.before", "tool.after")
_MAX_QUESTION_CHARS = 200
_MAX_WORD_CHARS = 100
_MAX_PLAN_BYTES = 48 * 1024


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends what one call of the hook reports.

    Attributes:
        agent: The agent's name.
        state_dir: The daemon's state folder.
        env: The hook's environment.
        pid: The agent's process; None where it is not known, or serves several sessions.
        at: When the hook began, in seconds since 1970.
    """

    agent: str
    state_dir: str
    env: Mapping[str, str]
    pid: int | None
    at: float

    def send(self, report: Report, *, is_held: bool = False) -> None:
        """Sends a report.

        A tool's event is a sign of life, true at its time: it is not kept for later, unless a tool was held back. Where it
        could not be sent, the session's file of signs is made here, so that the next ones cost nothing: a daemon that starts
        drops it.

        Args:
            report: What happened.
            is_held: Whether a tool was held back.
        """
        call = self.call(report)
        env = environment(self.env, self.state_dir)
        try:
            with Client(env=env, timeout_s=_TIMEOUT_S, warn=lambda _: None) as client:
                client.perform(call)
        except Refused as refusal:
            if refusal.code not in errors.NOT_NOW:
                return
        except (DaemonUnreachable, ProtocolViolation):
            pass
        else:
            return
        if report.event in _OF_TOOLS and not is_held:
            self._make_signs(call.params["session_id"])
        else:
            with contextlib.suppress(ClawlogError):
                spool.keep([(call.method, call.params)], env)

    def call(self, report: Report) -> Call[AgentAnswer]:
        """Returns a report as a call: of texts one line, of a prompt the beginning of its first one, and never more."""
        return calls.agent_event(
            self.agent,
            _session_id(report.session_id),
            report.event,
            at=datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            cwd=_folder(report.cwd) or _folder(origin.folder()),
            pid=self.pid,
            resumed=report.resumed,
            prompt=report.prompt,
            plan=None if report.plan is None else _plan(report.plan),
            tool=_word(report.tool),
            failed=report.failed,
            question=_line(report.question, _MAX_QUESTION_CHARS),
            reason=_word(report.reason),
            agent_version=_word(report.agent_version),
            subagent_id=_word(report.subagent_id),
        )

    def _make_signs(self, session_id: str) -> None:
        folder = self.state_dir
        with contextlib.suppress(OSError, locations.Unfit):
            locations.private_folder(folder)
            for name in ("run", agents.SIGNS, self.agent):
                folder = os.path.join(folder, name)
                locations.private_folder(folder)
            os.close(locations.open_own_file(os.path.join(folder, agents.session_file(session_id)), os.O_WRONLY))


def environment(env: Mapping[str, str], state_dir: str) -> Mapping[str, str]:
    """Returns the environment in which the daemon of a state folder is found, also where an agent has cleared its own."""
    try:
        if os.path.abspath(locations.state_dir(env)) == os.path.abspath(state_dir):
            return env
    except locations.Unfit:
        pass
    return {**env, "CLAWLOG_STATE_DIR": state_dir}


def _session_id(text: str) -> str:
    """The session's id; in place of one that cannot be sent, the name of its files."""
    is_text = len(text) <= agents.MAX_SESSION_CHARS and not any("\ud800" <= each <= "\udfff" for each in text)
    return text if is_text else agents.session_file(text)


def _folder(path: str | None) -> str | None:
    return path if path is not None and path.startswith("/") and len(path) <= vocabulary.MAX_PATH_CHARS else None


def _plan(steps: Sequence[PlannedStep]) -> list[calls.PlannedStep]:
    """A plan that fits into one message: what is beyond is left out."""
    plan = []
    size = 0
    for step in steps:
        title = _line(step.title, vocabulary.MAX_TITLE_CHARS)
        if title is None:
            continue
        size += len(json.dumps(title)) + 40
        if size > _MAX_PLAN_BYTES:
            break
        plan.append(calls.PlannedStep(title, step.status))
    return plan


def _line(text: str | None, max_chars: int) -> str | None:
    # Cut before it is cleaned, too: it may be of any length.
    return None if text is None else summary.clean(text[: 20 * max_chars], max_chars=max_chars)[0] or None


def _word(text: str | None) -> str | None:
    return None if text is None else summary.any_line(text, _MAX_WORD_CHARS) or None
