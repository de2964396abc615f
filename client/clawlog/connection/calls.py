"""The verbs of the daemon: one function for each makes a ``Call``.

Limits are not checked here: the daemon does, with better messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clawlog.connection import results
from clawlog.connection.call import Call
from clawlog.connection.results import (
    Accepted,
    AddedStep,
    AgentAnswer,
    Beat,
    CreatedTask,
    Flushed,
    JsonObject,
    Planned,
    StopState,
)
from clawlog.protocol.agents import first_line
from clawlog.protocol.ids import new_uuid
from clawlog.protocol.types import ReportedTaskStatus, StepStatus

_DOCUMENT_S = 40.0  # the daemon looks in up to four places for a backend's document, for 10 s in each
_TRIAL_S = 30.0  # a trial's own default
_END_S = 5.0  # for the end of its task

Step = str | int
"""A step's id, its position from 1, or its exact title."""


@dataclass(frozen=True, slots=True)
class NewStep:
    """A step with an id that the caller chose."""

    title: str
    step_id: str


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of a changed plan.

    Attributes:
        title: What it does. A step with an id that is known, and another title, is renamed.
        status: Its status; None leaves it as it is, ``pending`` for a new one.
        step_id: Its id; None recognises it by its title.
    """

    title: str
    status: StepStatus | None = None
    step_id: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something has come.

    Attributes:
        done: How many are done, finite and at least 0.
        total: How many there are, where that is known.
        unit: Of what, such as ``files``, at most 20 characters.
    """

    done: float
    total: float | None = None
    unit: str | None = None


def create_task(
    title: str,
    steps: Sequence[str | NewStep] = (),
    *,
    task_id: str | None = None,
    base_url: str | None = None,
    summary: str | None = None,
    watch_pid: int | None = None,
    lease_s: float | None = None,
    metadata: Mapping[str, str] | None = None,
    event_id: str | None = None,
    cwd: str | None = None,
    parent_task_id: str | None = None,
    parent_implied: bool | None = None,
    implied: frozenset[str] = frozenset(),
) -> Call[CreatedTask]:
    """Creates a task with its steps.

    Args:
        title: What the task does, 1 to 200 characters.
        steps: Titles in order, at most 200; ``NewStep`` where the id matters.
        task_id: An id of your own; by default a new one is made here, so that a repetition names the same task.
        base_url: The ClawLog backend; by default the daemon's setting.
        summary: One line about it.
        watch_pid: The process that shows whether the agent is alive.
        lease_s: How long one command counts as a sign of life, 5 to 3,600 s.
        metadata: At most 20 pairs of your own.
        event_id: A UUID, when this repeats an earlier call.
        cwd: The agent's working folder, of which the daemon learns the project and the branch.
        parent_task_id: The task that this one is a part of.
        parent_implied: Whether nobody chose the parent, so that the daemon leaves it out where it does not fit: it has ended,
            is unknown there, or has another backend.
        implied: Names of those of these parameters that nobody asked for.
    """
    return Call(
        "task.create",
        _present(
            title=title,
            steps=[each if isinstance(each, str) else {"title": each.title, "step_id": each.step_id} for each in steps],
            task_id=task_id or new_uuid(),
            event_id=event_id or new_uuid(),
            base_url=base_url,
            summary=summary,
            watch_pid=watch_pid,
            lease_s=lease_s,
            metadata=None if metadata is None else dict(metadata),
            cwd=cwd,
            parent_task_id=parent_task_id,
            parent_implied=parent_implied,
        ),
        results.created_task,
        implied=implied,
    )


def update_task(
    task_id: str, status: ReportedTaskStatus, *, summary: str | None = None, event_id: str | None = None
) -> Call[Accepted]:
    """Reports the status of a whole task; ``running`` reopens one that had ended.

    ``waiting`` is for a person, with the question as its summary; the next report of the agent makes it ``running`` again.
    """
    params = _present(task_id=task_id, status=status, summary=summary, event_id=event_id or new_uuid())
    return Call("task.update", params, results.accepted)


def plan_task(task_id: str, steps: Sequence[str | NewStep | PlannedStep], *, event_id: str | None = None) -> Call[Planned]:
    """Makes these steps the task's plan, whole and in this order.

    A step is recognised by its id, else by its exact title; new ones are added. One that had not ended and is missing from the
    list is kept as ``skipped``.

    Args:
        task_id: The task.
        steps: Titles, or steps with an id or a status; at most 200, ended ones included.
        event_id: A UUID, when this repeats an earlier call.
    """
    params = _present(task_id=task_id, steps=[_planned(each) for each in steps], event_id=event_id or new_uuid())
    return Call("task.plan", params, results.planned)


def add_step(
    task_id: str, title: str, *, step_id: str | None = None, after: Step | None = None, event_id: str | None = None
) -> Call[AddedStep]:
    """Adds one step.

    Args:
        task_id: The task.
        title: What it does, 1 to 200 characters.
        step_id: An id of your own; by default a new one is made here, so that a repetition names the same step.
        after: The step that it follows; by default the last one.
        event_id: A UUID, when this repeats an earlier call.
    """
    step_id, event_id = step_id or new_uuid(), event_id or new_uuid()
    params = _present(task_id=task_id, title=title, step_id=step_id, after=after, event_id=event_id)
    return Call("step.add", params, results.added_step)


def annotate_task(task_id: str, metadata: Mapping[str, str | None], *, event_id: str | None = None) -> Call[Accepted]:
    """Changes some of a task's metadata; None removes a pair, and those that are not named stay."""
    params = dict(_present(task_id=task_id, event_id=event_id or new_uuid()))
    return Call("task.annotate", {**params, "metadata": _sound(dict(metadata))}, results.accepted)


def link_task(task_id: str, url: str, *, name: str | None = None, event_id: str | None = None) -> Call[Accepted]:
    """Adds something to look at beside the task: a pull request, a log, a trace.

    Args:
        task_id: The task.
        url: Its address, http or https, without credentials, at most 2,000 characters. One that is there gets the new name.
        name: What it is called, at most 100 characters.
        event_id: A UUID, when this repeats an earlier call.
    """
    params = _present(task_id=task_id, url=url, name=name, event_id=event_id or new_uuid())
    return Call("task.link", params, results.accepted)


def get_task(task_id: str) -> Call[JsonObject]:
    """Asks for one task: its status, steps, liveness, stop and pending events."""
    return Call("task.get", _present(task_id=task_id), results.raw)


def list_tasks(*, active: bool | None = None) -> Call[JsonObject]:
    """Asks for all tasks that the daemon knows, or those that have not ended (``active``)."""
    return Call("task.list", _present(active=active), results.raw)


def update_step(
    task_id: str,
    step: Step,
    status: StepStatus,
    *,
    summary: str | None = None,
    event_id: str | None = None,
    progress: Progress | None = None,
) -> Call[Accepted]:
    """Reports the status of a step, and how far it has come."""
    event_id = event_id or new_uuid()
    params = _present(
        task_id=task_id, step=step, status=status, summary=summary, event_id=event_id, progress=_counted(progress)
    )
    return Call("step.update", params, results.accepted)


def heartbeat(
    task_id: str,
    *,
    summary: str | None = None,
    lease_s: float | None = None,
    watch_pid: int | None = None,
    progress: Progress | None = None,
) -> Call[Beat]:
    """Sends a sign of life: the agent counts as alive for ``lease_s`` from now, or while ``watch_pid`` runs.

    The summary and the progress are those of the next beat: only the latest is true, and none is kept through an outage.
    """
    params = _present(task_id=task_id, summary=summary, lease_s=lease_s, watch_pid=watch_pid, progress=_counted(progress))
    return Call("task.heartbeat", params, results.beat)


def check_interrupt(task_id: str, *, max_age_s: float | None = None, wait_s: float | None = None) -> Call[StopState]:
    """Asks whether a stop is requested.

    Args:
        task_id: The task.
        max_age_s: How old the daemon's knowledge may be before it asks the backend anew (its default: 5 s).
        wait_s: How long the daemon waits for a stop before it replies that none is requested, at most 300 s.
    """
    params = _present(task_id=task_id, max_age_s=max_age_s, wait_s=wait_s)
    return Call("interrupt.check", params, results.stop_state, may_take_s=wait_s or 0.0)


def watch_interrupt(task_id: str) -> Call[StopState]:
    """Subscribes to every change of a stop; the client's own ``watch_interrupt`` reads them."""
    return Call("interrupt.watch", _present(task_id=task_id), results.stop_state)


def ack_interrupt(
    task_id: str, *, interrupt_id: str | None = None, summary: str | None = None, event_id: str | None = None
) -> Call[Accepted]:
    """Acknowledges that the task stopped at a safe boundary; by default the newest request."""
    params = _present(task_id=task_id, interrupt_id=interrupt_id, summary=summary, event_id=event_id or new_uuid())
    return Call("interrupt.ack", params, results.accepted)


def agent_event(
    agent: str,
    session_id: str,
    event: str,
    *,
    cwd: str | None = None,
    pid: int | None = None,
    resumed: bool | None = None,
    prompt: str | None = None,
    plan: Sequence[str | NewStep | PlannedStep] | None = None,
    tool: str | None = None,
    failed: bool | None = None,
    question: str | None = None,
    reason: str | None = None,
    agent_version: str | None = None,
    subagent_id: str | None = None,
    at: str | None = None,
    event_id: str | None = None,
) -> Call[AgentAnswer]:
    """Reports on a session of a coding agent, which is a task; its first report creates it.

    Args:
        agent: The agent's name, such as ``claude-code``: small letters, digits and hyphens, at most 64.
        session_id: The agent's own id of the session; the same after a resume.
        event: One of ``clawlog.protocol.agents.AGENT_EVENTS``.
        cwd: The session's working folder.
        pid: The agent's process, whose end is the session's; left out where one process serves several sessions.
        resumed: Whether an earlier session goes on.
        prompt: What a person said: the beginning of its first line is sent, credentials masked.
        plan: The agent's own list of steps, whole.
        tool: The tool's name, never its input.
        failed: Whether the tool, the turn or the session did.
        question: What the agent asks a person.
        reason: Why a turn or a session ended: ``completed``, ``interrupted``, or the agent's own word.
        agent_version: The agent's version.
        subagent_id: The subagent that this is about.
        at: When it happened, RFC 3339; reports may overtake each other.
        event_id: A UUID, when this repeats an earlier call.
    """
    return Call(
        "agent.event",
        _present(
            agent=agent,
            session_id=session_id,
            event=event,
            **_present(cwd=cwd, pid=pid, resumed=resumed),
            prompt=None if prompt is None else first_line(prompt),
            plan=None if plan is None else [_present(**{**_planned(each), "step_id": None}) for each in plan],
            tool=tool,
            failed=failed,
            question=question,
            reason=reason,
            agent_version=agent_version,
            subagent_id=subagent_id,
            at=at,
            event_id=event_id or new_uuid(),
        ),
        results.agent_answer,
    )


def daemon_status() -> Call[JsonObject]:
    """Asks for the daemon's status: version, backends, queue and health."""
    return Call("daemon.status", {}, results.raw)


def flush(*, timeout_s: float = 30.0, task_id: str | None = None) -> Call[Flushed]:
    """Waits until the backend has everything, of one task or of all."""
    return Call("daemon.flush", _present(timeout_s=timeout_s, task_id=task_id), results.flushed, may_take_s=timeout_s)


def list_dead_letters() -> Call[JsonObject]:
    """Lists the events that a backend refused for good, with its status and reply."""
    return Call("deadletter.list", {}, results.raw)


def retry_dead_letters(event_ids: Sequence[str] | None = None) -> Call[JsonObject]:
    """Puts dead letters back into the queue: those named, or all."""
    return Call("deadletter.retry", _chosen(event_ids), results.raw)


def drop_dead_letters(event_ids: Sequence[str] | None = None) -> Call[JsonObject]:
    """Deletes dead letters: those named, or all."""
    return Call("deadletter.drop", _chosen(event_ids), results.raw)


def show_contract(base_url: str | None = None) -> Call[JsonObject]:
    """Asks how a backend is spoken to: by which contract, where that is from, and which route does what.

    Args:
        base_url: The backend; by default the daemon's setting.
    """
    return Call("contract.show", _present(base_url=base_url), results.raw, may_take_s=_DOCUMENT_S)


def try_contract(
    base_url: str, *, contract: Mapping[str, object] | None = None, timeout_s: float | None = None
) -> Call[JsonObject]:
    """Tells a backend of a task that says it is a trial, all the way from its creation to its end.

    Args:
        base_url: The backend.
        contract: The contract to try, as ``show_contract`` gives one; by default the one in force.
        timeout_s: For how long, 1 to 300 s (the daemon's default: 30 s).
    """
    params = _present(base_url=base_url, contract=None if contract is None else dict(contract), timeout_s=timeout_s)
    return Call("contract.try", params, results.raw, may_take_s=(timeout_s or _TRIAL_S) + _DOCUMENT_S + _END_S)


def _chosen(event_ids: Sequence[str] | None) -> Mapping[str, object]:
    return {"all": True} if event_ids is None else {"event_ids": list(event_ids)}


def _planned(step: str | NewStep | PlannedStep) -> Mapping[str, object]:
    if isinstance(step, str):
        return {"title": step}
    status = step.status if isinstance(step, PlannedStep) else None
    return _present(title=step.title, status=status, step_id=step.step_id)


def _counted(progress: Progress | None) -> Mapping[str, object] | None:
    return None if progress is None else _present(done=progress.done, total=progress.total, unit=progress.unit)


def _present(**params: object) -> Mapping[str, object]:
    """Leaves out what was not given: the daemon refuses a null where it expects a value."""
    return {name: _sound(value) for name, value in params.items() if value is not None}


def _sound(value: object) -> object:
    """Text without lone surrogates, which neither JSON nor UTF-8 can carry; all else as it is."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_sound(name): _sound(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_sound(each) for each in value]
    return value
