"""A server that lacks a word of the contract is told in the nearest that it has: nothing is refused, nothing is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from clawlogd.clock import SystemClock
from support.plain_server import PlainServer
from support.plain_server import Task as PlainTask
from support.polled_server import PolledServer
from support.running_daemon import QUICK, RunningDaemon, until

NEW_KINDS = frozenset({"plan", "step_added", "metadata", "link"})
OLD = NEW_KINDS | {"waiting"}
PLAN = [{"title": "check", "status": "done"}, {"title": "measure", "status": "running"}, {"title": "ship"}]
SAYS = {"server": "clawlog-status-sync", "kinds": ["task_created"], "statuses": ["running", "waiting"]}

Act = Callable[[RunningDaemon], Awaitable[object]]


def plan(daemon: RunningDaemon) -> Awaitable[object]:
    return daemon.call("task.plan", task_id="t", steps=PLAN)


def add(daemon: RunningDaemon) -> Awaitable[object]:
    return daemon.call("step.add", task_id="t", title="measure", after=1)


def annotate(daemon: RunningDaemon) -> Awaitable[object]:
    return daemon.call("task.annotate", task_id="t", metadata={"ticket": "A-1", "owner": None})


def link(daemon: RunningDaemon) -> Awaitable[object]:
    return daemon.call("task.link", task_id="t", url="http://ci.test/7", name="the build")


def wait(daemon: RunningDaemon) -> Awaitable[object]:
    return daemon.call("task.update", task_id="t", status="waiting", summary="Which host?")


def count(daemon: RunningDaemon) -> Awaitable[object]:
    progress = {"done": 132, "total": 318, "unit": "files"}
    return daemon.call("step.update", task_id="t", step=1, status="running", summary="writing", progress=progress)


ADDITIONS: list[tuple[Act, str]] = [
    (plan, "plan: 4 steps; not listed here: measure (running); dropped: build"),
    (add, "step added: measure"),
    (annotate, "metadata: ticket = A-1, owner removed"),
    (link, "link: http://ci.test/7 (the build)"),
    (wait, "Which host?"),
]
additions = pytest.mark.parametrize(("act", "words"), ADDITIONS, ids=lambda each: getattr(each, "__name__", ""))


async def create(daemon: RunningDaemon, url: str, **more: Any) -> None:
    await daemon.call("task.create", task_id="t", title="T", steps=["check", "build", "ship"], base_url=url, **more)
    await daemon.call("step.update", task_id="t", step=1, status="running")
    await daemon.flush()


async def no_dead_letter(daemon: RunningDaemon) -> None:
    await daemon.flush()
    assert (await daemon.call("deadletter.list"))["dead_letters"] == []


async def only(daemon: RunningDaemon, plain: PlainServer) -> PlainTask:
    await no_dead_letter(daemon)
    return plain.only_task


# ── Each addition, and a server that lacks it ──────────────────────────────────────────────────────────────────────


@additions
async def test_a_plain_server_is_told_in_its_words(daemon: RunningDaemon, plain: PlainServer, act: Act, words: str) -> None:
    await create(daemon, plain.url)
    await act(daemon)
    task = await only(daemon, plain)
    assert (task.summary, task.status) == (words, "running")


@additions
async def test_a_batch_server_is_told_in_its_words(daemon: RunningDaemon, polled: PolledServer, act: Act, words: str) -> None:
    polled.lacks, polled.knows_steps = OLD, True
    await create(daemon, polled.url)
    await act(daemon)
    await no_dead_letter(daemon)
    last = polled.kinds("task_status")[-1]
    assert (last["summary"], last["status"], last["task_id"]) == (words, "running", "t")


async def test_progress_stands_before_the_summary_where_a_plain_server_refuses_it(
    daemon: RunningDaemon, plain: PlainServer
) -> None:
    plain.refused_members = frozenset({"progress"})
    await create(daemon, plain.url)
    for _ in range(2):
        await count(daemon)
    task = await only(daemon, plain)
    assert (task.steps[0].status, task.steps[0].summary) == ("running", "132/318 files: writing")
    refused = [each for each in plain.requests if "progress" in (each.body or {})]
    assert len(refused) == 1, "it is tried once"


async def test_a_heartbeats_progress_stands_before_its_summary_where_a_plain_server_refuses_it(
    daemon: RunningDaemon, plain: PlainServer
) -> None:
    plain.refused_members = frozenset({"progress"})
    await create(daemon, plain.url)
    await daemon.call("task.heartbeat", task_id="t", summary="writing", progress={"done": 3})
    await plain.until(lambda: [beat for beat in plain.only_task.beats if beat.get("summary") == "3: writing"])


async def test_progress_goes_both_ways_to_a_server_that_does_not_say(daemon: RunningDaemon, plain: PlainServer) -> None:
    await create(daemon, plain.url)
    for _ in range(2):  # that it takes the member does not show that it keeps it
        await count(daemon)
    await no_dead_letter(daemon)
    assert [each.body["progress"] for each in plain.events[-2:]] == [{"done": 132, "total": 318, "unit": "files"}] * 2
    assert [each.body["summary"] for each in plain.events[-2:]] == ["132/318 files: writing"] * 2


async def test_progress_stands_before_the_summary_where_the_document_does_not_list_it(
    daemon: RunningDaemon, polled: PolledServer
) -> None:
    bodies = {"post": "/api/tasks", "patch": "/api/tasks/{id}/steps/{step}"}
    schema = {"schema": {"type": "object", "properties": {"status": {}, "summary": {}}}}
    polled.document = {
        "paths": {path: {method: {"requestBody": {"content": {"application/json": schema}}}} for method, path in bodies.items()}
    }
    await create(daemon, polled.url)
    await until(lambda: daemon.services.backends.document(polled.url) is not None)
    await count(daemon)
    await no_dead_letter(daemon)
    last = polled.kinds("step_status")[-1]
    assert (last["summary"], "progress" in last) == ("132/318 files: writing", False)


@pytest.mark.parametrize("member", ["metadata", "parent_task_id"])
async def test_a_creation_goes_once_more_without_what_a_plain_server_refuses(
    daemon: RunningDaemon, plain: PlainServer, member: str
) -> None:
    plain.refused_members = frozenset({member})
    await create(daemon, plain.url, metadata={"k": "v"}, parent_task_id="p")
    task = await only(daemon, plain)
    assert (task.metadata.get("k"), task.parent_task_id) == ((None, "p") if member == "metadata" else ("v", None))
    assert task.steps[0].status == "running"


@pytest.mark.parametrize("member", ["metadata", "parent_task_id"])
async def test_a_creation_goes_once_more_without_what_a_batch_server_refuses(
    daemon: RunningDaemon, polled: PolledServer, member: str
) -> None:
    polled.refused_members, polled.knows_steps = frozenset({member}), True
    polled.taking.clear()
    await daemon.call(
        "task.create", task_id="t", title="T", steps=["check"], base_url=polled.url, metadata={"k": "v"}, parent_task_id="p"
    )
    await daemon.call("step.update", task_id="t", step=1, status="running")
    polled.taking.set()
    await no_dead_letter(daemon)
    created, reported = (event for event in polled.events if event["kind"] != "heartbeat")
    assert {"metadata", "parent_task_id"} & created.keys() == {"metadata", "parent_task_id"} - {member}
    assert reported["kind"] == "step_status"


async def test_progress_stands_before_the_summary_where_a_batch_server_refuses_it(
    daemon: RunningDaemon, polled: PolledServer
) -> None:
    polled.refused_members = frozenset({"progress"})
    await create(daemon, polled.url)
    await daemon.call("task.heartbeat", task_id="t", progress={"done": 3})
    await until(lambda: polled.rejected)
    await count(daemon)
    await no_dead_letter(daemon)
    assert polled.kinds("step_status")[-1]["summary"] == "132/318 files: writing"


# ── Servers that have the words ────────────────────────────────────────────────────────────────────────────────────


async def test_one_strange_answer_does_not_cost_a_server_its_word(daemon: RunningDaemon, plain: PlainServer) -> None:
    plain.has_plans = True
    await create(daemon, plain.url)
    await daemon.call("step.add", task_id="t", title="measure")
    await daemon.flush()
    strange = iter([200])  # of a proxy: an object that shows no task
    plain.intercept = lambda each: next(strange, None) if each.method == "GET" and each.path.count("/") == 3 else None
    await daemon.call("step.add", task_id="t", title="announce")
    await daemon.call("step.add", task_id="t", title="celebrate")
    task = await only(daemon, plain)
    assert next(strange, None) is None, "it was answered"
    assert [step.title for step in task.steps] == ["check", "build", "ship", "measure", "announce", "celebrate"]
    assert task.summaries == []


async def test_a_plain_server_with_the_routes_gets_plan_added_step_and_link_and_steps_are_known_by_its_ids(
    daemon: RunningDaemon, plain: PlainServer
) -> None:
    plain.has_plans = plain.has_links = True
    await create(daemon, plain.url)
    await plan(daemon)
    await daemon.call("step.add", task_id="t", title="announce", after="ship")
    await daemon.call("step.update", task_id="t", step="announce", status="running", summary="on the list")
    await daemon.call("step.update", task_id="t", step="measure", status="done")
    await link(daemon)
    task = await only(daemon, plain)
    assert [(step.title, step.status, step.summary) for step in task.steps] == [
        ("check", "done", None),
        ("measure", "done", None),
        ("ship", "pending", None),
        ("announce", "running", "on the list"),
        ("build", "skipped", None),
    ]
    assert (task.links, task.summaries) == ([{"name": "the build", "url": "http://ci.test/7"}], [])


async def test_a_batch_server_gets_the_events_as_they_are_and_new_steps_under_the_ids_that_callers_know(
    daemon: RunningDaemon, polled: PolledServer
) -> None:
    polled.knows_steps = True
    await create(daemon, polled.url)
    for act, _ in ADDITIONS:
        await act(daemon)
    await daemon.call("step.update", task_id="t", step=2, status="done")
    await no_dead_letter(daemon)
    kinds = [event["kind"] for event in polled.events if event["kind"] != "heartbeat"][2:]
    assert kinds == ["plan", "step_added", "metadata", "link", "task_status", "task_status", "step_status"]
    assert polled.kinds("task_status")[0]["status"] == "waiting"
    assert polled.kinds("step_status")[-1]["step_id"] in {polled.kinds("step_added")[0]["step_id"]} | {
        step["step_id"] for step in polled.kinds("plan")[0]["steps"]
    }


async def test_what_a_server_lists_need_not_be_tried(daemon: RunningDaemon, polled: PolledServer) -> None:
    polled.document, polled.lacks = {"x-clawlog": SAYS}, NEW_KINDS
    await create(daemon, polled.url)
    await until(lambda: daemon.services.backends.document(polled.url) is not None)
    for act, _ in ADDITIONS:
        await act(daemon)
    await no_dead_letter(daemon)
    assert polled.rejected == []
    assert polled.kinds("task_status")[-1]["status"] == "waiting"


async def test_the_page_of_a_task_is_known_where_the_server_names_it(daemon: RunningDaemon, polled: PolledServer) -> None:
    assert daemon.services.backends.task_page(polled.url, "t") is None
    polled.document = {"x-clawlog": {**SAYS, "task_page": "/tasks/{task_id}"}}
    await create(daemon, polled.url)
    await until(lambda: daemon.services.backends.task_page(polled.url, "t") == f"{polled.url}/tasks/t")


async def test_the_page_of_a_task_of_the_default_backend_is_known_before_there_is_one(
    new_daemon: Callable[..., RunningDaemon], polled: PolledServer
) -> None:
    polled.document = {"x-clawlog": {**SAYS, "task_page": "/tasks/{task_id}"}}
    daemon = new_daemon(msgspec.structs.replace(QUICK, base_url=polled.url))
    await daemon.start()
    await until(lambda: daemon.services.backends.document(polled.url) is not None)
    created = await daemon.call("task.create", title="T", task_id="first")
    assert created["url"] == f"{polled.url}/tasks/first"


# ── What follows ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("profile", ["plain", "batch"])
async def test_a_step_that_the_server_does_not_know_is_told_of_by_its_task(
    daemon: RunningDaemon, plain: PlainServer, polled: PolledServer, profile: str
) -> None:
    polled.lacks, polled.knows_steps = OLD, True
    await create(daemon, plain.url if profile == "plain" else polled.url)
    await add(daemon)
    await daemon.call("step.update", task_id="t", step=2, status="done", summary="7 km")
    await no_dead_letter(daemon)
    told = plain.only_task.summary if profile == "plain" else polled.kinds("task_status")[-1]["summary"]
    assert told == "2 measure: done, 7 km"


@pytest.mark.parametrize("profile", ["plain", "batch"])
async def test_the_steps_that_a_server_knows_move_with_a_plan_that_it_does_not(
    daemon: RunningDaemon, plain: PlainServer, polled: PolledServer, profile: str
) -> None:
    polled.lacks, polled.knows_steps = OLD, True
    await create(daemon, plain.url if profile == "plain" else polled.url)

    async def statuses(*wanted: str) -> list[str]:
        steps = [{"title": title, "status": status} for title, status in zip(("check", "build", "ship"), wanted, strict=True)]
        await daemon.call("task.plan", task_id="t", steps=steps)
        await no_dead_letter(daemon)
        if profile == "plain":
            return [step.status for step in plain.only_task.steps]
        told = {event["step_id"]: event["status"] for event in polled.kinds("step_status")}
        return [told.get(step["step_id"], "pending") for step in polled.kinds("task_created")[0]["steps"]]

    assert await statuses("done", "running", "pending") == ["done", "running", "pending"]
    assert await statuses("done", "done", "running") == ["done", "done", "running"]
    assert await statuses("done", "pending", "running") == ["done", "pending", "running"]
    await daemon.call("step.update", task_id="t", step="ship", status="done")
    assert await statuses("done", "pending", "running") == ["done", "pending", "running"]


@pytest.mark.parametrize("profile", ["plain", "batch"])
async def test_what_is_said_of_a_task_that_waits_leaves_it_waiting(
    daemon: RunningDaemon, plain: PlainServer, polled: PolledServer, profile: str
) -> None:
    polled.lacks = NEW_KINDS
    plain.statuses.add("waiting")
    await create(daemon, plain.url if profile == "plain" else polled.url)
    await wait(daemon)
    await link(daemon)
    await no_dead_letter(daemon)
    last = polled.kinds("task_status")[-1] if profile == "batch" else {}
    summary, status = (last["summary"], last["status"]) if last else (plain.only_task.summary, plain.only_task.status)
    assert (summary, status) == ("Which host?; link: http://ci.test/7 (the build)", "waiting")


async def test_a_backlog_of_new_words_arrives_in_order_at_a_server_that_has_none_of_them(
    daemon: RunningDaemon, polled: PolledServer
) -> None:
    polled.lacks, polled.knows_steps = OLD, True
    polled.taking.clear()
    await daemon.call("task.create", task_id="t", title="T", steps=["check", "build", "ship"], base_url=polled.url)
    for act, _ in ADDITIONS:
        await act(daemon)
    await daemon.call("step.update", task_id="t", step="ship", status="done", summary="out")
    await daemon.call("task.update", task_id="t", status="done", summary="all green")
    polled.taking.set()
    await no_dead_letter(daemon)
    told = [(event["kind"], event.get("status"), event.get("summary")) for event in polled.events]
    told = [each for each in told if each[0] in {"task_status", "step_status"}]
    assert [each for each in told if each[0] == "task_status"][-2:] == [
        ("task_status", "running", None),
        ("task_status", "done", "all green"),
    ]
    assert told[-2:] == [("step_status", "done", "out"), ("task_status", "done", "all green")]
    assert [each[2] for each in told if each[2]][1:5] == ["step added: measure", *(words for _, words in ADDITIONS[2:])]


async def test_a_server_that_refuses_a_whole_batch_for_a_word_is_told_in_its_words(
    daemon: RunningDaemon, new_hostile: Callable[..., Awaitable[Any]]
) -> None:
    from support.hostile_server import Answer

    server = await new_hostile()
    await create(daemon, server.url)
    server.poison = lambda asked: Answer(422, {"detail": "events.0.kind: unknown"}) if '"kind": "link"' in asked.text else None
    await link(daemon)
    await daemon.call("step.update", task_id="t", step=1, status="done")
    await no_dead_letter(daemon)
    told = [(event["kind"], event.get("summary")) for event in server.told("t")][2:]
    assert [each for each in told if each[0] != "heartbeat"] == [
        ("task_status", "link: http://ci.test/7 (the build)"),
        ("step_status", None),
    ]


async def test_a_parent_is_named_by_the_id_that_the_server_gave_it(daemon: RunningDaemon, plain: PlainServer) -> None:
    for task_id, parent in (("p", None), ("t", "p")):
        await daemon.call("task.create", task_id=task_id, title=task_id, base_url=plain.url, parent_task_id=parent)
    await no_dead_letter(daemon)
    by_title = {task.title: task for task in plain.tasks.values()}
    assert by_title["t"].parent_task_id == str(by_title["p"].task_id)


class StandingClock(SystemClock):
    """By whose wall clock all happens at once."""

    def wall_ms(self) -> int:
        return 1_772_265_600_000


@pytest.mark.parametrize("status", ["done", "waiting"])
async def test_what_was_said_before_a_new_status_does_not_tell_it_early(
    new_daemon: Callable[..., RunningDaemon], polled: PolledServer, status: str
) -> None:
    daemon = new_daemon(clock=StandingClock())
    await daemon.start()
    polled.lacks, polled.knows_steps = NEW_KINDS, True
    await create(daemon, polled.url)
    polled.taking.clear()
    await link(daemon)
    await daemon.call("task.update", task_id="t", status="running", summary="going on")
    await daemon.call("task.update", task_id="t", status=status, summary="that is it")
    polled.taking.set()
    await no_dead_letter(daemon)
    assert [(each["status"], each["summary"]) for each in polled.kinds("task_status")] == [
        ("running", "link: http://ci.test/7 (the build)"),
        ("running", "going on"),
        (status, "that is it"),
    ]
