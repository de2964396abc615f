"""Checks the coding agents on this machine: whether they run the hook, whether it is trusted, and when they last reported."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from clawlog import agents as hooks
from clawlog.cli.checks import mcp
from clawlog.cli.checks.environment import Environment
from clawlog.cli.checks.findings import Finding, fault, ok, warning
from clawlog.cli.checks.mcp import SetUp
from clawlog.cli.render import times
from clawlog.cli.render.views import TaskView
from clawlog.cli.sources import agents, codex
from clawlog.cli.sources.agents import FoundAgent, Hooks
from clawlog.protocol.agents import SIGNS
from clawlog.protocol.summary import any_line

_LIMIT_S = 10.0
_MAX_BYTES = 64 * 1024
_MAX_VERSION_CHARS = 40
_MAX_SIGNS = 10_000
_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.+-]*")
_QUIETLY = {"DISABLE_AUTOUPDATER": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1", "COPILOT_AUTO_UPDATE": "false", "NO_COLOR": "1"}
"""Asked for their version, agents are to do nothing else."""


@dataclass(frozen=True, slots=True)
class AgentState:
    """An agent on this machine, for programs.

    Attributes:
        agent: Its name.
        title: Its name for people.
        program: Its program's path; None where it is not on PATH.
        version: What that says of its version; None where it does not.
        hooks: Whether its hooks are there.
        trusted: Whether it trusts them; None where it does not ask, or that is not known.
        last_report_at: When it last reported, in RFC 3339; None where it did not, as far as is known.
        mcp: Whether it is set up to start `clawlog mcp`.
    """

    agent: str
    title: str
    program: str | None
    version: str | None
    hooks: Hooks
    trusted: bool | None
    last_report_at: str | None
    mcp: SetUp


def reporting(environment: Environment, tasks: Sequence[TaskView]) -> tuple[list[Finding], list[AgentState]]:
    """Checks every agent that is found here.

    Args:
        environment: The user's set-up.
        tasks: The daemon's tasks, where one runs.
    """
    env = environment.variables
    found = [each for each in agents.look(env) if each.is_here]
    missing = agents.missing_files(env) if found else []
    with ThreadPoolExecutor(max_workers=4) as pool:
        versions = list(pool.map(lambda each: _version(each.program, env), found))
    findings: list[Finding] = []
    states: list[AgentState] = []
    for each, version in zip(found, versions, strict=True):
        told, amiss = agents.hooks_of(each.agent, env)
        is_trusted = codex.is_trusted(each.folder, hooks.hooks_folder(env)) if each.agent.name == "codex" else None
        last = _last_report(each.agent.name, environment.state_dir, tasks)
        program = each.program
        serves = mcp.set_up(each.agent, env)
        states.append(AgentState(each.agent.name, each.agent.title, program, version, told, is_trusted, last, serves))
        findings.append(_judged(each, states[-1], amiss, missing))
    findings += mcp.served([(each.agent, each.title, each.mcp) for each in states])
    return findings, states


def _judged(found: FoundAgent, state: AgentState, amiss: str, missing: Sequence[str]) -> Finding:
    name = f"{state.title} {state.version}" if state.version else state.title
    install = f"clawlog install hooks {state.agent}"
    if state.hooks == "missing":
        return ok("agent", f"{name}: does not report by itself (`{install}` would make it)")
    if state.hooks == "unknown":
        return warning("agent", f"{name}: whether it runs the hook cannot be told: {amiss}", "see docs/agents-and-skills.md")
    gone = [path for path in missing if not os.path.exists(path)]
    if gone:
        return fault("agent", f"{name}: its settings run a hook that is not there: {gone[0]}", install)
    if state.hooks == "outdated" or missing:
        what = amiss or f"{missing[0]} is not as this command would write it"
        return warning("agent", f"{name}: its hooks are not up to date: {what}", install)
    last = f"last report {times.duration(times.age_s(state.last_report_at))} ago" if state.last_report_at else "no report yet"
    if state.trusted is False:
        text = found.agent.note or "it has to be told to trust them"
        return warning("agent", f"{name}: hooks installed, and not trusted, as far as can be told; {last}", text)
    return ok("agent", f"{name}: hooks installed{', trusted' if state.trusted else ''}; {last}")


def _last_report(name: str, state_dir: str, tasks: Sequence[TaskView]) -> str | None:
    """Returns when an agent last reported: by the newest of its sessions' tasks, or of their signs."""
    told = [task.liveness.agent_seen_at for task in tasks if task.metadata.get("agent") == name]
    signs = _newest_sign(os.path.join(state_dir, "run", SIGNS, name))
    return max((each for each in (*told, signs) if each), default=None)


def _newest_sign(folder: str) -> str | None:
    newest = 0.0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for _, entry in zip(range(_MAX_SIGNS), entries, strict=False):
            with contextlib.suppress(OSError):
                newest = max(newest, entry.stat(follow_symlinks=False).st_mtime)
    if not newest:
        return None
    return datetime.fromtimestamp(newest, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _version(program: str | None, env: Mapping[str, str]) -> str | None:
    """Returns what a program says of its version, within a time."""
    if program is None:
        return None
    try:
        process = subprocess.Popen(
            [program, "--version"],
            env={**env, **_QUIETLY},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return None
    printed = _printed(process).decode("utf-8", "replace")
    found = _VERSION.search(printed)
    return any_line(found[0], _MAX_VERSION_CHARS) if found else None


def _printed(process: subprocess.Popen[bytes]) -> bytes:
    """Returns what a program prints, within a bound and a time; then it is ended, with all that it has started."""
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    deadline = time.monotonic() + _LIMIT_S
    printed = b""
    with process.stdout as stdout:
        while len(printed) < _MAX_BYTES and select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            chunk = os.read(stdout.fileno(), _MAX_BYTES)
            if not chunk:
                break
            printed += chunk
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return printed
