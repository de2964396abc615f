"""What stands for an event at a server that lacks its word."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clawlogd.clock import SystemClock
from clawlogd.delivery.nearest import (
    Word,
    lacks_word,
    measured,
    nearest,
    nearest_beat,
    needs_words,
    refused_members,
    word_in,
    word_of,
)
from clawlogd.delivery.words import Words, read_batch_words, read_plain_words
from clawlogd.model import UNMAPPED, Beat, Event, EventKind, Evidence, NewStep, Progress, Step, Task, TaskStatus
from clawlogd.upstream.document import Document, read_document

AT = "2026-02-28T08:00:00.000Z"
AT_MS = 1_772_265_600_000
ID = "01900000-0000-7000-8000-000000000001"
STEPS = (Step("a", 1, "check"), Step("b", 2, "build"), Step("c", 3, "measure", remote_id=UNMAPPED))
TASK = Task("t", "T", "http://b.test", AT_MS, STEPS, TaskStatus.RUNNING, summary="so far")


def event(kind: EventKind, **fields: Any) -> Event:
    return Event(ID, "t", kind, AT, **fields)


EVENTS = [
    (event(EventKind.PLAN, steps=(NewStep("a", "check", "done"), NewStep("c", "measure"))), Word.PLAN),
    (event(EventKind.STEP_ADDED, step_id="c", title="measure"), Word.STEP_ADDED),
    (event(EventKind.METADATA, metadata={"status": "waiting"}), Word.METADATA),
    (event(EventKind.LINK, url="http://ci.test"), Word.LINK),
    (event(EventKind.TASK_STATUS, status=TaskStatus.WAITING), Word.WAITING),
    (event(EventKind.STEP_STATUS, step_id="a", status="running", progress=Progress(1)), Word.PROGRESS),
    (event(EventKind.TASK_STATUS, status=TaskStatus.RUNNING, summary='"status":"waiting"'), None),
    (event(EventKind.STEP_STATUS, step_id="a", status="running", summary='"progress":{"done":1}'), None),
    (event(EventKind.TASK_CREATED, title='"kind":"plan"', metadata={"progress": "x"}, steps=()), None),
    (event(EventKind.INTERRUPT_ACK), None),
]


@pytest.mark.parametrize(("given", "word"), EVENTS, ids=range(len(EVENTS)))
def test_the_word_that_an_event_needs_is_seen_in_its_bytes_as_in_itself(given: Event, word: Word | None) -> None:
    assert word_of(given) is word
    assert word_in(msgspec.json.encode(given)) is word
    assert needs_words(msgspec.json.encode(given)) or word is None


def said(given: Event, task: Task = TASK, told: dict[str, str] | None = None) -> list[Event]:
    return nearest(given, task, lambda _: True, {"c"}, told)


def last(given: Event, task: Task = TASK) -> tuple[str | None, str | None]:
    found = said(given, task)[-1]
    assert (found.event_id, found.at, found.task_id) == (ID, AT, "t")
    return found.status, found.summary


@pytest.mark.parametrize(("given", "word"), EVENTS, ids=range(len(EVENTS)))
def test_a_server_that_has_all_words_gets_the_event_itself(given: Event, word: Word | None) -> None:
    del word
    assert nearest(given, TASK, lambda _: False, ()) == [given]


def test_a_plan_is_told_by_the_statuses_of_known_steps_and_the_rest_in_words() -> None:
    steps = (NewStep("c", "measure", "running"), NewStep("a", "check", "done"), NewStep("b", "build", "skipped"))
    first, second, words = said(event(EventKind.PLAN, steps=steps))
    assert [(each.kind, each.step_id, each.status) for each in (first, second)] == [
        (EventKind.STEP_STATUS, "a", "done"),
        (EventKind.STEP_STATUS, "b", "skipped"),
    ]
    assert words.summary == "plan: 3 steps; not listed here: measure (running); dropped: build"
    assert len({first.event_id, second.event_id, words.event_id}) == 3
    assert said(event(EventKind.PLAN, steps=steps))[0].event_id == first.event_id, "a repetition is one"


def test_of_a_plan_only_what_changed_since_the_last_is_told_again() -> None:
    steps = (NewStep("a", "check", "pending"), NewStep("b", "build", "done"))
    changed = said(event(EventKind.PLAN, steps=steps), told={"a": "done", "b": "done"})
    assert [(each.step_id, each.status) for each in changed[:-1]] == [("a", "pending")]
    assert changed[-1].summary == "plan: 2 steps; in this order: check, build"


def test_words_leave_a_status_as_it_was_at_that_time() -> None:
    link = event(EventKind.LINK, url="http://ci.test")
    done = msgspec.structs.replace(TASK, status=TaskStatus.DONE, ended_ms=AT_MS, summary="all green")
    assert last(link) == ("running", "link: http://ci.test")
    assert last(link, done) == ("done", "all green; link: http://ci.test")
    later = msgspec.structs.replace(done, ended_ms=AT_MS + 1)
    assert last(link, later) == ("running", "link: http://ci.test"), "it had not ended by then"
    waits = msgspec.structs.replace(TASK, status=TaskStatus.WAITING, waiting_ms=AT_MS, summary="Which?")
    assert last(link, waits) == ("running", "Which?; link: http://ci.test"), "it lacks waiting, too"
    (kept,) = nearest(link, waits, lambda word: word is Word.LINK, ())
    assert (kept.status, kept.summary) == ("waiting", "Which?; link: http://ci.test")


def test_whether_a_status_was_there_by_then_is_seen_by_its_number_whatever_the_clock_said() -> None:
    link = event(EventKind.LINK, url="http://ci.test")
    done = msgspec.structs.replace(TASK, status=TaskStatus.DONE, status_seq=7, ended_ms=AT_MS, summary="all green")
    before, after = (nearest(link, done, lambda _: True, (), seq=seq)[-1] for seq in (6, 8))
    assert (before.status, before.summary) == ("running", "link: http://ci.test")
    assert (after.status, after.summary) == ("done", "all green; link: http://ci.test")
    put_back = msgspec.structs.replace(done, ended_ms=AT_MS + 1)
    assert nearest(link, put_back, lambda _: True, (), seq=8)[-1].status == "done"


def test_a_report_of_a_step_that_the_server_does_not_know_is_said_of_its_task() -> None:
    given = event(EventKind.STEP_STATUS, step_id="c", status="done", summary="7 km", progress=Progress(7, 7, "km"))
    (words,) = nearest(given, TASK, lambda _: False, {"c"})
    assert (words.kind, words.status, words.summary) == (EventKind.TASK_STATUS, "running", "3 measure: done, 7/7 km: 7 km")


def test_waiting_without_a_question_still_says_that_it_waits() -> None:
    assert last(event(EventKind.TASK_STATUS, status=TaskStatus.WAITING)) == ("running", "waiting for a person")


def test_long_words_are_cut_where_the_contract_ends() -> None:
    _, words = last(event(EventKind.LINK, url="http://ci.test/" + "x" * 2000))
    assert words is not None
    assert (len(words), words[-1]) == (1000, "…")


@pytest.mark.parametrize(
    ("progress", "summary", "words"),
    [
        (Progress(132, 318), None, "132/318"),
        (Progress(132, 318, "files"), "writing", "132/318 files: writing"),
        (Progress(0.5), "writing", "0.5: writing"),
        (None, "writing", "writing"),
    ],
)
def test_progress_stands_before_the_summary(progress: Progress | None, summary: str | None, words: str) -> None:
    assert measured(summary, progress) == words
    beat = Beat("t", AT, AT, Evidence.COMMAND, stalled=False, summary=summary, progress=progress)
    assert nearest_beat(beat, lambda _: True).summary == words
    assert nearest_beat(beat, lambda _: False) is beat


@pytest.mark.parametrize(
    ("word", "known", "status", "code", "detail", "lacking"),
    [
        (Word.PLAN, False, None, "invalid", "kind: Input tag 'plan' found", True),
        (Word.PLAN, True, None, "invalid", "kind: Input tag 'plan' found", True),
        (Word.PLAN, True, 422, "422", "steps: too many", False),
        (Word.PLAN, False, 422, "422", "no such event", True),
        (Word.PLAN, False, 409, "409", "the task has ended", False),
        (Word.PLAN, False, None, "task_ended", "the task has ended", False),
        (Word.WAITING, True, None, "invalid", "status: Input should be 'running'", True),
        (Word.PROGRESS, True, 422, None, "progress: extra inputs are not permitted", True),
        (Word.PROGRESS, True, 422, None, "summary: too long", False),
    ],
)
def test_a_refusal_says_that_a_word_is_lacking(
    word: Word, known: bool, status: int | None, code: str | None, detail: str, lacking: bool
) -> None:
    assert lacks_word(word, known=known, status=status, code=code, detail=detail) is lacking


def test_a_creation_can_do_without_what_a_refusal_names() -> None:
    created = event(EventKind.TASK_CREATED, title="T", metadata={"a": "b"}, parent_task_id="p")
    assert refused_members(created, "parent_task_id: not permitted") == {"parent_task_id"}
    assert refused_members(created, "title: too long") == frozenset()
    assert refused_members(event(EventKind.TASK_CREATED, title="T"), "metadata: not permitted") == frozenset()


class LaterClock(SystemClock):
    later_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.later_s


def test_a_word_that_is_lacking_is_tried_again_after_a_day() -> None:
    clock = LaterClock()
    words = Words(clock=clock, document=lambda: None, read=read_batch_words)
    assert (words.missed(Word.LINK), words.missed(Word.LINK)) == (True, False)
    clock.later_s = 23 * 3600.0
    assert words.lacks(Word.LINK)
    clock.later_s = 25 * 3600.0
    assert not words.lacks(Word.LINK)
    assert not words.knows(Word.LINK)


def test_what_was_told_in_place_of_plans_is_dropped_once_the_server_has_a_plan() -> None:
    words = Words(clock=SystemClock(), document=lambda: None, read=read_batch_words)
    planned = event(EventKind.PLAN, steps=(NewStep("a", "check", "done"),))
    words.note_told(planned, said(planned))
    assert words.told("t") == {"a": "done"}
    words.note_told(moved := event(EventKind.STEP_STATUS, step_id="a", status="running"), [moved])
    assert words.told("t") == {"a": "running"}
    words.note_told(planned, [planned])
    assert words.told("t") is None


SAID = {"server": "clawlog-status-sync", "kinds": ["plan", "link"], "statuses": ["running"], "task_page": "/tasks/{task_id}"}


def test_a_document_says_which_words_a_server_has() -> None:
    document = read_document({"x-clawlog": SAID})
    words = Words(clock=SystemClock(), document=lambda: document, read=read_batch_words)
    words.refresh()
    assert [word for word in Word if words.knows(word)] == [Word.PLAN, Word.LINK]
    assert [word for word in Word if words.lacks(word)] == [Word.STEP_ADDED, Word.METADATA, Word.WAITING]


def test_a_document_lists_the_routes_and_members_that_a_plain_server_has() -> None:
    schema = {"properties": {"status": {}, "summary": {}, "progress": {}}}
    by_name = {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Step"}}}}}
    body = {
        "paths": {
            "/api/tasks": {"post": {}},
            "/api/tasks/{id}": {"patch": {}},
            "/api/tasks/{id}/steps": {"put": {}},
            "/api/tasks/{id}/steps/{step}": {"patch": by_name},
        },
        "components": {"schemas": {"Step": schema}},
    }
    found = read_plain_words(read_document(body))
    assert found == {
        Word.PLAN: True,
        Word.STEP_ADDED: True,
        Word.METADATA: None,
        Word.LINK: False,
        Word.WAITING: None,
        Word.PROGRESS: True,
    }


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "x",
        {"x-clawlog": 7, "paths": []},
        {"x-clawlog": {"server": "another", **{key: value for key, value in SAID.items() if key != "server"}}},
        {"x-clawlog": {"server": "clawlog-status-sync", "kinds": [1], "statuses": "all", "task_page": 3}},
        {"paths": {"/api/tasks": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#"}}}}}}}},
        {"paths": {7: {}, "/api/tasks": 7, "/x{": {"get": None}}},
    ],
    ids=range(8),
)
def test_a_document_of_another_form_says_nothing(body: object) -> None:
    assert read_document(body) == Document()


@pytest.mark.parametrize(
    ("page", "path"),
    [
        ("/tasks/{task_id}", "/tasks/a%2Fb"),
        ("//evil.test/{task_id}", None),
        ("http://evil.test/{task_id}", None),
        ("/tasks/{task_id}?x={task_id}", None),
        ("/../{task_id}", None),
        ("/tasks", None),
        ("tasks/{task_id}", None),
        ("/{task_id}\n", None),
    ],
)
def test_a_page_is_a_path_of_the_same_origin_with_the_tasks_id_in_it(page: str, path: str | None) -> None:
    assert read_document({"x-clawlog": {**SAID, "task_page": page}}).page_of("a/b") == path
