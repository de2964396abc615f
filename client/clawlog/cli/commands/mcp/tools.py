"""The tools: few, each with the words by which a model learns when to use it, and the request that a call of it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clawlog.cli.commands.mcp import parameters as given
from clawlog.connection import calls
from clawlog.connection.call import Call
from clawlog.connection.values import PlannedStep, Progress

INSTRUCTIONS = (
    "With these tools a person can follow your work and stop it. Use them for work of several steps or more than a minute: "
    "create_task with the steps first, update_step when each begins and ends, update_task at the end. Every answer says "
    "whether a person asks you to stop: then stop at the next safe boundary, call acknowledge_stop, and end your turn. Where "
    "a call fails, go on with your work."
)


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool.

    Attributes:
        name: What an agent calls it.
        title: Its name for people.
        description: When to use it, for the model.
        parameters: What it takes.
        request: Makes the daemon's call, of the arguments and the task's id; None where there is none, or it is made elsewhere.
        says: What the answer begins with, where the daemon has accepted the call.
        only_reads: Whether it changes nothing.
    """

    name: str
    title: str
    description: str
    parameters: type[given.Parameters]
    request: Callable[[Any, str], Call[Any]] | None
    says: str
    only_reads: bool = False


CREATE, CHECK, ACKNOWLEDGE = "create_task", "check_stop", "acknowledge_stop"


def _progress(counted: given.Counted) -> Progress | None:
    return None if counted.done is None else Progress(counted.done, counted.total, counted.unit)


def _set_plan(plan: given.SetPlan, task_id: str) -> Call[Any]:
    return calls.plan_task(task_id, [PlannedStep(each.title, each.status, each.step_id) for each in plan.steps])


def _update_step(step: given.UpdateStep, task_id: str) -> Call[Any]:
    return calls.update_step(task_id, step.step, step.status, summary=step.summary, progress=_progress(step))


def _heartbeat(beat: given.Heartbeat, task_id: str) -> Call[Any]:
    return calls.heartbeat(task_id, summary=beat.summary, progress=_progress(beat))


_TOOLS = (
    Tool(
        CREATE,
        "Create a task",
        "Begin a task that a person can follow and stop. Call it once, before work of several steps or more than a minute. "
        "Returns its task_id, its steps and its page.",
        given.CreateTask,
        None,
        "The task is created. Report each step with update_step as it begins and ends, and the end with update_task.",
    ),
    Tool(
        "set_plan",
        "Change the plan",
        "Replace the task's steps by this list, when the plan has changed. Steps are known by their titles; give all of them.",
        given.SetPlan,
        _set_plan,
        "The plan is changed.",
    ),
    Tool(
        "update_step",
        "Report a step",
        "Report that a step begins, or how it ended, with one line about it and, if you count something, how far it is.",
        given.UpdateStep,
        _update_step,
        "The step is reported.",
    ),
    Tool(
        "heartbeat",
        "Say what is being done",
        "During long work within a step: say in one line what you do now, and how far it is. Nothing is kept of it for later.",
        given.Heartbeat,
        _heartbeat,
        "That is shown.",
    ),
    Tool(
        "wait_for_person",
        "Wait for a person",
        "Say that you can't go on before a person answers. Ask the same question in your reply and end your turn; your next "
        "report of a step or of the task ends the wait.",
        given.WaitForPerson,
        lambda wait, task_id: calls.update_task(task_id, "waiting", summary=wait.question),
        "The task is shown as waiting. Ask the person in your reply, and end your turn.",
    ),
    Tool(
        "add_link",
        "Add a link",
        "Put something to look at beside the task: a pull request, a log, a report.",
        given.AddLink,
        lambda link, task_id: calls.link_task(task_id, link.url, name=link.name),
        "The link is added.",
    ),
    Tool(
        "update_task",
        "End the task",
        "Report the end of the whole task: done or failed, with the result in one line. With running it goes on.",
        given.UpdateTask,
        lambda task, task_id: calls.update_task(task_id, task.status, summary=task.summary),
        "The task's status is reported.",
    ),
    Tool(
        CHECK,
        "Check for a stop",
        "Ask whether a person wants you to stop. Call it at each safe boundary of long work where you have nothing else to "
        "report.",
        given.OfTask,
        None,
        "",
        only_reads=True,
    ),
    Tool(
        ACKNOWLEDGE,
        "Acknowledge a stop",
        "After a stop was requested: say that you have stopped, and where. Then end your turn.",
        given.AcknowledgeStop,
        lambda ack, task_id: calls.ack_interrupt(task_id, summary=ack.summary),
        "The stop is acknowledged; the task counts as interrupted. End your turn now, and tell the person where you stopped.",
    ),
)

TOOLS: Mapping[str, Tool] = {tool.name: tool for tool in _TOOLS}
"""All tools by name, in the order in which they are listed."""
