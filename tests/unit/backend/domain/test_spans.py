"""A history as runs and spans: what is hard to bring about over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clawlog_backend.domain import spans, trace_ids
from clawlog_backend.domain.runs import SETTLE_MS, Happening, cut, run_at
from clawlog_backend.domain.spans import About, Place, Span


class History:
    """A history as it grows: each event a second later."""

    def __init__(self, *titles: str) -> None:
        self.happenings: list[Happening] = []
        self.add("task_created", "pending", title="T", steps=[{"title": title, "step_id": title} for title in titles])

    def add(self, kind: str, task_status: str = "running", after_ms: int = 1_000, **own: Any) -> None:
        last_ms = self.happenings[-1].at_ms if self.happenings else 0
        seq, at_ms = len(self.happenings) + 1, last_ms + after_ms
        self.happenings.append(Happening(seq, f"e{seq}", kind, at_ms, at_ms, task_status, json.dumps(own)))

    def step(self, step_id: str, status: str, task_status: str = "running", **own: Any) -> None:
        self.add("step_status", task_status, step_id=step_id, status=status, **own)

    def spans(self, run: int = 1) -> list[Span]:
        runs = cut(self.happenings)
        about = About("t", None, {})
        return spans.spans_of(about, runs, runs[run - 1], Place(trace_ids.own_context("t", run)))


def told(found: list[Span]) -> list[tuple[Any, ...]]:
    return [
        (each.attributes["clawlog.step.id"], each.attributes["clawlog.step.attempt"], each.attributes["clawlog.step.status"],
         each.start_ms // 1000, each.end_ms // 1000)
        for each in found[1:]
    ]  # fmt: skip


def test_a_step_that_is_begun_again_has_a_span_for_each_time() -> None:
    history = History("a")
    for status in ("running", "failed", "running", "running", "done", "done"):
        history.step("a", status)
    history.add("task_status", "done", status="done")
    found = history.spans()
    assert told(found) == [("a", 1, "failed", 2, 3), ("a", 2, "done", 4, 6)]
    assert len({each.context.span_id for each in found}) == 3


def test_steps_of_a_plan_begin_end_and_leave_with_it() -> None:
    history = History("a", "b", "c")
    plan = [("a", "done"), ("b", "running"), ("d", "running")]
    history.add("plan", steps=[{"step_id": each, "title": each.upper(), "status": status} for each, status in plan])
    history.add("plan", steps=[{"step_id": "d", "title": "D", "status": "done"}])
    history.add("task_status", "done", status="done")
    found = history.spans()
    assert told(found) == [("a", 1, "done", 2, 2), ("b", 1, "removed", 2, 3), ("d", 1, "done", 2, 3)]
    assert [each.name for each in found[1:]] == ["clawlog.step A", "clawlog.step B", "clawlog.step D"]
    assert found[0].attributes["clawlog.task.steps"] == 1


def test_a_later_run_knows_the_titles_of_the_first_and_not_its_steps() -> None:
    history = History("a")
    history.step("a", "done", "done")
    history.add("task_status", "running", after_ms=SETTLE_MS, status="running")
    history.step("a", "running")
    history.add("metadata", metadata={}, title="Renamed")
    history.add("task_status", "failed", status="failed", summary="no")
    first, second = history.spans(1), history.spans(2)
    assert told(first) == [("a", 1, "done", 2, 2)]
    assert told(second) == [("a", 1, "running", 5, 7)]
    assert (first[0].attributes["clawlog.task.title"], second[0].attributes["clawlog.task.title"]) == ("T", "Renamed")
    assert (second[0].start_ms, second[0].end_ms, second[0].error) == (4_000, 7_000, "no")
    assert not {each.context.span_id for each in first} & {each.context.span_id for each in second}


@pytest.mark.parametrize(("after_ms", "runs"), [(SETTLE_MS - 1, 1), (SETTLE_MS, 2)])
def test_an_end_counts_once_it_has_lasted(after_ms: int, runs: int) -> None:
    history = History("a")
    history.step("a", "done", "done")
    history.add("step_added", "running", after_ms=after_ms, step_id="b", title="b")
    assert [run.number for run in cut(history.happenings)] == list(range(1, runs + 1))


def test_an_end_that_lasted_by_either_clock_is_one() -> None:
    ending = Happening(2, "e", "task_status", 10_000, 50_000, "done")
    late = Happening(3, "f", "task_status", 90_000, 50_010, "running")  # arrived together, after an outage
    put_back = Happening(3, "f", "task_status", 9_000, 53_000, "running")
    created = Happening(1, "c", "task_created", 0, 0, "pending")
    assert [len(cut([created, ending, each])) for each in (late, put_back)] == [2, 2]
    assert [run_at(cut([created, ending, late]), at_ms) for at_ms in (-5, 20_000, 95_000)] == [1, 1, 2]


def test_the_agents_own_word_counts_for_an_end_that_its_last_step_brought() -> None:
    history = History("a", "b")
    history.step("a", "failed")
    history.step("b", "done", "failed", summary="a failed")
    history.add("task_status", "done", after_ms=500, status="done", summary="It will do")
    history.add("attention_acknowledged", "done", after_ms=9_000)
    task = history.spans()[0]
    assert (task.attributes["clawlog.task.status"], task.error, task.end_ms) == ("done", None, 3_500)
    assert task.attributes["clawlog.task.summary"] == "It will do"


def test_spans_and_events_are_bounded_and_what_is_left_out_is_counted() -> None:
    history = History("a")
    for _ in range(spans.STEP_SPANS + 5):
        history.step("a", "running")
        history.step("a", "failed")
    for _ in range(spans.EVENTS + 7):
        history.add("link", url="https://example.com")
    history.add("task_status", "done", status="done")
    task, *steps = history.spans()
    assert (len(steps), task.attributes["clawlog.task.steps_left_out"]) == (spans.STEP_SPANS, 5)
    assert (len(task.events), task.dropped_events) == (spans.EVENTS, 7)
