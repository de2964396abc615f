"""What becomes of a task's steps when its plan changes: case by case, and against a model that was written apart from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawlog.protocol import vocabulary
from clawlogd.errors import InvalidValue, TaskFinished, UnknownStep
from clawlogd.model import EventKind, NewStep, Progress, Step, Task, TaskStatus
from clawlogd.tasks.plan import NO_LONGER_PLANNED, add_step, change_plan
from clawlogd.tasks.steps import find_step, set_step_status

EVENT = "01900000-0000-7000-8000-000000000001"
REPORT: dict[str, Any] = {"event_id": EVENT, "at_ms": 1_000}
Status = Literal["pending", "running", "done", "failed", "skipped"]


def task_of(*titles: str, **fields: Any) -> Task:
    steps = tuple(Step(f"t-{number}", number, title) for number, title in enumerate(titles, 1))
    return msgspec.structs.replace(Task("t", "T", "http://x", 0, steps=steps), **fields)


def planned(task: Task, *steps: str | NewStep) -> Task:
    return change_plan(task, [NewStep("", each) if isinstance(each, str) else each for each in steps], **REPORT).task


def told(task: Task) -> list[tuple[str, str]]:
    return [(step.title, step.status) for step in task.steps]


def with_status(task: Task, step: int, status: Status) -> Task:
    return set_step_status(task, step, status, event_id=EVENT, at_ms=0, summary=None).task


# ── Case by case ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_steps_are_recognised_by_their_titles_and_take_the_lists_order() -> None:
    task = planned(task_of("look", "write", "test"), "test", "look", "ship", "write")
    assert [(step.step_id, step.position) for step in task.steps] == [("t-3", 1), ("t-1", 2), (f"{EVENT}-3", 3), ("t-2", 4)]


def test_duplicate_titles_pair_up_in_order() -> None:
    task = with_status(task_of("same", "same", "same"), 1, "done")
    assert [step.step_id for step in planned(task, "same", "other", "same").steps] == ["t-1", f"{EVENT}-2", "t-2", "t-3"]


def test_an_id_comes_before_a_title_wherever_it_stands_in_the_list() -> None:
    task = planned(task_of("a", "a"), "a", NewStep("t-1", "renamed"))
    assert [(step.step_id, step.title) for step in task.steps] == [("t-2", "a"), ("t-1", "renamed")]


def test_an_id_that_no_step_has_is_a_new_ones_whatever_its_title() -> None:
    task = planned(task_of("a"), NewStep("mine", "a"))
    assert [(step.step_id, step.status) for step in task.steps] == [("mine", "pending"), ("t-1", "skipped")]


def test_what_the_list_lacks_stands_behind_it_skipped_unless_it_had_ended() -> None:
    task = task_of("a", "b", "c", "d")
    task = with_status(with_status(with_status(task, 1, "done"), 2, "failed"), 3, "running")
    changed = planned(task, "new", "d")
    assert told(changed) == [("new", "pending"), ("d", "pending"), ("a", "done"), ("b", "failed"), ("c", "skipped")]
    assert [step.summary for step in changed.steps] == [None, None, None, None, NO_LONGER_PLANNED]


def test_a_step_keeps_its_status_summary_and_progress_and_a_list_may_go_backwards() -> None:
    reported = set_step_status(
        task_of("a", "b"), 1, "done", event_id=EVENT, at_ms=0, summary="well", progress=Progress(3, 3)
    ).task
    kept = planned(reported, "b", "a").steps[1]
    assert (kept.status, kept.summary, kept.progress) == ("done", "well", Progress(3, 3))
    assert planned(reported, NewStep("", "a", "pending")).steps[0].status == "pending"


def test_a_skipped_step_that_returns_is_pending_and_no_longer_said_to_be_unplanned() -> None:
    task = planned(planned(task_of("a", "b"), "a"), "a", "b")
    assert [(step.title, step.status, step.summary) for step in task.steps] == [("a", "pending", None), ("b", "pending", None)]
    again = planned(planned(task_of("a", "b"), "a"), "a", NewStep("", "b", "skipped"))
    assert (again.steps[1].status, again.steps[1].summary) == ("skipped", NO_LONGER_PLANNED)


def test_the_event_has_the_whole_plan_and_only_rows_that_differ_are_written() -> None:
    change = change_plan(task_of("a", "b", "c"), [NewStep("", "a"), NewStep("", "c")], **REPORT)
    assert change.event.kind is EventKind.PLAN
    assert change.event.steps == (
        NewStep("t-1", "a", "pending"),
        NewStep("t-3", "c", "pending"),
        NewStep("t-2", "b", "skipped"),
    )
    assert [step.step_id for step in change.steps] == ["t-3", "t-2"]


def test_a_plan_with_a_step_that_is_under_way_makes_a_pending_task_run() -> None:
    assert planned(task_of("a"), "b", "a").status is TaskStatus.PENDING
    assert planned(task_of("a"), NewStep("", "a", "running")).status is TaskStatus.RUNNING


def test_a_title_is_cleaned_before_it_is_compared() -> None:
    assert [step.step_id for step in planned(task_of("two words"), "two\nwords").steps] == ["t-1"]


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([NewStep("a", "one"), NewStep("a", "two")], "same step_id"),
        ([NewStep("", "\x1b[0m")], "step 1 has nothing"),
        ([NewStep("", f"n{number}") for number in range(199)], "would have 201 steps"),
    ],
    ids=["an id twice", "an empty title", "too many"],
)
def test_a_list_that_does_not_fit_is_refused(steps: list[NewStep], problem: str) -> None:
    with pytest.raises(InvalidValue, match=problem) as refused:
        change_plan(task_of("a", "b"), steps, **REPORT)
    assert refused.value.field == "steps"


def test_a_plan_of_as_many_steps_as_may_be_is_taken() -> None:
    assert len(planned(task_of("a", "b"), *(f"n{number}" for number in range(198))).steps) == 200


def test_where_room_is_made_the_oldest_skipped_steps_leave_then_the_oldest_ended_ones() -> None:
    task = task_of(*(f"s{number}" for number in range(6)))
    for step, status in ((1, "done"), (2, "skipped"), (3, "failed"), (5, "skipped")):
        task = with_status(task, step, status)  # type: ignore[arg-type]
    new = [NewStep("", f"n{number}") for number in range(197)]
    change = change_plan(task, new, **REPORT, makes_room=True)
    assert [step.title for step in change.gone] == ["s1", "s3", "s4"]  # the fourth is skipped by this very list
    assert [step.title for step in change.task.steps[197:]] == ["s0", "s2", "s5"]
    change = change_plan(task, [*new, NewStep("", "o1"), NewStep("", "o2"), NewStep("", "o3")], **REPORT, makes_room=True)
    assert len(change.gone) == 6
    assert [step.position for step in change.task.steps] == list(range(1, 201))


def test_a_finished_task_has_no_new_plan() -> None:
    finished = task_of("a", status=TaskStatus.DONE, finished=True)
    with pytest.raises(TaskFinished):
        planned(finished, "b")
    with pytest.raises(TaskFinished):
        add_step(finished, "b", step_id=None, after=None, **REPORT)


# ── One more step ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("after", "titles", "told_after"),
    [
        (None, ["a", "b", "new"], None),
        (1, ["a", "new", "b"], "t-1"),
        ("1", ["a", "new", "b"], "t-1"),
        ("a", ["a", "new", "b"], "t-1"),
        ("t-2", ["a", "b", "new"], "t-2"),
    ],
)
def test_a_step_is_put_behind_another(after: int | str | None, titles: list[str], told_after: str | None) -> None:
    change = add_step(task_of("a", "b"), "new", step_id=None, after=after, **REPORT)
    assert [step.title for step in change.task.steps] == titles
    assert [step.position for step in change.task.steps] == [1, 2, 3]
    assert (change.event.kind, change.event.step_id, change.event.title, change.event.after) == (
        EventKind.STEP_ADDED,
        f"{EVENT}-1",
        "new",
        told_after,
    )
    assert {step.step_id for step in change.steps} == {step.step_id for step in change.task.steps[titles.index("new") :]}


def test_a_step_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidValue, match="step_id: the task has"):
        add_step(task_of("a"), "new", step_id="t-1", after=None, **REPORT)
    with pytest.raises(UnknownStep):
        add_step(task_of("a"), "new", step_id=None, after="b", **REPORT)
    with pytest.raises(InvalidValue, match="would have 201"):
        add_step(task_of(*map(str, range(200))), "new", step_id=None, after=None, **REPORT)
    with pytest.raises(InvalidValue, match="title"):
        add_step(task_of("a"), "\n", step_id=None, after=None, **REPORT)


def test_an_id_that_a_caller_took_before_it_was_to_be_given_is_given_to_no_other() -> None:
    taken = add_step(task_of(), "first", step_id=f"{EVENT}-1", after=None, **REPORT).task
    added = add_step(taken, "second", step_id=None, after=None, **REPORT).task
    assert len({step.step_id for step in added.steps}) == 2


def test_a_step_is_found_at_its_present_position() -> None:
    task = planned(task_of("a", "b"), "b", "2", "a")
    assert find_step(task, 1).title == "b"
    assert find_step(task, "2").title == "2"
    assert find_step(task, "3").title == "a"


# ── Against a model ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class ModelStep:
    """A step of the model: who it is, as a number of its own, and what is said of it."""

    who: str
    title: str
    status: str


def claims(steps: list[ModelStep], wanted: list[tuple[str, str, str | None]]) -> dict[int, ModelStep]:
    """Which step each entry of a list means, by the entry's place."""
    claimed: dict[int, ModelStep] = {}
    for place, (who, _, _) in enumerate(wanted):
        for step in steps:
            if who and step.who == who:
                claimed[place] = step
    for place, (who, title, _) in enumerate(wanted):
        free = [step for step in steps if step.title == title and not any(step is each for each in claimed.values())]
        if not who and free:
            claimed[place] = free[0]
    return claimed


def model_of(steps: list[ModelStep], wanted: list[tuple[str, str, str | None]], event_id: str) -> list[ModelStep]:
    """The rules as the documents tell them, entry by entry, without an index of anything.

    Args:
        steps: The present steps.
        wanted: The list: an id (or nothing), a title and a status (or nothing) for each.
        event_id: Whose ids new steps get.
    """
    claimed = claims(steps, wanted)
    result = []
    for place, (who, title, status) in enumerate(wanted):
        before = claimed.get(place)
        if before is None:
            result.append(ModelStep(who or f"{event_id}-{place + 1}", title, status or "pending"))
        elif status:
            result.append(ModelStep(before.who, title, status))
        else:
            result.append(ModelStep(before.who, title, "pending" if before.status == "skipped" else before.status))
    for step in steps:
        if not any(step is each for each in claimed.values()):
            ended = step.status in ("done", "failed", "skipped")
            result.append(ModelStep(step.who, step.title, step.status if ended else "skipped"))
    return result


titles = st.sampled_from(("look", "write", "test", "ship", "2", "写"))
statuses = st.sampled_from(vocabulary.STEP_STATUSES)
entries = st.lists(
    st.tuples(st.none() | st.integers(0, 11) | st.sampled_from(("mine", "yours")), titles, st.none() | statuses), max_size=7
)
reports = st.tuples(st.integers(0, 11), statuses)
additions = st.tuples(titles, st.none() | st.integers(0, 11))
lives = st.tuples(st.lists(titles, max_size=5), st.lists(entries | reports | additions, min_size=4, max_size=12))


def live(life: tuple[list[str], list[Any]]) -> int:
    """Lives a task's life beside the model's; returns how many plans there were in it."""
    at_first, changes = life
    task = task_of(*at_first)
    model = [ModelStep(step.step_id, step.title, step.status) for step in task.steps]
    for number, change in enumerate(changes):
        event_id = f"01900000-0000-7000-8000-{number:012x}"
        if isinstance(change, list):
            wanted = _entries(task, change)
            task = change_plan(task, [NewStep(*each) for each in wanted], event_id=event_id, at_ms=0).task
            model = model_of(model, wanted, event_id)
        elif isinstance(change[0], str):
            title, place = change
            index = len(model) if place is None or not model else place % len(model) + 1
            after = None if index == len(model) else index
            task = add_step(task, title, step_id=None, after=after, event_id=event_id, at_ms=0).task
            model.insert(index, ModelStep(f"{event_id}-1", title, "pending"))
        elif model:
            place, status = change
            task = with_status(task, place % len(model) + 1, status)
            model[place % len(model)].status = status
        assert [(step.step_id, step.title, step.status) for step in task.steps] == [
            (step.who, step.title, step.status) for step in model
        ]
        assert [step.position for step in task.steps] == list(range(1, len(model) + 1))
    return sum(isinstance(change, list) for change in changes)


def test_a_thousand_plans_go_as_in_the_model() -> None:
    """Adding, moving, renaming, dropping and ending, in lives of several changes each."""
    plans = []
    settings(max_examples=450, database=None, deadline=None, derandomize=True)(
        given(lives)(lambda life: plans.append(live(life)))
    )()
    assert sum(plans) >= 1000


def _entries(task: Task, drawn: list[tuple[int | str | None, str, str | None]]) -> list[tuple[str, str, Any]]:
    """The list that was drawn, its numbers as ids of steps that the task has; an id is there once."""
    wanted: list[tuple[str, str, Any]] = []
    for named, title, status in drawn:
        who = task.steps[named % len(task.steps)].step_id if isinstance(named, int) and task.steps else named
        who = who if isinstance(who, str) and who not in {each for each, *_ in wanted} else ""
        wanted.append((who, title, status))
    return wanted
