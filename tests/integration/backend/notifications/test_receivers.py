"""What is told to receivers that do not take it: when it is told again, and what others notice of that."""

from __future__ import annotations

import pytest

from support.engines import BOTH_ENGINES_AT_LENGTH
from support.notifying import MINUTE_MS, Clock, Place, rules_to, running
from support.receivers import WebhookReceiver


@BOTH_ENGINES_AT_LENGTH
async def test_a_receiver_that_is_down_for_a_minute_gets_all_of_it_once(place: Place, receiver: WebhookReceiver) -> None:
    receiver.stop()
    for n in range(3):
        await place.task(f"t{n}", "failed")
    await place.told()
    assert place.backend.notifier.states["ops"].failing == "[Errno 111] Connection refused"
    for _ in range(10):
        place.clock.forward(5_000)
        await place.look()
    receiver.start()
    place.clock.forward(MINUTE_MS)
    await place.look()
    await place.look()
    assert receiver.said == ["task.failed t0", "task.failed t1", "task.failed t2"]
    assert place.backend.notifier.states["ops"].failing is None
    await place.look()
    assert (await place.backend.notifier.count(), len(receiver.requests)) == ({}, 3)


async def test_what_happens_while_a_receiver_is_down_becomes_one_digest(place: Place, receiver: WebhookReceiver) -> None:
    receiver.stop()
    await place.task("first", "failed")
    await place.told()
    for n in range(8):
        await place.task(f"t{n}", "failed")
        await place.told()
    assert await place.backend.notifier.count() == {"ops": 9}
    receiver.start()
    for _ in range(3):
        place.clock.forward(20 * MINUTE_MS)
        await place.look()
    assert [document["type"] for document in receiver.taken] == ["task.failed", "digest"]
    assert receiver.taken[1]["data"]["number"] == 8


@pytest.mark.parametrize("status", [302, 401, 404, 500, 503])
async def test_an_answer_that_is_of_the_receiver_is_tried_again(place: Place, receiver: WebhookReceiver, status: int) -> None:
    receiver.answer = lambda _: (status, {"Location": "http://127.0.0.1:9/elsewhere"})
    await place.task("t", "failed")
    await place.told()
    receiver.answer = lambda _: (204, {})
    place.clock.forward(4_000)
    await place.look()
    assert len(receiver.requests) == 1
    place.clock.forward(2_000)
    await place.look()
    assert [(name, status) for name, _, status in receiver.requests] == [
        (receiver.requests[0][0], status), (receiver.requests[0][0], 204),
    ]  # fmt: skip


async def test_retry_after_is_waited_for(place: Place, receiver: WebhookReceiver) -> None:
    receiver.answer = lambda _: (429, {"Retry-After": "120"})
    await place.task("t", "failed")
    await place.told()
    receiver.answer = lambda _: (204, {})
    place.clock.forward(119_000)
    await place.look()
    assert len(receiver.requests) == 1
    place.clock.forward(2_000)
    await place.look()
    assert receiver.said == ["task.failed t"]


async def test_a_message_that_is_refused_holds_up_no_other_and_is_dropped_after_three_days(
    place: Place, receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = lambda document: (422 if document["data"]["task"]["task_id"] == "odd" else 204, {})
    await place.task("odd", "failed")
    await place.task("even", "failed")
    await place.told()
    assert receiver.said == ["task.failed even"]
    for _ in range(4):
        place.clock.forward(20 * 60 * MINUTE_MS)
        await place.look()
    await place.look()
    assert await place.backend.notifier.count() == {}
    assert "refused the notification" in caplog.text
    assert "dropped" in caplog.text
    place.clock.forward(61 * MINUTE_MS)
    refused = len(receiver.requests)
    await place.look()
    assert len(receiver.requests) == refused


async def test_a_receiver_that_is_gone_is_left_alone_until_a_restart_and_nothing_is_lost(
    database: str, receiver: WebhookReceiver
) -> None:
    clock = Clock()
    async with running(database, rules_to(receiver), clock) as place:
        receiver.answer = lambda _: (410, {})
        await place.task("t", "failed")
        await place.told()
        clock.forward(48 * 60 * MINUTE_MS)
        await place.look()
        assert len(receiver.requests) == 1
        assert place.backend.notifier.states["ops"].gone
    receiver.answer = lambda _: (204, {})
    async with running(database, rules_to(receiver), clock) as place:
        await place.look()
    assert receiver.said == ["task.failed t"]
