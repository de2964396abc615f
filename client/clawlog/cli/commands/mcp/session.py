"""One agent's conversation with the server: which tasks are its own, and what a call of a tool comes to.

Calls are made as the scripts make theirs (``scripting.delivery``): a daemon is started where none runs, and what cannot be
accepted now is written down for the next one. With each call goes the question whether a stop is requested, for every task of
the conversation. Nothing of the SDK is known here.

The task's evidence is the agent's process, where that stands for the session; else this one, which the agent starts for a
session and which ends with it. At the end nothing is said: of a task that was left open the daemon sees its process end.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clawlog import origin
from clawlog.agents.processes import agent_of
from clawlog.cli.commands.mcp import answers, tools
from clawlog.cli.commands.mcp.answers import Answer, Task
from clawlog.cli.commands.mcp.parameters import BadArgumentsError, CreateTask, OfTask
from clawlog.cli.commands.mcp.tools import Tool
from clawlog.connection import calls
from clawlog.connection.call import Call
from clawlog.connection.results import JsonObject, StopPhase, StopState, stop_state
from clawlog.errors import ClawlogError, DaemonUnreachable, Refused
from clawlog.protocol.errors import INVALID_PARAMS, NO_OPEN_INTERRUPT, TASK_FINISHED, UNKNOWN_TASK
from clawlog.protocol.vocabulary import ENDED_TASK_STATUSES
from clawlog.scripting import delivery, plan
from clawlog.scripting.delivery import Outcome
from clawlog.scripting.plan import PlannedRequest, UsageError

MAX_TASKS = 16
"""How many tasks of a conversation are looked after at most; the oldest is left out."""

_STOP = "stop"
_IMPLIED = "watch_pid"


@dataclass(frozen=True, slots=True)
class Agent:
    """The program on the other side, as it introduces itself.

    Attributes:
        name: Its name; None where it gives none.
        version: Its version.
    """

    name: str | None = None
    version: str | None = None


class Session:
    """A conversation. Its methods block, and are not for several threads at once.

    Args:
        env: The environment variables.
        parent_pid: The process that started this one.
    """

    def __init__(self, env: Mapping[str, str], parent_pid: int) -> None:
        self._env = env
        self._pid = agent_of(parent_pid) or os.getpid()
        self._open: dict[str, Task] = {}
        self._current: str | None = None
        self._given = tuple(task_id for task_id in (origin.own_task(env), env.get("CLAWLOG_TASK_ID")) if task_id)
        for task_id in self._given:
            self._look_after(Task(task_id))
            self._current = task_id

    @property
    def tasks(self) -> list[Task]:
        """The tasks that are looked after."""
        return list(self._open.values())

    def call(self, name: str, arguments: Mapping[str, Any], agent: Agent) -> Answer:
        """Performs a call of a tool; whatever goes wrong is an answer, too.

        Args:
            name: The tool.
            arguments: As the agent gave them.
            agent: The agent.
        """
        tool = tools.TOOLS.get(name)
        if tool is None:
            return self._checked(Answer(f"There is no tool {name!r}; there are: {', '.join(tools.TOOLS)}.", failed=True))
        try:
            return self._performed(tool, tool.parameters.read(arguments), agent)
        except (BadArgumentsError, UsageError, ClawlogError) as error:
            return self._checked(Answer(str(error), failed=True))

    def _performed(self, tool: Tool, given: Any, agent: Agent) -> Answer:
        if tool.name == tools.CREATE:
            return self._created(given, agent)
        task_id = self._task_of(given, tool)
        self._look_after(Task(task_id))
        if tool.request is None:
            answer = self._checked(Answer("", details={"task_id": task_id}))
            return replace(answer, text=answers.checked(answer))
        call = tool.request(given, task_id)
        answer = self._told(_planned(tool.name, call), tool, task_id)
        if not answer.failed:
            self._current = self._current or task_id
            if _ends_task(call):
                self._open.pop(task_id, None)
        return answer

    def _created(self, given: CreateTask, agent: Agent) -> Answer:
        values: dict[str, Any] = {"title": given.title, "step": given.steps or [], _IMPLIED: self._pid}
        if given.summary is not None:
            values["summary"] = given.summary
        if given.parent_task_id is not None:
            values["parent"] = given.parent_task_id
        values["metadata"] = self._metadata(agent)
        (request,) = plan.create_task(values, self._env)
        answer = self._told(request, tools.TOOLS[tools.CREATE], request.params["task_id"])
        if not answer.failed:
            self._current = request.params["task_id"]
            self._look_after(Task(self._current, given.title))
        return answer

    def _metadata(self, agent: Agent) -> dict[str, str]:
        known = origin.agent(self._env)
        pairs = {} if known or not agent.name else {"agent": agent.name}
        return {**pairs, "agent_version": agent.version} if agent.version else pairs

    def _task_of(self, given: OfTask, tool: Tool) -> str:
        """The task that a call is about.

        Raises:
            BadArgumentsError: It names none, and there is none.
        """
        if given.task_id:
            return given.task_id
        if tool.name == tools.ACKNOWLEDGE and self._current not in (asked := [task.task_id for task, _ in self._stops().stops]):
            if len(asked) == 1:
                return asked[0]
            if asked:
                raise BadArgumentsError(f"Nothing was done: several tasks are asked to stop; say which: {', '.join(asked)}.")
        if self._current is None:
            raise BadArgumentsError("Nothing was done: there is no task yet. Call create_task first, or give task_id.")
        return self._current

    def _look_after(self, task: Task) -> None:
        self._open[task.task_id] = task if task.title else self._open.pop(task.task_id, task)
        while len(self._open) > MAX_TASKS:
            self._open.pop(next(iter(self._open)))

    # ── Requests ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _told(self, request: PlannedRequest, tool: Tool, task_id: str) -> Answer:
        """Makes one request, and asks for stops with it."""
        outcome, answer = self._delivered(request)
        if isinstance(outcome.error, Refused) and _is_for(outcome.error, _IMPLIED):  # no process that the daemon can see
            params = {name: value for name, value in request.params.items() if name != _IMPLIED}
            outcome, answer = self._delivered(PlannedRequest(request.action, request.method, params))
        if outcome.error is not None:
            return replace(answer, text=_failure(outcome.error), failed=True, details={"task_id": task_id})
        result = outcome.result or {}
        details = {"task_id": task_id, **{name: result[name] for name in ("title", "url", "steps", "step") if result.get(name)}}
        text = " ".join([tool.says, *_details(result)])
        return replace(answer, text=text, details=details)

    def _delivered(self, request: PlannedRequest) -> tuple[Outcome, Answer]:
        outcomes, answer = self._asked([request])
        return outcomes[0], answer

    def _checked(self, answer: Answer) -> Answer:
        """The answer with what is known of stops."""
        try:
            stops = self._stops()
        except ClawlogError:
            return replace(answer, unknown=self.tasks)
        return replace(answer, stops=stops.stops, unknown=stops.unknown, warnings=(*answer.warnings, *stops.warnings))

    def _stops(self) -> Answer:
        return self._asked([])[1]

    def _asked(self, requests: Sequence[PlannedRequest]) -> tuple[Sequence[Outcome], Answer]:
        """Makes requests, and asks behind them whether a stop is requested of any task of the conversation."""
        asked = self.tasks
        checks = [_planned(_STOP, calls.check_interrupt(task.task_id)) for task in asked]
        if not requests and not checks:
            return (), Answer("")
        delivered = delivery.deliver([*requests, *checks], self._env)
        outcomes = delivered.outcomes[len(requests) :]
        stops: list[tuple[Task, StopState]] = []
        unknown: list[Task] = []
        for task, outcome in zip(asked, outcomes, strict=True):
            stop = StopState(StopPhase.UNKNOWN) if outcome.result is None else stop_state(outcome.result)
            if isinstance(outcome.error, Refused) and outcome.error.code in (UNKNOWN_TASK, INVALID_PARAMS):  # there is none
                if task.task_id not in self._given:  # else it may come to be: with the first report of the agent's hook
                    self._open.pop(task.task_id, None)
                continue
            if stop.interrupt_requested:
                stops.append((task, stop))
            elif stop.state is StopPhase.UNKNOWN:
                unknown.append(task)
        return delivered.outcomes, Answer("", warnings=delivered.warnings, stops=stops, unknown=unknown)


def _planned(action: str, call: Call[Any]) -> PlannedRequest:
    return PlannedRequest(action, call.method, dict(call.params), call.may_take_s)


def _ends_task(call: Call[Any]) -> bool:
    return call.method == "interrupt.ack" or (call.method == "task.update" and call.params["status"] in ENDED_TASK_STATUSES)


def _is_for(error: Refused, field: str) -> bool:
    return error.code == INVALID_PARAMS and error.data.get("field") == field


def _details(result: JsonObject) -> list[str]:
    """What an agent should know of a result, in words."""
    lines = []
    if result.get("url"):
        lines.append(f"Its page: {result['url']}.")
    if steps := result.get("steps"):
        lines.append("Steps: " + "; ".join(f"{each['position']}. {each['title']} ({each['status']})" for each in steps) + ".")
    if result.get("summary_truncated"):
        lines.append("The line was too long and is cut.")
    return lines


def _failure(error: ClawlogError) -> str:
    """Why a call failed, and what to do."""
    code = error.code if isinstance(error, Refused) else None
    if code == UNKNOWN_TASK:
        return f"Nothing was done: {error}. Call create_task first, or give the task_id that it returned."
    if code == TASK_FINISHED:
        return f"Nothing was done: {error}. To go on with it, call update_task with status running first."
    if code == NO_OPEN_INTERRUPT:
        return f"Nothing was done: {error}. With the tools here: check_stop and update_task."
    if code is not None:
        return f"Nothing was done: {error}"
    again = "; reporting works again when the daemon does" if isinstance(error, DaemonUnreachable) else ""
    return f"Not reported: {error}. Go on with your work{again}."
