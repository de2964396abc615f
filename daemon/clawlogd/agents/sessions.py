"""From a hook's report to the task of its session: found or created, changed as ``turns`` says, all in one commit.

Reports are taken whatever came of those before: a session whose begin was missed begins with the first that is heard of it,
one that has ended is reopened, and an agent is never refused because its task has ended.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from clawlog.protocol.agents import ENDED_BY_HOOK, creation_event_id
from clawlog.protocol.ids import new_uuid, uuid_bytes
from clawlogd.agents import turns
from clawlogd.agents.chain import Chain
from clawlogd.agents.report import Report, Wording, title_without_prompt
from clawlogd.context import CallContext
from clawlogd.model import Session, Task
from clawlogd.services import Services
from clawlogd.tasks import creation
from clawlogd.tasks.attachments import annotate
from clawlogd.tasks.detector import Found, complete

_OPENING_S = 1.5  # for so long a new session's task waits for the prompt that is to be its title
_HOLD_SLACK_MS = 200  # a hook that began so long before a hold may have seen it

_encode = msgspec.json.Encoder().encode


class Answer(msgspec.Struct, frozen=True, gc=False):
    """Answers ``agent.event``.

    Attributes:
        task_id: The id of the session's task.
        decision: ``go``, or ``stop`` while the session is held.
        interrupt_id: The stop by which it is held.
        reason: The person's words.
    """

    task_id: str
    decision: str
    interrupt_id: str | None = None
    reason: str | None = None


class Taken(msgspec.Struct, frozen=True, gc=False):
    """What a report has come to.

    Attributes:
        answer: The answer.
        reply: The same as JSON.
        durable: Whether something is to be on disk before it is given.
    """

    answer: Answer
    reply: bytes
    durable: bool


def take(services: Services, report: Report, context: CallContext) -> Taken | Callable[[], Awaitable[Taken]]:
    """Takes in a report.

    Returns:
        What came of it; what takes it in, where that has to wait for something. It may never be begun, if its caller goes.

    Raises:
        TooManyTasks: As many tasks are known as may be, and this is a new session.
        OutboxFull: A bound is reached.
        StorageFailed: The disk does not take writes.
    """
    task = services.registry.find(report.task_id)
    begins = report.event == "session.started" and report.subagent_id is None
    if not begins:
        services.sessions.openings.hear(report.task_id, report.prompt)
    if task is None:
        return partial(_open, services, report, context)
    if begins and context.session is not None and turns.may_start_again(Chain(_adopted(task, report), report.at_ms), report):
        return partial(_open_again, services, report, context)
    return _change(services, task, report, context)


# ── New sessions ───────────────────────────────────────────────────────────────────────────────────────────────────


async def _open(services: Services, report: Report, context: CallContext) -> Taken:
    """Creates a session's task. One that has just begun waits for its prompt, which is to be the title."""
    begins, heard = report.event == "session.started" and report.subagent_id is None, None
    if begins and context.session is not None:
        heard = await services.sessions.openings.wait(report.task_id, _OPENING_S)
    found = Found()
    if services.settings.metadata.automatic:
        found = await services.detector.read(report.cwd, context.peer)
    event_id = creation_event_id(report.task_id)
    if await services.outbox.first_call(uuid_bytes(event_id)) is not None:
        event_id = new_uuid()  # it was created and forgotten here; its backend knows the task by its id
    task = services.registry.find(report.task_id)
    if task is None:
        said = report if heard is None else dataclasses.replace(report, prompt=heard.prompt)
        task = _create(services, said, context, event_id, found)
    return _change(services, task, report, context, opened=begins and heard is None)


async def _open_again(services: Services, report: Report, context: CallContext) -> Taken:
    """Takes up a session that was over, unless a prompt does so itself in a moment."""
    await services.sessions.openings.wait(report.task_id, _OPENING_S)
    task = services.registry.find(report.task_id)
    if task is None:
        return await _open(services, report, context)
    return _change(services, task, report, context)


def _create(services: Services, report: Report, context: CallContext, event_id: str, found: Found) -> Task:
    settings = services.settings
    base_url = creation.checked_base_url(settings.base_url)
    creation.check_room(services.registry, report.task_id, settings.tasks.max_known)
    services.backends.check_room(base_url)
    wording = Wording(settings, base_url)
    own = {"agent": report.agent, **({"agent_version": report.agent_version} if report.agent_version else {})}
    tells_private = settings.metadata.private_to_remote or wording.is_local
    if settings.metadata.automatic:
        own = complete(own, found, folder=report.cwd, tells_private=tells_private)
    prompt = wording.prompt(report) if report.subagent_id is None else None
    change = creation.create(
        task_id=report.task_id,
        event_id=event_id,
        at_ms=report.at_ms,
        title=prompt or title_without_prompt(found.project, report.agent, report.at_ms),
        base_url=base_url,
        steps=(),
        summary=None,
        lease_s=settings.heartbeat.lease_s,
        watched=report.process,
        metadata=creation.clean_pairs(own),
    )
    session = Session(report.agent, report.session_id, titled=prompt is not None)
    task = msgspec.structs.replace(change.task, session=session)
    services.accept(msgspec.structs.replace(change, task=task), _at(report, context))
    return services.registry.get(report.task_id)


# ── Known ones ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _change(services: Services, task: Task, report: Report, context: CallContext, *, opened: bool = False) -> Taken:
    task = turns.by_this_clock(_adopted(task, report), services.clock.wall_ms(), report.at_ms)
    before = services.registry.get(task.task_id)
    wording = Wording(services.settings, task.base_url)
    held_back = _is_held_back(task, report)
    told_late = _was_acknowledged_first(task, report) if held_back else _was_held_back(task, report)
    if held_back or told_late:
        told = f"held back: {wording.tool(report.tool) or 'a tool'}"
        services.interrupts.mark_delivered(task.task_id, told, at_ms=report.at_ms, is_late=told_late)
        task = _adopted(services.registry.get(task.task_id), report)
        task = turns.by_this_clock(task, services.clock.wall_ms(), report.at_ms)
    chain = Chain(task, report.at_ms)
    if told_late and not held_back:
        chain.note(held_ms=0)
    if held_back:
        _hold_back(chain, report, wording)
    elif _is_news(task, report) or report.event == "session.ended":
        document = services.backends.document(task.base_url)
        _apply(chain, report, wording, opened=opened, retitles=document is not None and document.retitles)
        _watch(chain, report)
        _annotate(chain, report)
    answer = _answer(chain.task)
    reply = _encode(answer)
    durable = _commit(services, chain, before, _at(report, context), event_id=report.event_id, reply=reply)
    after = services.registry.get(task.task_id)
    if not after.status.ended and _is_news(after, report):
        tool = wording.tool(report.tool) if report.is_tool else None
        services.liveness.record_command(after, at_ms=context.spooled_at_ms, summary=tool)
    services.sessions.signs.listen(services.registry.get(task.task_id))
    return Taken(answer, reply, durable)


def _apply(chain: Chain, report: Report, wording: Wording, *, opened: bool, retitles: bool) -> None:
    if report.subagent_id is not None and not report.is_tool:
        turns.subagent(chain, report, wording)
        return
    match report.event:
        case "session.started":
            if opened:
                turns.begin_waiting(chain)
            turns.start_again(chain, report)
        case "prompt":
            turns.prompt(chain, report, wording, retitles=retitles)
        case "plan":
            turns.plan(chain, report, wording)
        case "tool.before" | "tool.after":
            turns.work(chain, report)
        case "waiting":
            turns.ask(chain, report, wording)
        case "turn.ended":
            turns.end_turn(chain, report)
        case "session.ended":
            turns.end_session(chain, report)


def _adopted(task: Task, report: Report) -> Task:
    """The task as that of a session; one that was created in another way, by the same id, becomes it."""
    if task.session is not None:
        return task
    return msgspec.structs.replace(task, session=Session(report.agent, report.session_id, titled=True))


def _watch(chain: Chain, report: Report) -> None:
    process = report.process
    if process is not None and report.subagent_id is None and process != chain.task.watched and not chain.task.status.ended:
        chain.note_task(watched=process)


def _annotate(chain: Chain, report: Report) -> None:
    """Tells of the agent's version, where that is news."""
    version, task = report.agent_version, chain.task
    if version and not task.finished and task.metadata.get("agent_version") != version and not report.is_tool:
        chain.add(annotate(task, {"agent_version": version}, event_id=new_uuid(), at_ms=report.at_ms))


def _commit(services: Services, chain: Chain, before: Task, context: CallContext, *, event_id: str, reply: bytes) -> bool:
    """Makes the changes, the last one under the report's own event id. Returns whether there are any."""
    if chain.changes:
        services.check_room(chain.changes)  # a report is taken whole, or not at all
        for change in chain.changes[:-1]:
            services.accept(change, context)
        last = chain.changes[-1]
        event = msgspec.structs.replace(last.event, event_id=event_id)
        services.accept(msgspec.structs.replace(last, event=event, task=chain.task, head=True), context, reply)
    elif chain.task != before:
        services.registry.put(chain.task)
    else:
        return False
    return True


def _at(report: Report, context: CallContext) -> CallContext:
    """The circumstances of a report: it counts for when its hook began."""
    return msgspec.structs.replace(context, at_ms=report.at_ms)


def _is_news(task: Task, report: Report) -> bool:
    """Whether a report is younger than that its agent was found lost: a killed one's last may come late."""
    return task.lost_ms is None or report.at_ms > task.lost_ms


# ── Stops ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _is_held_back(task: Task, report: Report) -> bool:
    """Whether a tool's report tells of one that was held back: its hook found the hold."""
    session = task.session
    held = session is not None and session.held is not None
    return held and report.event == "tool.before" and session is not None and report.at_ms >= session.held_ms - _HOLD_SLACK_MS


def _was_acknowledged_first(task: Task, report: Report) -> bool:
    """Whether the first tool that was held back has been overtaken by the end of its turn, which acknowledged the stop."""
    session, interrupt = task.session, task.interrupt
    if session is None or interrupt is None or session.refused_ms is not None or interrupt.interrupt_id != session.held:
        return False
    return interrupt.acknowledged and report.at_ms <= session.rested_ms


def _was_held_back(task: Task, report: Report) -> bool:
    """Whether a report tells of a tool that was held back before the session's end, by which it has been overtaken."""
    session = task.session
    if session is None or session.held is not None or not session.held_ms or report.event != "tool.before":
        return False
    return session.held_ms - _HOLD_SLACK_MS <= report.at_ms <= session.rested_ms


def _hold_back(chain: Chain, report: Report, wording: Wording) -> None:
    """The first tool that is held back ends the loops of most agents; others go on to be refused until their turn ends."""
    if chain.session.refused_ms is None:
        chain.note(refused_ms=report.at_ms)
    if chain.task.interrupt_pending and report.agent in ENDED_BY_HOOK and report.subagent_id is None:
        turns.stopped(chain, report, f"held back at {wording.tool(report.tool) or 'a tool'}")


def _answer(task: Task) -> Answer:
    held = task.session.held if task.session is not None else None
    if held is None:
        return Answer(task.task_id, "go")
    reason = task.interrupt.reason if task.interrupt is not None and task.interrupt.interrupt_id == held else None
    return Answer(task.task_id, "stop", held, reason)
