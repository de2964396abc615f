"""``task.create``, ``task.update``, ``task.get``, ``task.list``."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from clawlog.protocol import ids
from clawlog.protocol.errors import OUTBOX_FULL, TASK_FINISHED, RpcError, invalid_params
from clawlogd.clock import rfc3339
from clawlogd.liveness.processes import identify, identify_at, runs
from clawlogd.model import Event, EventKind, NewStep, Step, Task, TaskStatus, WatchedProcess
from clawlogd.services import Call, Durable, Services
from clawlogd.verbs.params import StepSpec, TaskCreate, TaskGet, TaskList, TaskUpdate
from clawlogd.verbs.results import Accepted, CreatedStep, CreatedTask, LivenessView, StepView, TaskView, TaskViews

_encode = msgspec.json.Encoder().encode


def create(services: Services, params: TaskCreate, call: Call) -> Durable:
    """Adds a task; its backend hears of it as soon as it can."""
    if len(services.registry) >= services.settings.tasks.max_known:
        raise RpcError(
            OUTBOX_FULL,
            f"{len(services.registry)} tasks are known and the bound is tasks.max_known; end tasks that are over, or raise it",
        )
    task_id = params.task_id or ids.new_uuid()
    if services.registry.find(task_id) is not None:
        raise invalid_params("task_id", f"a task {task_id!r} exists already", "choose another, or leave it out")
    title = services.title(params.title)
    if not title:
        raise invalid_params("title", "holds nothing that can be shown", "expected at least one visible character")
    base_url = _base_url(params.base_url or services.settings.base_url)
    steps = _steps(services, task_id, params.steps)
    summary, truncated = services.summary(params.summary)
    task = Task(
        task_id=task_id,
        title=title,
        base_url=base_url,
        created_ms=call.at_ms,
        steps=steps,
        summary=summary,
        lease_s=params.lease_s or services.settings.heartbeat.lease_s,
        seen_ms=call.at_ms,
        watched=watched_process(params.watch_pid, call),
        metadata=params.metadata,
    )
    created = tuple(CreatedStep(step.step_id, step.position, step.title, step.status) for step in steps)
    result = CreatedTask(task_id, title, base_url, created, truncated)
    event = Event(
        event_id=params.event_id or ids.new_uuid(),
        task_id=task_id,
        kind=EventKind.TASK_CREATED,
        at=rfc3339(call.at_ms),
        summary=summary,
        title=title,
        steps=tuple(NewStep(step.step_id, step.title) for step in steps),
        metadata=params.metadata or None,
    )
    reply = _encode(result)
    services.outbox.add(event, call.at_ms, base_url, reply)
    services.registry.put(task, steps=steps)
    services.liveness.record_command(task, at_ms=call.spooled_at_ms)
    services.backends.lane(base_url)
    return Durable(reply)


def update(services: Services, params: TaskUpdate, call: Call) -> Durable:
    """Says where a task as a whole stands."""
    task = services.registry.get(params.task_id)
    status = TaskStatus(params.status)
    if task.finished and status is not TaskStatus.RUNNING:
        raise finished(task)
    summary, truncated = services.summary(params.summary)
    event = Event(
        event_id=params.event_id or ids.new_uuid(),
        task_id=task.task_id,
        kind=EventKind.TASK_STATUS,
        at=rfc3339(call.at_ms),
        status=status,
        summary=summary,
    )
    after = msgspec.structs.replace(
        task,
        status=status,
        finished=status.ended,
        ended_ms=call.at_ms if status.ended else None,
        summary=summary or task.summary,
        seen_ms=call.at_ms,
    )
    if task.status.ended and task.watched is not None and not runs(task.watched):
        after = msgspec.structs.replace(after, watched=None)  # reopened by another process: the old one's end says nothing
    return accept(services, event, call, after, truncated=truncated)


def get(services: Services, params: TaskGet, call: Call) -> TaskView:
    """Shows one task as the daemon knows it."""
    del call
    return _view(services, services.registry.get(params.task_id))


def list_(services: Services, params: TaskList, call: Call) -> TaskViews:
    """Shows the tasks, newest first: all, only those that go on, or only the others."""
    del call
    chosen = [task for task in services.registry if params.active is None or task.status.ended is not params.active]
    chosen.sort(key=lambda task: -task.created_ms)
    return TaskViews(tuple(_view(services, task) for task in chosen))


# ── Shared by the verbs that change a task ─────────────────────────────────────────────────────────────────────────


def accept(
    services: Services,
    event: Event,
    call: Call,
    task: Task,
    *,
    head: bool = True,
    steps: tuple[Step, ...] = (),
    truncated: bool = False,
) -> Durable:
    """Puts an event and the task as it leaves it into the open group, and answers with what is then true."""
    pending = services.outbox.counts.pending[services.outbox.lane(task.base_url)] + 1
    reply = _encode(Accepted(accepted=True, event_id=event.event_id, pending=pending, summary_truncated=truncated))
    services.outbox.add(event, call.at_ms, task.base_url, reply)
    services.registry.put(task, head=head, steps=steps)
    if not task.status.ended:
        services.liveness.record_command(task, at_ms=call.spooled_at_ms)
    return Durable(reply)


def finished(task: Task) -> RpcError:
    """The error for an update to a task that its agent has ended."""
    return RpcError(
        TASK_FINISHED,
        f"Task {task.task_id} is {task.status}; nothing more is taken for it until its status is set to running again",
        status=task.status,
    )


def watched_process(pid: int | None, call: Call) -> WatchedProcess | None:
    """The process that a caller names as standing for its task.

    Raises:
        RpcError: ``invalid_params``: no such process runs. (For a spooled call that is no error: it may have ended since.)
    """
    if pid is None:
        return None
    if call.spooled_at_ms is not None:
        return identify_at(pid, call.spooled_at_ms)
    process = identify(pid)
    if process is None:
        raise invalid_params("watch_pid", f"no process {pid} runs", "expected the number of a running process")
    return process


def _base_url(text: str) -> str:
    hint = "expected something like http://localhost:8000"
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError as error:
        raise invalid_params("base_url", str(error), hint) from None
    if url.scheme not in {"http", "https"} or not host or any(c.isspace() or not c.isprintable() for c in text):
        raise invalid_params("base_url", "is not an http:// or https:// address", hint)
    if url.username or url.password:
        raise invalid_params("base_url", "holds credentials", "put the token into CLAWLOG_TOKEN_FILE or CLAWLOG_TOKEN")
    if url.query or url.fragment:
        raise invalid_params("base_url", "has a query or a fragment", hint)
    return text.rstrip("/")


def _steps(services: Services, task_id: str, given: list[str | StepSpec]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for position, each in enumerate(given, start=1):
        spec = each if isinstance(each, StepSpec) else StepSpec(each)
        title = services.title(spec.title)
        if not title:
            raise invalid_params("steps", f"step {position} has nothing that can be shown", "expected a title")
        steps.append(Step(spec.step_id or ids.step_id(task_id, position), position, title))
    if len({step.step_id for step in steps}) < len(steps):
        raise invalid_params("steps", "two steps have the same step_id", "expected each to be different")
    return tuple(steps)


def _view(services: Services, task: Task) -> TaskView:
    life, evidence = services.liveness.state(task)
    return TaskView(
        task_id=task.task_id,
        title=task.title,
        base_url=task.base_url,
        status=task.status,
        summary=task.summary,
        created_at=rfc3339(task.created_ms),
        ended_at=None if task.ended_ms is None else rfc3339(task.ended_ms),
        steps=tuple(StepView(each.step_id, each.position, each.title, each.status, each.summary) for each in task.steps),
        liveness=LivenessView(
            state=life,
            evidence=evidence,
            agent_seen_at=rfc3339(services.liveness.seen_ms(task)),
            watch_pid=task.watched.pid if task.watched else None,
            lease_s=task.lease_s,
        ),
        stop=services.interrupts.status(task),
        pending=services.outbox.counts.by_task[task.task_id],
        delivered=task.upstream,
        metadata=task.metadata,
    )
