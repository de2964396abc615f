"""JSON-RPC 2.0 as its specification says: batches, notifications, ids, and errors for what is no request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.callers import Caller, UnixCaller, exchange
from support.running_daemon import RunningDaemon

LIST = {"jsonrpc": "2.0", "method": "deadletter.list"}
LISTED = {"dead_letters": []}


def listed(request_id: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "result": LISTED}


async def next_is_answered(caller: Caller) -> bool:
    """Whether the connection goes on: nothing is left over from before, and the next request is answered."""
    return bool(await exchange(caller, {**LIST, "id": "next"}) == listed("next"))


@pytest.mark.parametrize(
    "request_id",
    [0, 1, -7, 2**53, 2**63 - 1, 2**64, 10**19, 1.5, -0.25, 1e300, "", "a", "部署", '"\\\u0001', "x" * 10_000, None],
    ids=lambda each: str(each)[:24].encode("unicode_escape").decode(),
)
async def test_a_reply_repeats_the_id_as_it_came(caller: Caller, request_id: Any) -> None:
    assert await exchange(caller, {**LIST, "id": request_id}) == listed(request_id)
    refused = await exchange(caller, {"jsonrpc": "2.0", "method": "no.such", "id": request_id})
    assert (refused["id"], type(refused["id"])) == (request_id, type(request_id))


@pytest.mark.parametrize("request_id", [True, False, [], [1], {}, {"a": 1}])
async def test_an_id_of_another_type_is_an_invalid_request(caller: Caller, request_id: Any) -> None:
    reply = await exchange(caller, {**LIST, "id": request_id})
    assert (reply["id"], reply["error"]["code"], reply["error"]["data"]["code"]) == (None, -32600, "invalid_request")


@pytest.mark.parametrize(
    ("message", "request_id", "said"),
    [
        (1, None, "Not a request object"),
        ("text", None, "Not a request object"),
        (None, None, "Not a request object"),
        ({}, None, 'jsonrpc: expected "2.0"'),
        ({"id": 3, "method": "daemon.status"}, 3, 'jsonrpc: expected "2.0"'),
        ({"jsonrpc": 2.0, "id": 3, "method": "daemon.status"}, 3, 'jsonrpc: expected "2.0"'),
        ({"jsonrpc": "1.0", "id": 3, "method": "daemon.status"}, 3, 'jsonrpc: expected "2.0"'),
        ({"jsonrpc": "2.0", "id": 3}, 3, "method: expected a string"),
        ({"jsonrpc": "2.0", "id": 3, "method": 1}, 3, "method: expected a string"),
        ({"jsonrpc": "2.0", "method": None}, None, "method: expected a string"),
        ({**LIST, "id": 3, "task_id": "t"}, 3, "Unknown member: task_id"),
    ],
)
async def test_what_is_no_request_is_answered_with_the_id_where_it_has_one(
    caller: Caller, message: Any, request_id: Any, said: str
) -> None:
    reply = await exchange(caller, json.dumps(message).encode())
    assert (reply["jsonrpc"], reply["id"], reply["error"]["code"]) == ("2.0", request_id, -32600)
    assert said in reply["error"]["message"]
    assert await next_is_answered(caller)


async def test_params_by_position_are_refused_with_a_hint(caller: Caller) -> None:
    reply = await exchange(caller, {"jsonrpc": "2.0", "id": 1, "method": "task.get", "params": ["t"]})
    assert (reply["error"]["code"], reply["error"]["data"]["field"]) == (-32602, "params")
    assert "name the parameters" in reply["error"]["data"]["hint"]


async def test_a_notification_is_done_and_gets_no_reply_even_when_it_is_wrong(caller: Caller, daemon: RunningDaemon) -> None:
    for notification in (
        {"jsonrpc": "2.0", "method": "task.create", "params": {"title": "T", "task_id": "quiet"}},
        {"jsonrpc": "2.0", "method": "task.update", "params": {"task_id": "quiet", "status": "running"}},
        {"jsonrpc": "2.0", "method": "task.update", "params": {"task_id": "nobody", "status": "running"}},
        {"jsonrpc": "2.0", "method": "task.update", "params": {"status": "dnoe"}},
        {"jsonrpc": "2.0", "method": "task.update", "params": [1]},
        {"jsonrpc": "2.0", "method": "no.such"},
        {"jsonrpc": "2.0", "method": "interrupt.check", "params": {"task_id": "quiet"}},
    ):
        await caller.send(json.dumps(notification).encode())
    assert await next_is_answered(caller)
    assert (await daemon.call("task.get", task_id="quiet"))["status"] == "running"


async def test_a_batch_is_answered_by_one_array_in_order(caller: Caller) -> None:
    batch = [
        {"jsonrpc": "2.0", "id": "create", "method": "task.create", "params": {"title": "T", "task_id": "t", "steps": ["one"]}},
        {"jsonrpc": "2.0", "id": "step", "method": "step.update", "params": {"task_id": "t", "step": 1, "status": "running"}},
        {"jsonrpc": "2.0", "id": "get", "method": "task.get", "params": {"task_id": "t"}},
        {**LIST, "id": None},
    ]
    replies = await exchange(caller, batch)
    assert [reply["id"] for reply in replies] == ["create", "step", "get", None]
    assert replies[2]["result"]["steps"][0]["status"] == "running"
    assert await next_is_answered(caller)


async def test_a_mixed_batch_answers_what_wants_an_answer(caller: Caller) -> None:
    batch = [
        1,
        {**LIST, "id": 1},
        {"jsonrpc": "2.0", "method": "task.create", "params": {"title": "T", "task_id": "t"}},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "no.such"},
        {"jsonrpc": "2.0", "id": 2, "method": "no.such"},
        {"jsonrpc": "2.0", "id": 3, "method": "task.get", "params": {"task_id": "t"}},
        [],
    ]
    replies = await exchange(caller, batch)
    assert [(reply["id"], reply.get("error", {}).get("code")) for reply in replies] == [
        (None, -32600),
        (1, None),
        (None, -32600),
        (2, -32601),
        (3, None),
        (None, -32600),
    ]


async def test_a_batch_of_notifications_gets_no_reply_at_all(caller: Caller, daemon: RunningDaemon) -> None:
    created = {"jsonrpc": "2.0", "method": "task.create", "params": {"title": "T", "task_id": "t"}}
    await caller.send(json.dumps([created, {"jsonrpc": "2.0", "method": "no.such"}]).encode())
    assert await next_is_answered(caller)
    assert (await daemon.call("task.get", task_id="t"))["title"] == "T"


async def test_an_empty_batch_is_one_error(caller: Caller) -> None:
    reply = await exchange(caller, b"[]")
    assert (reply["id"], reply["error"]["code"]) == (None, -32600)
    assert "empty batch" in reply["error"]["message"]


async def test_a_large_batch_shares_one_reply(caller: Caller) -> None:
    batch = [{**LIST, "id": number} for number in range(100)]
    assert await exchange(caller, batch) == [listed(number) for number in range(100)]


async def test_a_caller_that_only_sends_still_gets_every_reply(daemon: RunningDaemon) -> None:
    caller = await UnixCaller.connect(daemon.socket_path)
    await caller.send_bytes(b"".join(json.dumps({**LIST, "id": n}).encode() + b"\n" for n in range(50)))
    caller.shut_sending()
    assert [json.loads(line)["id"] for line in await caller.receive_rest()] == list(range(50))
    await caller.close()
