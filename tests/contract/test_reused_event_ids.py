"""One ``event_id`` is one event: the same call again gets its first answer, and another call is told of the mistake."""

from __future__ import annotations

from typing import Any

import pytest

from clawlog.protocol.errors import INVALID_PARAMS, RpcError
from clawlog.protocol.ids import new_uuid
from support.callers import Caller, call
from support.running_daemon import RunningDaemon

FIRST = ("step.update", {"task_id": "t", "step": 1, "status": "done", "summary": "first"})
ANOTHER: dict[str, tuple[str, dict[str, Any]]] = {
    "another step": ("step.update", {"task_id": "t", "step": 2, "status": "done"}),
    "another status": ("step.update", {"task_id": "t", "step": 1, "status": "running"}),
    "another task": ("step.update", {"task_id": "u", "step": 1, "status": "done"}),
    "another verb": ("task.update", {"task_id": "t", "status": "done"}),
    "another verb of a new task": ("task.create", {"title": "New", "task_id": "new"}),
}


@pytest.fixture
async def tasks(any_caller: Caller) -> Caller:
    for task_id in ("t", "u"):
        await call(any_caller, "task.create", title="T", task_id=task_id, steps=["one", "two"])
    return any_caller


@pytest.mark.parametrize("other", ANOTHER)
async def test_another_call_with_the_id_of_an_earlier_one_is_refused_and_does_nothing(tasks: Caller, other: str) -> None:
    event_id = new_uuid()
    method, params = FIRST
    await call(tasks, method, event_id=event_id, **params)
    method, params = ANOTHER[other]
    with pytest.raises(RpcError) as refused:
        await call(tasks, method, event_id=event_id, **params)
    assert refused.value.code == INVALID_PARAMS
    assert refused.value.data["field"] == "event_id"
    assert "key_reused" in str(refused.value.message) + str(refused.value.data)
    shown = await call(tasks, "task.get", task_id="t")
    assert [step["status"] for step in shown["steps"]] == ["done", "pending"]
    assert len((await call(tasks, "task.list"))["tasks"]) == 2


@pytest.mark.parametrize(
    "again",
    [
        {"step": 1},
        {"step": "1"},
        {"step": "one"},
        {"step": 1, "summary": "other words"},
    ],
)
async def test_the_same_call_in_other_words_is_a_repetition(tasks: Caller, again: dict[str, Any]) -> None:
    event_id = new_uuid()
    first = await call(tasks, "step.update", task_id="t", step=1, status="done", summary="first", event_id=event_id)
    assert await call(tasks, "step.update", **{"task_id": "t", "status": "done", "event_id": event_id, **again}) == first
    assert (await call(tasks, "task.get", task_id="t"))["steps"][0]["summary"] == "first"


async def test_a_creation_repeated_without_an_id_of_its_own_is_the_first_one(tasks: Caller) -> None:
    event_id = new_uuid()
    first = await call(tasks, "task.create", title="New", event_id=event_id)
    assert await call(tasks, "task.create", title="New", event_id=event_id) == first
    assert await call(tasks, "task.create", title="New", event_id=event_id, task_id=first["task_id"]) == first
    with pytest.raises(RpcError) as refused:
        await call(tasks, "task.create", title="New", event_id=event_id, task_id="another")
    assert refused.value.data["field"] == "event_id"


async def test_it_is_refused_after_a_restart_too(daemon: RunningDaemon) -> None:
    event_id = new_uuid()
    await daemon.call("task.create", title="T", task_id="t", steps=["one", "two"])
    first = await daemon.call("step.update", task_id="t", step=1, status="done", event_id=event_id)
    await daemon.stop()
    await daemon.start()
    assert await daemon.call("step.update", task_id="t", step=1, status="done", event_id=event_id) == first
    with pytest.raises(RpcError) as refused:
        await daemon.call("step.update", task_id="t", step=2, status="done", event_id=event_id)
    assert refused.value.data["field"] == "event_id"


async def test_it_is_refused_while_the_first_is_on_its_way_to_the_disk(daemon: RunningDaemon) -> None:
    await daemon.call("task.create", title="T", task_id="t", steps=["one", "two"])
    caller = await daemon.connect()
    event_id = new_uuid()
    line = (
        b'{"jsonrpc":"2.0","id":%d,"method":"step.update","params":{"task_id":"t","step":%d,"status":"done","event_id":"%s"}}'
    )
    await caller.send(b"\n".join(line % (n, n, event_id.encode()) for n in (1, 2)))
    assert b'"result"' in await caller.receive()
    assert b'"event_id"' in (answer := await caller.receive())
    assert b'"error"' in answer
