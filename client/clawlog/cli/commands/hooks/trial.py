"""Runs an agent's installed hook on a made-up session, as the agent would, and looks at what arrives at the daemon."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import click

from clawlog import exits, locations
from clawlog.agents import delivery
from clawlog.agents.agent import Agent
from clawlog.agents.catalogue import AGENTS
from clawlog.cli.checks import backends
from clawlog.cli.checks.environment import Environment
from clawlog.cli.commands.hooks import moments
from clawlog.cli.commands.hooks.moments import Moment
from clawlog.cli.errors import CommandError
from clawlog.cli.render import views
from clawlog.cli.render.views import TaskView
from clawlog.cli.sources import agents
from clawlog.client import Client
from clawlog.errors import Refused
from clawlog.protocol.addresses import is_this_machine
from clawlog.protocol.agents import agent_task_id
from clawlog.protocol.summary import any_line

_HOOK_S = 5.0
_ARRIVAL_S = 10.0
_PAUSE_S = 0.05
_SHOWN_CHARS = 200
_FOREIGN = ("CLAUDE", "CODEX_", "GEMINI_", "QWEN_", "COPILOT_", "OPENCODE", "AI_AGENT", "CLAWLOG_TASK_ID")
"""Variables of an agent under which this may be running: its session is not the one that is made up here."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one call of the hook.

    Attributes:
        moment: The call.
        command: What was run, as the agent's settings name it.
        took_ms: How long the agent would have waited.
        fault: What is wrong with the hook itself; None where nothing is.
        task: The task as the daemon had it afterwards; None where it did not hear of it.
        arrived: Whether the daemon has taken it.
    """

    moment: Moment
    command: str
    took_ms: float
    fault: str | None
    task: TaskView | None
    arrived: bool

    @property
    def ok(self) -> bool:
        """Whether all went as it should."""
        return self.arrived and self.fault is None

    def line(self) -> str:
        """Returns it for people."""
        mark = "✓" if self.ok else "✗"
        return f"{mark} {self.moment.what:<20} {self.moment.event:<22} {self.took_ms:>4.0f} ms  {self.found()}"

    def found(self) -> str:
        """Returns what has arrived, or what is wrong."""
        if self.fault is not None:
            return self.fault
        if self.task is None:
            return "nothing has arrived: the daemon does not know the session"
        if not self.arrived:
            return f"nothing has arrived within {_ARRIVAL_S:.0f} s: the task is {self.task.status}, not {self.moment.status}"
        step = self.task.current_step
        return f"{self.task.status}: {step.title if step else self.task.summary or self.task.title}"

    def described(self) -> dict[str, object]:
        """Returns it for programs."""
        return {
            "what": self.moment.what,
            "event": self.moment.event,
            "command": self.command,
            "took_ms": round(self.took_ms, 1),
            "arrived": self.arrived,
            "task_status": self.task.status if self.task else None,
            "fault": self.fault,
        }


class Trial:
    """A made-up session of one agent."""

    def __init__(self, agent: Agent, env: Mapping[str, str], client: Client) -> None:
        self.title = agent.title
        self._env = {name: value for name, value in env.items() if not name.startswith(_FOREIGN)}
        self._client = client
        session_id = f"clawlog-trial-{os.urandom(6).hex()}"
        self.task_id = agent_task_id(locations.machine_id(), os.geteuid(), agent.name, session_id)
        self._moments = moments.session(agent.name, session_id, os.getcwd())
        self._commands = agents.commands_of(agent, env)

    @classmethod
    def begun(cls, name: str, env: Mapping[str, str], *, anywhere: bool) -> Self:
        """Returns the trial of an agent.

        Args:
            name: The agent's name.
            env: The environment.
            anywhere: Whether the backend may be on another machine.

        Raises:
            UsageError: The agent is unknown, or the backend is elsewhere.
            CommandError: Its hook is not installed.
            DaemonUnreachable: No daemon runs, and none could be started.
        """
        agent = AGENTS.get(name)
        if agent is None:
            raise click.UsageError(f"{name!r} is no agent that is known here; these are: {', '.join(AGENTS)}.")
        state, amiss = agents.hooks_of(agent, env)
        if state in ("missing", "unknown") or agents.missing_files(env):
            reason = f" ({amiss})" if amiss else ""
            raise CommandError(
                f"the hook of {agent.title} is not installed{reason}: clawlog install hooks {name}", exits.REFUSED
            )
        there = delivery.environment(env, agents.state_dir_of_hook(env) or locations.state_dir(env))
        client = Client(env=there)
        url = backends.default_url(Environment.of(there), views.daemon(client.daemon_status()))
        if not anywhere and not is_this_machine(url):
            client.close()
            raise click.UsageError(f"{url} is on another machine, whose people would see the trial's task: say --yes to do it.")
        return cls(agent, env, client)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def moments(self) -> Iterator[Outcome]:
        """Runs the hook for each moment of the session, and waits for what arrives."""
        former = None
        for moment in self._moments:
            command = self._commands(moment.event)
            before = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            took_ms, fault = self._run(command, moment)
            # Where the task's status stays, its newest report says whether this one has arrived.
            task, arrived = self._await(moment, before if moment.status == former else "")
            former = task.status if task is not None else None
            yield Outcome(moment, command, took_ms, fault, task, arrived)

    def _run(self, command: str, moment: Moment) -> tuple[float, str | None]:
        """Runs the hook as agents do; returns how long it took in milliseconds, and what is wrong with it."""
        began = time.monotonic()
        try:
            ran = subprocess.run(
                ["/bin/sh", "-c", command],
                input=json.dumps(moment.payload).encode(),
                env=self._env,
                capture_output=True,
                timeout=_HOOK_S,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            return 1000 * (time.monotonic() - began), f"the hook did not end within {_HOOK_S:.0f} s"
        except OSError as error:
            return 1000 * (time.monotonic() - began), f"it cannot be run: {error.strerror}"
        took_ms = 1000 * (time.monotonic() - began)
        said = any_line((ran.stdout + ran.stderr).decode("utf-8", "replace"), _SHOWN_CHARS)
        if ran.returncode or said:
            return took_ms, f"it ended with status {ran.returncode} and said: {said or 'nothing'}"
        return took_ms, None

    def _await(self, moment: Moment, began: str) -> tuple[TaskView | None, bool]:
        """Waits until the daemon has heard of a moment; returns the task, and whether it has."""
        deadline = time.monotonic() + _ARRIVAL_S
        while True:
            task = self._task()
            if task is not None and task.status == moment.status and (task.liveness.agent_seen_at or "") >= began:
                return task, True
            if time.monotonic() >= deadline:
                return task, False
            time.sleep(_PAUSE_S)

    def _task(self) -> TaskView | None:
        try:
            return views.task(self._client.get_task(self.task_id))
        except Refused as refusal:
            if refusal.name != "unknown_task":
                raise
            return None
