"""Notifications over restarts and replicas, and what they cost those who write."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from sqlalchemy import update

from clawlog_backend.backend import Backend
from clawlog_backend.notify.rules import Rules, Service, Target
from clawlog_backend.settings import Settings
from clawlog_backend.storage.engines.engine import DatabaseError
from clawlog_backend.storage.schema import notifications
from support.engines import POSTGRESQL
from support.notifying import GATHER_MS, MINUTE_MS, Clock, Place, rules_to, running
from support.receivers import KEY, WebhookReceiver


async def test_it_begins_at_the_present_and_goes_on_after_a_restart_from_where_it_was(
    database: str, receiver: WebhookReceiver
) -> None:
    clock = Clock()
    async with running(database, Rules(), clock) as place:
        await place.task("before-the-rules", "failed")
    async with running(database, rules_to(receiver), clock) as place:
        await place.told()
        await place.task("unread", "failed")
        await place.task("deaf", "running")
        await place.stop("deaf")
        # Ended before it has looked at any of it.
    async with running(database, rules_to(receiver), clock) as place:
        await place.look()
    async with running(database, rules_to(receiver), clock) as place:
        clock.forward(GATHER_MS)
        await place.look()
        assert receiver.said == ["task.failed unread"]
    clock.forward(5 * MINUTE_MS)
    async with running(database, rules_to(receiver), clock) as place:
        await place.told()
        assert receiver.said[1:] == ["task.stop_unanswered deaf"]
    async with running(database, Rules(), clock) as place:
        await place.task("without-rules", "failed")
    async with running(database, rules_to(receiver), clock) as place:
        await place.told()
    assert len(receiver.requests) == 2


async def test_what_is_for_a_target_that_is_no_more_is_dropped_and_said(
    database: str, receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(database, rules_to(receiver), Clock()) as place:
        await place.task("t", "failed")
        await place.look()
    other = Rules(None, {"other": Target("other", Service.WEBHOOK, receiver.url, (KEY,))}, {})
    async with running(database, other, Clock()) as place:
        await place.told()
    assert receiver.requests == []
    assert "1 notifications were for targets that the settings no longer have" in caplog.text


async def test_a_receiver_that_says_nothing_holds_up_no_end_and_gets_it_again_under_the_same_id(
    database: str, receiver: WebhookReceiver
) -> None:
    came, may_answer = threading.Event(), threading.Event()

    def hang(_: dict[str, Any]) -> tuple[int, dict[str, str]]:
        came.set()
        may_answer.wait(20)
        return 204, {}

    receiver.answer = hang
    rules, clock = rules_to(receiver, gather_ms=1), Clock()
    async with asyncio.timeout(15):
        async with Backend(Settings(database=database, port=0), rules=rules, clock=clock) as backend:
            place = Place(backend, clock)
            await place.task("t", "failed")
            while not came.is_set():
                clock.forward(1)
                await asyncio.sleep(0.02)
        receiver.answer = lambda _: (204, {})
        async with running(database, rules, clock) as place:
            await place.look()
        may_answer.set()
        receiver.wait_for(2)
    assert len({name for name, _, _ in receiver.requests}) == 1


async def test_what_was_taken_and_could_not_be_recorded_is_not_sent_again(place: Place, receiver: WebhookReceiver) -> None:
    await place.task("t", "failed")
    await place.backend.notifier.look()
    write, failures = place.backend.database.write, 0

    async def fails_once_it_was_taken(work: Any) -> Any:
        nonlocal failures
        if receiver.requests:
            failures += 1
            raise DatabaseError("the disk is full")
        return await write(work)

    place.backend.database.write = fails_once_it_was_taken  # type: ignore[method-assign]
    place.clock.forward(GATHER_MS)
    await place.look()
    place.backend.database.write = write  # type: ignore[method-assign]
    place.clock.forward(MINUTE_MS)
    await place.look()
    assert (failures, len(receiver.requests), await place.backend.notifier.count()) == (1, 1, {})


async def test_what_this_version_cannot_say_holds_up_nothing_else(place: Place, receiver: WebhookReceiver) -> None:
    await place.task("odd", "failed")
    await place.task("even", "failed")
    await place.backend.notifier.look()
    later = update(notifications).values(event="of a later version").where(notifications.c.detail.contains("odd"))
    await place.backend.database.write(lambda connection: connection.execute(later))
    await place.told()
    assert receiver.said == ["task.failed even"]
    assert await place.backend.notifier.count() == {"ops": 1}


@pytest.mark.parametrize("database", [POSTGRESQL], indirect=True)
async def test_of_two_replicas_the_one_with_the_lease_tells(database: str, receiver: WebhookReceiver) -> None:
    clock, rules = Clock(), rules_to(receiver)
    async with running(database, rules, clock) as one, running(database, rules, clock) as other:
        for n in range(3):
            await (one, other)[n % 2].task(f"t{n}", "failed")
        for place in (one, other, one, other):
            await place.look()
        clock.forward(GATHER_MS)
        await asyncio.gather(*(place.look() for place in (one, other, one, other)))
        assert receiver.said == ["task.failed t0", "task.failed t1", "task.failed t2"]


async def test_intake_waits_for_no_receiver_and_pays_one_transaction_for_many(place: Place, receiver: WebhookReceiver) -> None:
    answering, may_answer = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(_: dict[str, Any]) -> tuple[int, dict[str, str]]:
        loop.call_soon_threadsafe(answering.set)
        asyncio.run_coroutine_threadsafe(may_answer.wait(), loop).result(20)
        return 204, {}

    receiver.answer = hang
    await place.task("first", "failed")
    await place.backend.notifier.look()
    place.clock.forward(GATHER_MS)
    await place.backend.notifier.look()
    async with asyncio.timeout(20):
        await answering.wait()
    written = 0
    write = place.backend.database.write

    async def counted(work: Any) -> Any:
        nonlocal written
        written += 1
        return await write(work)

    place.backend.database.write = counted  # type: ignore[method-assign]
    for n in range(20):
        await place.task(f"t{n}", "failed")
    assert written == 40, "a commit for each of the 40 requests, and none beside"
    await place.backend.notifier.look()
    assert written == 41, "all that happened is taken up in one"
    may_answer.set()
    await place.backend.notifier.delivered()
