"""What a backend will not take is kept for a person to decide on, and holds up only what depends on it."""

from __future__ import annotations

from typing import Any

import pytest

from clawlog.protocol.errors import RpcError
from support.backend_process import BackendProcess
from support.plain_server import PlainServer
from support.running_daemon import RunningDaemon


def refuse_summary(plain: PlainServer, text: str, status: int = 422) -> None:
    plain.intercept = lambda each: status if each.is_event and text in str(each.body.get("summary")) else None


def refuse_title(plain: PlainServer, title: str) -> None:
    plain.intercept = lambda each: 400 if each.is_event and each.body.get("title") == title else None


async def letters(daemon: RunningDaemon) -> list[dict[str, Any]]:
    return list((await daemon.call("deadletter.list"))["dead_letters"])


async def one_dead(daemon: RunningDaemon, plain: PlainServer) -> dict[str, Any]:
    refuse_summary(plain, "bad")
    await daemon.call("task.create", title="T", task_id="t", steps=["one"], base_url=plain.url)
    for summary in ("good", "bad", "better"):
        await daemon.call("step.update", task_id="t", step=1, status="running", summary=summary)
    await plain.until_events(4)
    flushed = await daemon.call("daemon.flush", timeout_s=15)
    assert flushed == {"flushed": False, "pending": 1}
    (letter,) = await letters(daemon)
    return letter


async def test_a_refused_event_is_shown_with_the_backends_words_and_its_neighbours_go_on(
    daemon: RunningDaemon, plain: PlainServer
) -> None:
    letter = await one_dead(daemon, plain)
    assert (letter["task_id"], letter["kind"], letter["backend_status"]) == ("t", "step_status", 422)
    assert "made to fail by the test" in letter["backend_reply"]
    assert letter["waiting_behind"] == 0
    assert letter["at"] <= letter["refused_at"]
    assert plain.only_task.steps[0].summary == "better"
    status = await daemon.call("daemon.status")
    assert status["outbox"]["dead_letters"] == 1
    assert any("events refused by their backend: 1;" in problem for problem in status["problems"])
    assert status["backends"][0]["dead_lettered"] == 1


async def test_a_dead_letter_that_is_sent_again_arrives_under_its_own_id(daemon: RunningDaemon, plain: PlainServer) -> None:
    letter = await one_dead(daemon, plain)
    plain.intercept = lambda _: None
    assert (await daemon.call("deadletter.retry", event_ids=[letter["event_id"]]))["dead_letters"] == [letter]
    await daemon.flush()
    assert (plain.events[-1].body["summary"], plain.events[-1].key) == ("bad", letter["event_id"])
    assert await letters(daemon) == []


async def test_a_dead_letter_that_is_refused_again_is_dead_again(daemon: RunningDaemon, plain: PlainServer) -> None:
    letter = await one_dead(daemon, plain)
    await daemon.call("deadletter.retry", all=True)
    await plain.until_events(5)
    await daemon.call("daemon.flush", timeout_s=15)
    (again,) = await letters(daemon)
    assert again["event_id"] == letter["event_id"]
    assert again["refused_at"] > letter["refused_at"]


async def test_a_dead_letter_that_is_dropped_is_gone_for_good(daemon: RunningDaemon, plain: PlainServer) -> None:
    letter = await one_dead(daemon, plain)
    assert (await daemon.call("deadletter.drop", event_ids=[letter["event_id"]]))["dead_letters"] == [letter]
    assert await letters(daemon) == []
    await daemon.stop()
    await daemon.start()
    await daemon.flush()
    assert len(plain.events) == 4
    assert (await daemon.call("daemon.status"))["healthy"] is True


async def dead_creation(daemon: RunningDaemon, plain: PlainServer) -> dict[str, Any]:
    refuse_title(plain, "dead")
    await daemon.call("task.create", title="dead", task_id="dead", steps=["one"], base_url=plain.url)
    await daemon.call("task.create", title="alive", task_id="alive", steps=["one"], base_url=plain.url)
    for status in ("running", "done"):
        for task_id in ("dead", "alive"):
            await daemon.call("step.update", task_id=task_id, step=1, status=status)
    await plain.until(lambda: [task.steps[0].status for task in plain.tasks.values()] == ["done"])
    await daemon.call("daemon.flush", timeout_s=15)
    (letter,) = await letters(daemon)
    assert (letter["kind"], letter["backend_status"]) == ("task_created", 400)
    return letter


async def test_a_refused_creation_holds_back_what_belongs_to_its_task_alone(daemon: RunningDaemon, plain: PlainServer) -> None:
    letter = await dead_creation(daemon, plain)
    assert letter["waiting_behind"] == 2
    assert [task.title for task in plain.tasks.values()] == ["alive"]
    assert (await daemon.call("task.get", task_id="dead"))["pending"] == 3
    assert (await daemon.call("daemon.status"))["backends"][0]["held"] == 2


@pytest.mark.parametrize("restarted", [False, True], ids=["", "after a restart"])
async def test_a_creation_that_is_sent_again_lets_its_followers_go_in_order(
    daemon: RunningDaemon, plain: PlainServer, restarted: bool
) -> None:
    letter = await dead_creation(daemon, plain)
    if restarted:
        await daemon.stop()
        await daemon.start()
        await daemon.call("step.update", task_id="dead", step=1, status="failed")
    plain.intercept = lambda _: None
    touched = await daemon.call("deadletter.retry", all=True)
    assert [each["event_id"] for each in touched["dead_letters"]] == [letter["event_id"]]
    await daemon.flush()
    dead = next(task for task in plain.tasks.values() if task.title == "dead")
    told = [each.body.get("status") for each in plain.events if each.path.startswith(f"/api/tasks/{dead.task_id}/")]
    assert told == ["running", "done", *(["failed"] if restarted else [])]


async def test_a_creation_that_is_dropped_takes_its_followers_with_it(daemon: RunningDaemon, plain: PlainServer) -> None:
    await dead_creation(daemon, plain)
    await daemon.call("deadletter.drop", all=True)
    await daemon.flush()
    assert [task.title for task in plain.tasks.values()] == ["alive"]
    status = await daemon.call("daemon.status")
    assert (status["outbox"]["pending"], status["outbox"]["bytes"], status["healthy"]) == (0, 0, True)


async def test_one_bad_event_of_a_batch_does_not_fail_its_neighbours(daemon: RunningDaemon, embedded: BackendProcess) -> None:
    caller = await daemon.connect()
    for request in (
        b'{"jsonrpc":"2.0","method":"task.create","params":{"title":"T","task_id":"bad-one","base_url":"%s"}}',
        b'{"jsonrpc":"2.0","method":"task.create","params":{"title":"T","task_id":"good-one","base_url":"%s"}}',
    ):
        await caller.send(request % embedded.url.encode())
    await daemon.flush()
    # The backend is told, behind the daemon's back, of a task that the daemon then creates with another content.
    taken = "taken-by-another"
    embedded.create("first", task_id=taken)
    await daemon.call("task.create", title="second", task_id=taken, steps=["one"], base_url=embedded.url)
    await daemon.call("task.update", task_id="good-one", status="done")
    assert (await daemon.call("daemon.flush", task_id="good-one"))["flushed"] is True
    (letter,) = await letters(daemon)
    assert (letter["task_id"], letter["kind"]) == (taken, "task_created")


@pytest.mark.parametrize("verb", ["deadletter.retry", "deadletter.drop"])
async def test_a_choice_must_name_dead_letters_or_all(daemon: RunningDaemon, plain: PlainServer, verb: str) -> None:
    letter = await one_dead(daemon, plain)
    other = "01900000-0000-7000-8000-000000000000"
    for params, said in (
        ({}, "either event_ids or all"),
        ({"all": True, "event_ids": [other]}, "either event_ids or all"),
        ({"event_ids": [letter["event_id"], other]}, f"{other} is not a dead letter"),
        ({"event_ids": []}, "event_ids"),
        ({"event_ids": ["nonsense"]}, "event_ids"),
    ):
        with pytest.raises(RpcError, match=said) as refused:
            await daemon.call(verb, **params)
        assert refused.value.data["field"] == "event_ids"
    assert await letters(daemon) == [letter]
    assert (await daemon.call(verb, event_ids=[letter["event_id"]]))["dead_letters"] == [letter]
    assert (await daemon.call(verb, all=True))["dead_letters"] == []
