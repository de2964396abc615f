"""What happens in a session: turns begin and end, the agent plans, asks and goes on. Pure: reports in, changes out.

Reports may overtake each other, so each counts for the time at which its hook began: what is older than the newest prompt
ends nothing that the prompt has begun, and what is older than the end of a turn does not take it up again.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from clawlog.protocol import vocabulary
from clawlog.protocol.ids import new_uuid
from clawlog.protocol.types import StepStatus
from clawlogd.agents.chain import Chain
from clawlogd.agents.report import Report, Wording
from clawlogd.interrupts.holds import lifted
from clawlogd.model import Activity, NewStep, Task, TaskStatus
from clawlogd.tasks.attachments import retitle

FIRST_PROMPT = "waits for the first prompt"
NEXT_PROMPT = "waits for the next prompt"
_INTERRUPTED = "interrupted"
_MOST_SUBAGENTS = 50  # whose steps are known; the oldest are done long ago


def by_this_clock(task: Task, now_ms: int, at_ms: int) -> Task:
    """The task with no time that is still to come: a clock that was put back has made those, and what is heard now is newer.

    Args:
        task: That of a session.
        now_ms: The time now, in milliseconds since 1970.
        at_ms: When what is heard now happened.
    """
    session = task.session
    if session is None or max(session.prompted_ms, session.rested_ms, session.held_ms, task.lost_ms or 0) <= now_ms:
        return task

    def past(known_ms: int) -> int:
        return known_ms if known_ms <= now_ms else min(known_ms, at_ms)

    times = {name: past(getattr(session, name)) for name in ("prompted_ms", "rested_ms", "held_ms")}
    lost_ms = None if task.lost_ms is None else past(task.lost_ms) - (task.lost_ms > now_ms)  # what is heard is younger
    return msgspec.structs.replace(task, session=msgspec.structs.replace(session, **times), lost_ms=lost_ms)


def prompt(chain: Chain, report: Report, wording: Wording, *, retitles: bool) -> None:
    """A person has spoken: a turn begins, whatever was before it.

    Args:
        chain: The changes so far.
        report: The report.
        wording: What may be shown of it.
        retitles: Whether it may become the title of a task that was created before anybody spoke.
    """
    session = chain.session
    overtaken = report.at_ms < session.rested_ms  # its turn is over already
    if overtaken and (chain.task.status.ended or session.activity is not Activity.IDLE):
        return
    if report.at_ms < session.prompted_ms:
        return
    if session.turn_step is not None:
        chain.set_step(session.turn_step, "skipped", "a new prompt came first")
    if not overtaken:
        _lift(chain)
        chain.go_on()
    said = wording.prompt(report)
    if retitles and said is not None and not session.titled:
        chain.add(retitle(chain.task, said, event_id=new_uuid(), at_ms=report.at_ms))
        chain.note(titled=True)
    turns = session.turns + 1
    chain.note(turns=turns, turn_step=None, prompted_ms=report.at_ms)
    if not _plan_goes_on(chain):
        step_id = chain.begin_step(said or f"Turn {turns}")
        if overtaken:
            chain.set_step(step_id, "done")
        else:
            chain.note(turn_step=step_id)
    if not overtaken:
        chain.note(activity=Activity.WORKING)


def work(chain: Chain, report: Report) -> None:
    """The agent uses a tool: a question of before is answered. A turn that has ended does not go on by it."""
    if chain.task.closed and report.at_ms > (chain.task.ended_ms or 0):
        chain.go_on()
    resume_work(chain, report.at_ms)
    session, status = chain.session, chain.task.status
    if session.activity is Activity.IDLE and not session.turns and not session.rested_ms and not status.ended:
        chain.go_on()  # the first that is heard of a session whose prompt was not
        chain.note(activity=Activity.WORKING)


def resume_work(chain: Chain, at_ms: int) -> None:
    """Ends the wait for an answer, where something has happened since the question."""
    session = chain.session
    if session.activity is Activity.ASKING and at_ms > session.rested_ms and not chain.task.status.ended:
        chain.go_on()
        chain.note(activity=Activity.WORKING)


def plan(chain: Chain, report: Report, wording: Wording) -> None:
    """The agent's own list is the plan; steps of turns and subagents stay, and so do ended ones of earlier lists."""
    if chain.task.status.ended and report.at_ms > chain.session.rested_ms:
        return  # one that is older than the end was overtaken by it
    resume_work(chain, report.at_ms)
    listed = wording.planned(report)[-vocabulary.MAX_STEPS :]
    own = set(chain.session.own_steps)
    titles = Counter(each.title for each in listed)
    kept: list[NewStep] = []
    for step in chain.task.steps:
        if step.step_id not in own and titles[step.title] > 0:
            titles[step.title] -= 1  # it is one of the list's
        elif step.step_id in own or step.status in vocabulary.ENDED_STEP_STATUSES:
            kept.append(NewStep(step.step_id, step.title, step.status))
    excess = len(kept) + len(listed) - vocabulary.MAX_STEPS
    if excess > 0:
        by_worth = sorted(range(len(kept)), key=lambda n: (kept[n].status != "skipped", n))
        going = set(by_worth[:excess])
        kept = [each for n, each in enumerate(kept) if n not in going]
    chain.plan([*kept, *(NewStep("", each.title, each.status) for each in listed)])


def ask(chain: Chain, report: Report, wording: Wording) -> None:
    """The agent asks a person."""
    session = chain.session
    if chain.task.status.ended or report.at_ms < max(session.prompted_ms, session.rested_ms):
        return
    if session.activity is Activity.IDLE and session.rested_ms:
        return  # that it still waits for the next prompt
    if session.activity is Activity.ASKING and not report.tool and not report.question:
        return  # the same again, in fewer words: some agents report a question by two events
    chain.set_status(TaskStatus.WAITING, wording.question(report))
    chain.note(activity=Activity.ASKING, rested_ms=report.at_ms)


def end_turn(chain: Chain, report: Report) -> None:
    """The turn is over; a stop is acknowledged by it, and otherwise the agent waits for the next prompt."""
    session = chain.session
    if report.at_ms < max(session.prompted_ms, session.rested_ms):
        return
    if session.turn_step is not None:
        chain.set_step(session.turn_step, *_end_of(report))
    was_idle = session.activity is Activity.IDLE and chain.task.status is TaskStatus.WAITING and session.turns > 0
    chain.note(activity=Activity.IDLE, turn_step=None, rested_ms=report.at_ms)
    if chain.task.status.ended or was_idle:
        return
    if chain.task.interrupt_pending:
        chain.acknowledge("the turn is over")
    else:
        what = "the turn failed; " if report.failed else "interrupted; " if report.reason == _INTERRUPTED else ""
        chain.set_status(TaskStatus.WAITING, what + NEXT_PROMPT)


def end_session(chain: Chain, report: Report) -> None:
    """The session is over. An end that the task has already stays."""
    session = chain.session
    if report.at_ms < session.prompted_ms:
        return
    if not chain.task.finished:
        status, summary = _end_of(report)
        for step_id in filter(None, (session.turn_step, *session.own_steps)):
            if any(each.step_id == step_id and each.status == "running" for each in chain.task.steps):
                chain.set_step(step_id, status, summary)
    chain.note_task(lost_ms=None)  # its process may have ended before its last words were heard
    stop = chain.task.interrupt
    untold = stop is not None and chain.task.interrupt_pending and not stop.delivered
    if chain.task.interrupt_pending:
        chain.acknowledge("the session is over")
    elif not chain.task.status.ended:
        chain.set_status(TaskStatus.FAILED if report.failed else TaskStatus.DONE)
    chain.note_task(session=lifted(chain.session))
    # Since when it was held is kept where the tool that was held back may be told of only now.
    chain.note(activity=Activity.IDLE, turn_step=None, rested_ms=report.at_ms, held_ms=session.held_ms if untold else 0)


def leave(chain: Chain, at_ms: int) -> None:
    """The agent's process has ended while nothing was under way: some agents end without a word, or a terminal is closed."""
    chain.set_status(TaskStatus.DONE)
    chain.note_task(session=lifted(chain.session))
    chain.note(rested_ms=at_ms)


def start_again(chain: Chain, report: Report) -> None:
    """A session that had ended, was lost or was closed is there again, and waits for what a person says."""
    if may_start_again(chain, report):
        chain.go_on()
        chain.set_status(TaskStatus.WAITING, NEXT_PROMPT)
        chain.note(activity=Activity.IDLE, turn_step=None, prompted_ms=report.at_ms)


def may_start_again(chain: Chain, report: Report) -> bool:
    """Whether a session that begins is one that was over. One that was stopped waits for a person's word."""
    task = chain.task
    over = task.finished or task.closed or task.lost_ms is not None
    since_ms = max(task.ended_ms or 0, task.lost_ms or 0)
    return over and task.status is not TaskStatus.INTERRUPTED and report.at_ms >= since_ms


def begin_waiting(chain: Chain) -> None:
    """A session that has begun, and of which nothing else was heard, waits for its first prompt."""
    if chain.task.status is TaskStatus.PENDING and not chain.session.turns:
        chain.set_status(TaskStatus.WAITING, FIRST_PROMPT)


def subagent(chain: Chain, report: Report, wording: Wording) -> None:
    """What a subagent does is a step of its session's task, from its begin to its end."""
    if chain.task.status.ended or report.subagent_id is None:
        return
    known = chain.session.subagents
    step_id = known.get(report.subagent_id)
    if report.event in {"session.started", "prompt"} and step_id is None:
        title = wording.prompt(report) or wording.tool(report.tool)
        step_id = chain.begin_step(f"Subagent: {title}" if title else f"Subagent {len(known) + 1}")
        newest = dict(list(known.items())[1 - _MOST_SUBAGENTS :])
        chain.note(subagents={**newest, report.subagent_id: step_id})
    elif report.event in {"turn.ended", "session.ended"} and step_id is not None:
        chain.set_step(step_id, *_end_of(report))


def stopped(chain: Chain, report: Report, summary: str) -> None:
    """The agent's loop has ended, because a tool of it was held back."""
    if chain.session.turn_step is not None:
        chain.set_step(chain.session.turn_step, "skipped", "stopped")
    chain.acknowledge(summary)
    chain.note(activity=Activity.IDLE, turn_step=None, rested_ms=report.at_ms)


def _lift(chain: Chain) -> None:
    """A person has spoken, so that a stop is over, be it acknowledged or not."""
    if chain.task.interrupt_pending:
        chain.acknowledge("a new prompt")
    chain.note_task(session=lifted(chain.session))


def _plan_goes_on(chain: Chain) -> bool:
    """Whether the agent's own plan has steps that have not ended."""
    own = set(chain.session.own_steps)
    return any(each.step_id not in own and each.status not in vocabulary.ENDED_STEP_STATUSES for each in chain.task.steps)


def _end_of(report: Report) -> tuple[StepStatus, str | None]:
    if report.failed:
        return "failed", None
    if report.reason == _INTERRUPTED:
        return "skipped", _INTERRUPTED
    return "done", None
