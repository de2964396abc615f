"""A call that is repeated with its event id changes nothing and is answered as the first was."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from clawlog.protocol import ids
from clawlog.protocol.errors import RpcError
from support.callers import Caller, call
from support.plain_server import PlainServer
from support.running_daemon import RunningDaemon

MINTED: dict[str, Callable[[], str]] = {
    "version 7": ids.new_uuid,
    "version 4": lambda: str(uuid.uuid4()),
    "version 4 in capitals": lambda: str(uuid.uuid4()).upper(),
    "version 7 of long ago": lambda: "01700000-0000-7000-8000-" + uuid.uuid4().hex[:12],
    "version 7 of the future": lambda: "ff000000-0000-7000-8000-" + uuid.uuid4().hex[:12],
}


@pytest.fixture(params=MINTED)
def event_id(request: pytest.FixtureRequest) -> str:
    return MINTED[request.param]()


async def test_each_verb_that_changes_something_takes_it_once(caller: Caller, plain: PlainServer) -> None:
    verbs: list[tuple[str, dict[str, Any]]] = [
        ("task.create", {"title": "T", "steps": ["one"], "base_url": plain.url, "task_id": "t"}),
        ("step.update", {"task_id": "t", "step": 1, "status": "running"}),
        ("interrupt.ack", {"task_id": "t", "summary": "stopped"}),
        ("task.update", {"task_id": "t", "status": "done"}),
    ]
    for method, params in verbs:
        if method == "interrupt.ack":
            await call(caller, "daemon.flush")
            plain.ask_to_stop(plain.only_task.task_id)
        params["event_id"] = ids.new_uuid()
        first = await call(caller, method, **params)
        assert await call(caller, method, **params) == first
    await call(caller, "daemon.flush")
    assert len(plain.events) == 4


async def test_it_is_known_again_at_once_after_its_delivery_and_after_a_restart(
    daemon: RunningDaemon, plain: PlainServer, event_id: str
) -> None:
    params = {"title": "T", "base_url": plain.url, "event_id": event_id}
    first = await daemon.call("task.create", **params)
    assert await daemon.call("task.create", **params) == first
    await daemon.flush()
    assert await daemon.call("task.create", **params) == first
    await daemon.stop()
    await daemon.start()
    assert await daemon.call("task.create", **params) == first
    await daemon.flush()
    assert [task.title for task in plain.tasks.values()] == ["T"]
    assert (await daemon.call("daemon.status"))["tasks"]["known"] == 1


async def test_it_is_known_while_the_first_is_on_its_way_to_the_disk(daemon: RunningDaemon, event_id: str) -> None:
    """Many callers at once with one event id: one of them is the first, and all get its answer."""
    params = {"title": "T", "base_url": "http://127.0.0.1:9", "event_id": event_id}
    callers = [await daemon.connect() for _ in range(8)]
    replies = await asyncio.gather(*(call(caller, "task.create", **params) for caller in callers))
    assert all(reply == replies[0] for reply in replies)
    status = await daemon.call("daemon.status")
    assert (status["tasks"]["known"], status["outbox"]["pending"], status["outbox"]["storage_error"]) == (1, 1, None)


async def test_pipelined_repeats_on_one_connection_are_one_call(daemon: RunningDaemon, event_id: str) -> None:
    caller = await daemon.connect()
    request = b'{"jsonrpc":"2.0","id":1,"method":"task.create","params":{"title":"T","event_id":"%s"}}' % event_id.encode()
    await caller.send(b"\n".join([request] * 10))
    assert len({await caller.receive() for _ in range(10)}) == 1
    assert (await daemon.call("daemon.status"))["tasks"]["known"] == 1


async def test_the_first_calls_answer_stands_when_the_repetition_has_another_summary(daemon: RunningDaemon) -> None:
    event_id = ids.new_uuid()
    await daemon.call("task.create", title="T", task_id="t", steps=["one"])
    first = await daemon.call("step.update", task_id="t", step=1, status="running", event_id=event_id)
    again = await daemon.call("step.update", task_id="t", step=1, status="running", summary="more", event_id=event_id)
    assert again == first
    assert (await daemon.call("task.get", task_id="t"))["steps"][0]["summary"] is None


async def test_a_call_that_was_refused_may_be_repeated_and_is_then_taken(daemon: RunningDaemon, event_id: str) -> None:
    params = {"task_id": "t", "status": "running", "event_id": event_id}
    with pytest.raises(RpcError, match="No task 't'"):
        await daemon.call("task.update", **params)
    await daemon.call("task.create", title="T", task_id="t")
    assert (await daemon.call("task.update", **params))["event_id"] == event_id


async def test_a_repetition_after_the_end_of_its_task_is_answered_as_the_first_was(daemon: RunningDaemon) -> None:
    await daemon.call("task.create", title="T", task_id="t")
    params = {"task_id": "t", "status": "done", "event_id": ids.new_uuid()}
    first = await daemon.call("task.update", **params)
    assert await daemon.call("task.update", **params) == first
