"""What reports do to a session's task, whatever their order: pure, over every event in every state."""

from __future__ import annotations

import itertools
import random
from typing import get_args

import msgspec
import pytest

from clawlog.protocol.agents import AGENT_EVENTS
from clawlogd.agents import turns
from clawlogd.agents.chain import Chain
from clawlogd.agents.report import AgentEvent, PlannedStep, Report, Wording, title_without_prompt
from clawlogd.interrupts.holds import message_of, session_after
from clawlogd.model import Activity, Interrupt, Session, Step, Task, TaskStatus
from clawlogd.settings import Agents, Settings

HERE, ELSEWHERE = "http://localhost:8000", "https://clawlog.example"


def task(**changes: object) -> Task:
    known = Task("t", "T", HERE, 1, session=Session("codex", "s"))
    return msgspec.structs.replace(known, **changes)


def report(event: AgentEvent, at_ms: int = 1000, **more: object) -> Report:
    return Report("codex", "s", "t", event, at_ms, "01900000-0000-7000-8000-000000000001", **more)  # type: ignore[arg-type]


def apply(chain: Chain, each: Report) -> None:
    wording = Wording(Settings(), HERE)
    match each.event:
        case "prompt":
            turns.prompt(chain, each, wording, retitles=True)
        case "plan":
            turns.plan(chain, each, wording)
        case "waiting":
            turns.ask(chain, each, wording)
        case "turn.ended":
            turns.end_turn(chain, each)
        case "session.ended":
            turns.end_session(chain, each)
        case "session.started":
            turns.start_again(chain, each)
        case _:
            turns.work(chain, each)


def test_whatever_comes_in_whatever_order_is_taken_and_consistent() -> None:
    chance = random.Random(20261126)
    events = ("session.started", "prompt", "plan", "tool.before", "tool.after", "waiting", "turn.ended", "session.ended")
    for _ in range(300):
        known = task()
        for number in range(30):
            chain = Chain(known, number)
            plan = tuple(PlannedStep(chance.choice("abc"), chance.choice(("pending", "running", "done"))) for _ in range(3))
            stop = Interrupt(f"i-{number}") if chance.random() < 0.1 and not known.status.ended else known.interrupt
            session = session_after(known.session, known.interrupt, stop, number)
            chain.note_task(interrupt=stop, session=session)
            apply(chain, report(chance.choice(events), number - chance.choice((0, 0, 5)), plan=plan, prompt="do it"))
            known = chain.task
            session = chain.session
            assert [each.position for each in known.steps] == list(range(1, len(known.steps) + 1))
            assert len({each.step_id for each in known.steps}) == len(known.steps)
            assert (known.waiting_ms is not None) == (known.status is TaskStatus.WAITING)
            if session.turn_step is not None:
                assert [each.status for each in known.steps if each.step_id == session.turn_step] == ["running"]
            if known.status.ended:
                assert session.activity is Activity.IDLE or known.closed
            assert all(each.event.task_id == "t" for each in chain.changes)


@pytest.mark.parametrize(("statuses", "left"), [(["skipped", "done", "running"], "skipped"), (["running", "done"], "done")])
def test_the_step_that_says_least_makes_room(statuses: list[str], left: str) -> None:
    filled = itertools.chain(statuses, itertools.repeat("running"))
    steps = tuple(Step(f"s{n}", n, f"S{n}", next(filled)) for n in range(1, 201))  # type: ignore[arg-type]
    chain = Chain(task(steps=steps, status=TaskStatus.RUNNING), 5)
    added = chain.begin_step("one more")
    assert len(chain.task.steps) == 200
    assert chain.task.steps[-1].step_id == added
    assert [each.status for each in steps if each.step_id not in {one.step_id for one in chain.task.steps}] == [left]


def test_a_stop_holds_until_it_is_withdrawn_or_a_person_speaks() -> None:
    session = Session("codex", "s")
    held = session_after(session, None, Interrupt("i"), 7)
    assert held is not None
    assert (held.held, held.held_ms) == ("i", 7)
    assert session_after(held, Interrupt("i"), Interrupt("i", delivered=True), 9) == held
    assert session_after(held, Interrupt("i", acknowledged=True), None, 9) == held
    assert session_after(held, Interrupt("i"), None, 9) == session
    assert session_after(None, None, Interrupt("i"), 9) is None


def test_an_agent_is_told_by_whom_it_was_stopped_and_why() -> None:
    assert "(wrong branch)" in message_of(Interrupt("i", reason="wrong branch"))
    assert "\n" not in message_of(None)


@pytest.mark.parametrize(
    ("more", "here", "elsewhere"),
    [
        ({"tool": "Bash"}, "may it use Bash?", "may it use Bash?"),
        ({"tool": "Bash rm -rf /"}, "may it use Bash?", "may it use Bash?"),
        ({"question": "Which?", "tool": "Ask"}, "Which?", "may it use Ask?"),
        ({"question": "Which?"}, "Which?", "it asks a question"),
        ({"question": "\x1b[31m"}, "it asks a question", "it asks a question"),
        ({}, "it asks a question", "it asks a question"),
    ],
)
def test_a_question_is_shown_where_prompts_are(more: dict[str, str], here: str, elsewhere: str) -> None:
    asks = report("waiting", **more)
    assert Wording(Settings(), HERE).question(asks) == here
    assert Wording(Settings(), ELSEWHERE).question(asks) == elsewhere
    assert Wording(Settings(agents=Agents(share_prompts=True)), ELSEWHERE).question(asks) == here


def test_the_events_are_those_of_the_protocol() -> None:
    assert get_args(AgentEvent) == AGENT_EVENTS


def test_a_title_without_a_prompt_says_where_and_since_when() -> None:
    assert title_without_prompt("shop", "codex", 0).startswith("shop · ")
    assert title_without_prompt(None, "codex", 0).startswith("codex · ")
    assert len(title_without_prompt("x" * 500, "codex", 0)) <= 200
